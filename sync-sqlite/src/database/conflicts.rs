//! What is kept until the app acknowledges it, and to whom the database belongs.

use rusqlite::params;
use serde::de::DeserializeOwned;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{Account, MutationId, Scope},
    overlay::check_account,
    store::{Conflict, Fence, Revoked, Touched},
};

use super::{Database, Flush, scopes::Rows};
use crate::error::{Attempt, Failure};

impl Rows<'_> {
    pub(crate) fn conflicts(&self, scope: Option<&Scope>) -> Attempt<Vec<Conflict>> {
        let mut query = self.conn.prepare_cached(
            "SELECT conflict FROM sync_store_conflicts WHERE ?1 IS NULL OR scope = ?1 ORDER BY n",
        )?;
        let rows = query.query_map([scope.map(Scope::as_str)], |row| row.get::<_, String>(0))?;
        rows.map(|row| decode("a conflict", &row?)).collect()
    }

    pub(crate) fn revoked(&self) -> Attempt<Vec<Revoked>> {
        let mut query = self
            .conn
            .prepare_cached("SELECT revoked FROM sync_store_revoked ORDER BY n")?;
        let rows = query.query_map([], |row| row.get::<_, String>(0))?;
        rows.map(|row| decode("a revoked mutation", &row?))
            .collect()
    }
}

impl Database {
    pub(crate) fn acknowledge_conflicts(
        &mut self,
        ids: &[MutationId],
    ) -> Result<Touched, StoreError> {
        self.write("acknowledging conflicts", Flush::Later, |tx| {
            let mut touched = Touched::default();
            for id in ids {
                let gone: Option<String> = tx
                    .conn
                    .prepare_cached(
                        "DELETE FROM sync_store_conflicts WHERE mutation = ?1 RETURNING conflict",
                    )?
                    .query_map([id.as_uuid().as_bytes()], |row| row.get(0))?
                    .next()
                    .transpose()?;
                if let Some(conflict) = gone {
                    let conflict: Conflict = decode("a conflict", &conflict)?;
                    touched.add(&conflict.key.scope, &conflict.key.entity_type);
                    tx.change();
                }
            }
            Ok(touched)
        })
    }

    pub(crate) fn acknowledge_revoked(&mut self, ids: &[MutationId]) -> Result<(), StoreError> {
        self.write("acknowledging revoked mutations", Flush::Later, |tx| {
            for id in ids {
                let gone = tx
                    .conn
                    .prepare_cached("DELETE FROM sync_store_revoked WHERE mutation = ?1")?
                    .execute(params![id.as_uuid().as_bytes()])?;
                if gone > 0 {
                    tx.change();
                }
            }
            Ok(())
        })
    }

    pub(crate) fn bind(&mut self, account: &Account) -> Result<(), StoreError> {
        self.write("binding the account", Flush::Edit, |tx| {
            let mut meta = tx.meta()?;
            match meta.account {
                Some(bound) if bound != *account => Err(StoreError::new(
                    StoreErrorKind::OtherAccount { bound },
                    format!("account {account} wants to open it"),
                )
                .into()),
                Some(_) => Ok(()),
                None => {
                    meta.account = Some(account.clone());
                    tx.put_meta(&meta)
                }
            }
        })
    }

    pub(crate) fn lead(&mut self, account: &Account) -> Result<Fence, StoreError> {
        self.write("taking the lead", Flush::Later, |tx| {
            let mut meta = tx.meta()?;
            check_account(&meta, account)?;
            meta.fence.0 += 1;
            tx.put_meta(&meta)?;
            Ok(meta.fence)
        })
    }
}

fn decode<T: DeserializeOwned>(what: &str, json: &str) -> Attempt<T> {
    serde_json::from_str(json).map_err(|error| Failure::undecodable(what, &error))
}
