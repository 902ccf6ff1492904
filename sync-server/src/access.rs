//! Who may do what: the hook for an app's own rules, and a table of members for those who have none.

use std::{
    collections::BTreeMap,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{Account, RecordKey, Scope},
};

/// Decides what an account may do. It is asked at every request, and its answer counts from the next one on.
#[async_trait]
pub trait Access: Send + Sync + fmt::Debug {
    /// Whether the account may read the scope. A refusal is how its devices learn that the scope is gone for
    /// them, and purge it: an access service that is down is an error, never a refusal.
    ///
    /// # Errors
    /// When it cannot be told; the request is answered as unavailable.
    async fn may_read(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError>;

    /// Whether the account may write the record. The scope in the key is the one in whose log the record lies,
    /// whatever the payload says.
    ///
    /// # Errors
    /// When it cannot be told; the scope's mutations are answered `retry`, or the request as unavailable where there
    /// are no others.
    async fn may_write(&self, account: &Account, key: &RecordKey) -> Result<bool, StoreError>;

    /// Whether the account may begin this scope, of which the log holds nothing yet. A table of members makes it
    /// a member here. Safe to repeat.
    ///
    /// # Errors
    /// When it cannot be told; the request is answered as unavailable.
    async fn may_begin(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError>;
}

/// What a member of a scope may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes.
    Editor,
    /// Reads, writes, and has begun the scope or was made its equal. What owners may do beyond editors, as
    /// inviting others, is the app's to say.
    Owner,
}

impl Role {
    /// Whether the role may write.
    #[must_use]
    pub fn writes(self) -> bool {
        self >= Self::Editor
    }

    /// The role's name: `viewer`, `editor` or `owner`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such role; there are viewer, editor and owner")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(name: &str) -> Result<Self, UnknownRole> {
        [Self::Viewer, Self::Editor, Self::Owner]
            .into_iter()
            .find(|role| role.name() == name)
            .ok_or(UnknownRole)
    }
}

/// A table of members in memory. Clones share it.
///
/// A scope without any member belongs to whoever writes there first.
#[derive(Clone, Debug, Default)]
pub struct MemoryMembers {
    scopes: Arc<Mutex<BTreeMap<Scope, BTreeMap<Account, Role>>>>,
}

impl MemoryMembers {
    /// A table without members.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an account a member, or changes its role.
    pub fn grant(&self, scope: impl Into<Scope>, account: impl Into<Account>, role: Role) {
        let mut scopes = self.scopes();
        let members = scopes.entry(scope.into()).or_default();
        members.insert(account.into(), role);
    }

    /// Takes an account's membership away. The scope stays one that has been begun.
    pub fn revoke(&self, scope: &Scope, account: &Account) {
        if let Some(members) = self.scopes().get_mut(scope) {
            members.remove(account);
        }
    }

    /// The members of a scope, by account.
    #[must_use]
    pub fn members(&self, scope: &Scope) -> Vec<(Account, Role)> {
        let scopes = self.scopes();
        let members = scopes.get(scope).into_iter().flatten();
        members
            .map(|(account, role)| (account.clone(), *role))
            .collect()
    }

    fn role(&self, account: &Account, scope: &Scope) -> Option<Role> {
        self.scopes().get(scope)?.get(account).copied()
    }

    fn scopes(&self) -> MutexGuard<'_, BTreeMap<Scope, BTreeMap<Account, Role>>> {
        self.scopes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Access for MemoryMembers {
    async fn may_read(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError> {
        Ok(self.role(account, scope).is_some())
    }

    async fn may_write(&self, account: &Account, key: &RecordKey) -> Result<bool, StoreError> {
        Ok(self.role(account, &key.scope).is_some_and(Role::writes))
    }

    async fn may_begin(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError> {
        let mut scopes = self.scopes();
        if !scopes.contains_key(scope) {
            let owner = BTreeMap::from([(account.detached(), Role::Owner)]);
            scopes.insert(scope.detached(), owner);
        }
        let members = scopes.get(scope);
        Ok(members
            .and_then(|members| members.get(account))
            .is_some_and(|role| role.writes()))
    }
}
