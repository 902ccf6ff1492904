//! Who shares which baby: this app's own rules of access.
//!
//! A scope named `home-ACCOUNT` is that account's alone. A baby belongs to whoever writes to it first, who may invite
//! others by name. The table lies in a JSON file; it is small.

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{Account, RecordKey, Scope},
};
use sync_server::access::{Access, Role};

/// The accounts of a baby, with the names of their roles.
pub(crate) type Members = BTreeMap<String, String>;

/// The table of all babies. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Families {
    file: PathBuf,
    babies: Arc<Mutex<BTreeMap<String, Members>>>,
}

impl Families {
    /// Reads the table; a file that is not there is an empty one.
    pub(crate) fn open(file: PathBuf) -> io::Result<Self> {
        let babies = match fs::read(&file) {
            Ok(text) => serde_json::from_slice(&text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            file,
            babies: Arc::new(Mutex::new(babies)),
        })
    }

    /// The babies that an account may see.
    pub(crate) fn of(&self, account: &Account) -> BTreeMap<String, Members> {
        let babies = self.babies();
        let of = babies
            .iter()
            .filter(|(_, members)| members.contains_key(account.as_str()));
        of.map(|(baby, members)| (baby.clone(), members.clone()))
            .collect()
    }

    /// Whether an account may invite others, and send them away.
    pub(crate) fn owns(&self, account: &Account, baby: &str) -> bool {
        self.role(account, baby) == Some(Role::Owner)
    }

    /// Lets an account read and write; its role, where it has one, stays.
    pub(crate) fn invite(&self, baby: &str, who: &str) -> io::Result<()> {
        self.change(baby, |members| {
            let editor = || Role::Editor.name().to_owned();
            members.entry(who.to_owned()).or_insert_with(editor);
        })
    }

    /// Takes a membership away; nobody takes an owner's.
    pub(crate) fn revoke(&self, baby: &str, who: &str) -> io::Result<()> {
        self.change(baby, |members| {
            members.retain(|account, role| account != who || role == Role::Owner.name());
        })
    }

    /// Changes the members of a baby, in the file first.
    fn change(&self, baby: &str, change: impl FnOnce(&mut Members)) -> io::Result<()> {
        let mut babies = self.babies();
        let mut changed = babies.clone();
        change(changed.entry(baby.to_owned()).or_default());
        let beside = self.file.with_extension("new");
        fs::write(&beside, serde_json::to_vec_pretty(&changed)?)?;
        fs::rename(beside, &self.file)?;
        *babies = changed;
        Ok(())
    }

    fn role(&self, account: &Account, scope: &str) -> Option<Role> {
        if let Some(owner) = scope.strip_prefix("home-") {
            return (owner == account.as_str()).then_some(Role::Owner);
        }
        let babies = self.babies();
        babies.get(scope)?.get(account.as_str())?.parse().ok()
    }

    fn babies(&self) -> MutexGuard<'_, BTreeMap<String, Members>> {
        self.babies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Access for Families {
    async fn may_read(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError> {
        Ok(self.role(account, scope.as_str()).is_some())
    }

    async fn may_write(&self, account: &Account, key: &RecordKey) -> Result<bool, StoreError> {
        let role = self.role(account, key.scope.as_str());
        Ok(role.is_some_and(Role::writes))
    }

    async fn may_begin(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError> {
        let is_known = self.babies().contains_key(scope.as_str());
        if !is_known && !scope.as_str().starts_with("home-") {
            self.change(scope.as_str(), |members| {
                let owner = Role::Owner.name().to_owned();
                members.insert(account.to_string(), owner);
            })
            .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error.to_string()))?;
        }
        let role = self.role(account, scope.as_str());
        Ok(role.is_some_and(Role::writes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn families(name: &str) -> Families {
        let file = format!("families-{name}-{}.json", std::process::id());
        let file = std::env::temp_dir().join(file);
        let _ = fs::remove_file(&file);
        Families::open(file).unwrap()
    }

    #[tokio::test]
    async fn a_baby_is_its_first_writers_who_shares_it_and_takes_that_back() {
        let families = families("share");
        let (alice, bob) = (Account::new("alice"), Account::new("bob"));
        let baby = Scope::new("baby-1");
        assert!(families.may_begin(&alice, &baby).await.unwrap());
        assert!(!families.may_begin(&bob, &baby).await.unwrap());
        assert!(!families.may_read(&bob, &baby).await.unwrap());
        families.invite("baby-1", "bob").unwrap();
        assert!(families.may_read(&bob, &baby).await.unwrap());
        assert!(!families.owns(&bob, "baby-1"));
        families.revoke("baby-1", "bob").unwrap();
        families.revoke("baby-1", "alice").unwrap();
        assert!(!families.may_read(&bob, &baby).await.unwrap());
        assert!(families.may_read(&alice, &baby).await.unwrap());
        let again = Families::open(families.file.clone()).unwrap();
        assert_eq!(again.of(&alice), families.of(&alice));
        fs::remove_file(&families.file).unwrap();
    }

    #[tokio::test]
    async fn the_own_scope_of_an_account_is_closed_to_others() {
        let families = families("home");
        let (alice, bob) = (Account::new("alice"), Account::new("bob"));
        let home = Scope::new("home-alice");
        assert!(families.may_begin(&alice, &home).await.unwrap());
        assert!(families.may_read(&alice, &home).await.unwrap());
        assert!(!families.may_begin(&bob, &home).await.unwrap());
        assert!(!families.may_read(&bob, &home).await.unwrap());
    }
}
