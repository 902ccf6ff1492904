//! What is kept until the app has acknowledged it.

use serde::{Serialize, de::DeserializeOwned};
use sync_core::{
    model::{MutationId, Scope},
    store::{Conflict, Revoked, Touched},
};
use wasm_bindgen::JsValue;

use crate::{
    error::{Attempt, Failure},
    schema::{CONFLICTS, REVOKED, index},
    transaction::Tx,
    values,
};

/// A row with what it is searched by.
#[derive(Serialize)]
struct Stored<'a> {
    mutation: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
    row: String,
}

fn add(tx: &Tx, store: &str, what: &str, stored: &Stored<'_>) -> Attempt<()> {
    let value = values::parsed(&values::encoded(what, stored)?)?;
    tx.put(store, &value, None)
}

fn row<T: DeserializeOwned>(what: &str, value: &JsValue) -> Attempt<T> {
    let row = values::decoded(what, &values::property(value, "row"))?;
    row.ok_or_else(|| Failure::unreadable(format!("{what}: no text")))
}

const A_CONFLICT: &str = "a conflict";
const A_REVOKED: &str = "a revoked mutation";

pub(super) fn put(tx: &Tx, conflict: &Conflict) -> Attempt<()> {
    let stored = Stored {
        mutation: conflict.mutation_id.to_string(),
        scope: Some(conflict.key.scope.as_str()),
        row: values::encoded(A_CONFLICT, conflict)?,
    };
    add(tx, CONFLICTS, A_CONFLICT, &stored)
}

pub(super) fn put_revoked(tx: &Tx, revoked: &Revoked) -> Attempt<()> {
    let stored = Stored {
        mutation: revoked.mutation.id.to_string(),
        scope: None,
        row: values::encoded(A_REVOKED, revoked)?,
    };
    add(tx, REVOKED, A_REVOKED, &stored)
}

/// Conflicts of one scope, or of all, oldest first.
pub(crate) async fn conflicts(tx: &Tx, scope: Option<&Scope>) -> Attempt<Vec<Conflict>> {
    let found = match scope {
        Some(scope) => {
            let scope = Some(JsValue::from_str(scope.as_str()).into());
            tx.indexed(CONFLICTS, index::SCOPE, scope, None)?
        }
        None => tx.all(CONFLICTS, None, None)?,
    };
    tx.asks_no_more();
    values::items(found.await?)
        .map(|value| row(A_CONFLICT, &value))
        .collect()
}

/// Forgets conflicts.
pub(crate) async fn acknowledge_conflicts(tx: &Tx, ids: &[MutationId]) -> Attempt<Touched> {
    let mut touched = Touched::default();
    for id in ids {
        let id = JsValue::from(id.to_string());
        let by_id = Some(id.clone().into());
        let found = tx.indexed(CONFLICTS, index::MUTATION, by_id, Some(1))?;
        let key = tx.indexed_key(CONFLICTS, index::MUTATION, id)?;
        let (found, key) = (found.await?, key.await?);
        if let Some(value) = values::items(found).next() {
            let conflict: Conflict = row(A_CONFLICT, &value)?;
            touched.add(&conflict.key.scope, &conflict.key.entity_type);
            tx.delete(CONFLICTS, key)?;
        }
    }
    Ok(touched)
}

/// Unsynced mutations of purged scopes, oldest first.
pub(crate) async fn revoked(tx: &Tx) -> Attempt<Vec<Revoked>> {
    let found = tx.all(REVOKED, None, None)?;
    tx.asks_no_more();
    values::items(found.await?)
        .map(|value| row(A_REVOKED, &value))
        .collect()
}

/// Forgets revoked mutations.
pub(crate) async fn acknowledge_revoked(tx: &Tx, ids: &[MutationId]) -> Attempt<()> {
    for id in ids {
        let id = JsValue::from(id.to_string());
        let key = tx.indexed_key(REVOKED, index::MUTATION, id)?.await?;
        if !key.is_undefined() {
            tx.delete(REVOKED, key)?;
        }
    }
    Ok(())
}
