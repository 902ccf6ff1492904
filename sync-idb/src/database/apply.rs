//! Applying a page.

use js_sys::Array;
use sync_core::{
    model::{Change, RecordKey, Scope},
    ordered::OrderedSet,
    overlay::{self, ApplyNeeds, Planned, apply_needs},
    store::{ApplyOutcome, ApplyRequest, EntryKind, Marks},
};
use wasm_bindgen::JsCast;

use super::{
    entries::key_of_parts,
    meta::ScopeReply,
    page::{Batch, Beside},
    stacks::{in_state, load, store},
};
use crate::{error::Attempt, keys, schema::BASES, transaction::Tx, values};

/// Applies a page: records, bases, views and the next cursor.
///
/// Of the records of a page it reads only those that have something in the overlay.
pub(crate) async fn apply(tx: &Tx, request: &ApplyRequest) -> Attempt<ApplyOutcome> {
    let scope = &request.scope;
    let row = ScopeReply::asked(tx, scope)?;
    let overlaid = overlaid(tx, scope).await?;
    let row = row.row().await?;
    let mut keys = OrderedSet::new();
    if !overlaid.is_empty() {
        let in_page = request.page.changes.iter();
        let in_page = in_page.map(|change| key_of(scope, change));
        keys.extend(in_page.filter(|key| overlaid.contains(key)));
    }
    match apply_needs(row.as_ref(), &request.page) {
        ApplyNeeds::Page => {}
        ApplyNeeds::Acknowledged => {
            keys.extend(in_state(tx, scope, EntryKind::Acknowledged).await?);
        }
        ApplyNeeds::Overlaid => keys.extend(overlaid),
    }
    let mut loaded = load(tx, keys.clone()).await?;
    loaded.scopes.extend(row.map(|row| (scope.clone(), row)));
    let (writes, mut applied) = match overlay::apply(loaded, request)? {
        Planned::Not(outcome) => return Ok(outcome),
        Planned::Write { writes, applied } => (writes, applied),
    };
    let mut batch = Batch::new(tx);
    for change in &request.page.changes {
        let key = key_of(scope, change);
        if keys.contains(&key) {
            continue;
        }
        applied.touched.add(&key.scope, &key.entity_type);
        match change.op.payload() {
            Some(payload) => {
                let beside = Beside {
                    schema: change.schema,
                    seq: change.seq,
                    generation: request.generation,
                    marks: Marks::default(),
                };
                batch.put(&key, payload, beside).await?;
            }
            None => batch.remove(&key).await?,
        }
    }
    store(tx, *writes, batch).await?;
    Ok(ApplyOutcome::Applied(applied))
}

fn key_of(scope: &Scope, change: &Change) -> RecordKey {
    RecordKey {
        scope: scope.clone(),
        entity_type: change.entity_type.clone(),
        entity_id: change.entity_id.clone(),
    }
}

/// The records of a scope that have something in the overlay: those that have a base.
async fn overlaid(tx: &Tx, scope: &Scope) -> Attempt<OrderedSet<RecordKey>> {
    let range = keys::within(&[scope.as_str()])?;
    let found = tx.all_keys(BASES, Some(range), None)?.await?;
    values::items(found)
        .map(|key| key_of_parts(key.unchecked_ref::<Array>()))
        .collect()
}
