//! Members of scopes, beside the change log.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension};
use sync_core::{
    error::StoreError,
    model::{Account, RecordKey, Scope},
};

use super::runner::Runner;
use crate::access::{Access, Role};

/// A table of members in the change log's file. Clones share it.
///
/// A scope without any member belongs to whoever writes there first.
#[derive(Clone, Debug)]
pub struct SqliteMembers {
    runner: Arc<Runner>,
}

impl SqliteMembers {
    pub(super) fn new(runner: Arc<Runner>) -> Self {
        Self { runner }
    }

    /// Makes an account a member, or changes its role. Safe to repeat.
    ///
    /// # Errors
    /// Those of writing.
    pub async fn grant(
        &self,
        scope: impl Into<Scope>,
        account: impl Into<Account>,
        role: Role,
    ) -> Result<(), StoreError> {
        self.set(scope.into(), account.into(), Some(role)).await
    }

    /// Takes an account's membership away. The scope stays one that has been begun. Safe to repeat.
    ///
    /// # Errors
    /// Those of writing.
    pub async fn revoke(
        &self,
        scope: impl Into<Scope>,
        account: impl Into<Account>,
    ) -> Result<(), StoreError> {
        self.set(scope.into(), account.into(), None).await
    }

    /// The members of a scope, by account.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn members(
        &self,
        scope: impl Into<Scope>,
    ) -> Result<Vec<(Account, Role)>, StoreError> {
        let scope = scope.into();
        let work = move |connection: &Connection| {
            let mut select = connection.prepare_cached(
                "select account, role from members where scope = ?1 and role is not null order by account",
            )?;
            select
                .query_map([scope.as_str()], |row| {
                    let role = row.get_ref(1)?.as_str()?.parse();
                    Ok((row.get::<_, String>(0).map(Account::from)?, role))
                })?
                .filter_map(|row| match row {
                    Ok((account, Ok(role))) => Some(Ok((account, role))),
                    Ok(_) => None,
                    Err(error) => Some(Err(error)),
                })
                .collect()
        };
        self.runner
            .read(move |db| db.query("listing members", work))
            .await
    }

    async fn set(
        &self,
        scope: Scope,
        account: Account,
        role: Option<Role>,
    ) -> Result<(), StoreError> {
        let work = move |connection: &Connection| store(connection, &scope, &account, role);
        self.runner
            .write(move |db| db.write("changing a member", work))
            .await
    }

    async fn role(&self, account: &Account, scope: &Scope) -> Result<Option<Role>, StoreError> {
        let (account, scope) = (account.clone(), scope.clone());
        let work = move |connection: &Connection| load(connection, &scope, &account);
        self.runner
            .read(move |db| db.query("reading a member", work))
            .await
    }
}

fn load(
    connection: &Connection,
    scope: &Scope,
    account: &Account,
) -> rusqlite::Result<Option<Role>> {
    let role = connection
        .prepare_cached("select role from members where scope = ?1 and account = ?2")?
        .query_row([scope.as_str(), account.as_str()], |row| {
            row.get::<_, Option<String>>(0)
        })
        .optional()?;
    Ok(role.flatten().and_then(|role| role.parse().ok()))
}

fn store(
    connection: &Connection,
    scope: &Scope,
    account: &Account,
    role: Option<Role>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "insert or replace into members (scope, account, role) values (?1, ?2, ?3)",
        )?
        .execute([
            Some(scope.as_str()),
            Some(account.as_str()),
            role.map(Role::name),
        ])
        .map(drop)
}

#[async_trait]
impl Access for SqliteMembers {
    async fn may_read(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError> {
        Ok(self.role(account, scope).await?.is_some())
    }

    async fn may_write(&self, account: &Account, key: &RecordKey) -> Result<bool, StoreError> {
        Ok(self
            .role(account, &key.scope)
            .await?
            .is_some_and(Role::writes))
    }

    async fn may_begin(&self, account: &Account, scope: &Scope) -> Result<bool, StoreError> {
        let (account, scope) = (account.clone(), scope.clone());
        let work = move |connection: &Connection| {
            let begun = connection
                .prepare_cached("select 1 from members where scope = ?1")?
                .exists([scope.as_str()])?;
            if !begun {
                store(connection, &scope, &account, Some(Role::Owner))?;
            }
            Ok(load(connection, &scope, &account)?.is_some_and(Role::writes))
        };
        self.runner
            .write(move |db| db.write("beginning a scope", work))
            .await
    }
}
