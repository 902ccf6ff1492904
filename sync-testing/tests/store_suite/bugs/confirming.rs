//! Bugs of pulling over edits.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{Payload, RecordKey},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, CursorStore, EntryFilter, EntryKind,
        MemoryStore, Outbox, RecordRow, Records,
    },
};

use super::asking::{asks_wrongly, entries_of, key_of};
use crate::bent::{Bug, locked};

/// A page is written over the records, whatever lies over them.
#[derive(Default)]
pub(super) struct WritesOverEdits(Mutex<BTreeMap<RecordKey, Payload>>);

#[async_trait]
impl Bug for WritesOverEdits {
    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        {
            let mut pulled = locked(&self.0);
            for change in &request.page.changes {
                let payload = change.op.payload().cloned();
                pulled.extend(payload.map(|payload| (key_of(&request, change), payload)));
            }
        }
        store.apply(request).await
    }

    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let mut row = store.get(key).await?;
        let pulled = locked(&self.0);
        if let Some(row) = &mut row
            && let Some(payload) = pulled.get(&row.key)
        {
            row.payload = payload.clone();
        }
        Ok(row)
    }
}

asks_wrongly! { PassesOverEditedRecords, apply(store, request: ApplyRequest) -> ApplyOutcome {
    let mut changes = Vec::new();
    for change in &request.page.changes {
        if entries_of(store, key_of(&request, change)).await?.is_empty() {
            changes.push(change.clone());
        }
    }
    request.page.changes = changes;
}}

asks_wrongly! { ForgetsTheMaker, apply(store, request: ApplyRequest) -> ApplyOutcome {
    for change in &mut request.page.changes {
        change.mutation_id = None;
    }
}}

asks_wrongly! { LeavesWithAnyChange, apply(store, request: ApplyRequest) -> ApplyOutcome {
    for at in 0..request.page.changes.len() {
        let key = key_of(&request, &request.page.changes[at]);
        let entries = entries_of(store, key).await?;
        if let Some(first) = entries.iter().find(|entry| entry.is_acknowledged()) {
            request.page.changes[at].mutation_id = Some(first.mutation.id);
        }
    }
}}

// What a drained pull has passed is not looked for.
asks_wrongly! { LoadsOnlyThePage, apply(store, request: ApplyRequest) -> ApplyOutcome {
    let filter = EntryFilter {
        scope: Some(request.scope.clone()),
        state: Some(EntryKind::Acknowledged),
        ..EntryFilter::default()
    };
    request.page.has_more |= !store.entries(filter).await?.is_empty();
}}

asks_wrongly! { LeavesWithTheFirstEcho, apply(store, request: ApplyRequest) -> ApplyOutcome {
    for at in 0..request.page.changes.len() {
        let change = &request.page.changes[at];
        let entries = entries_of(store, key_of(&request, change)).await?;
        let last = entries.iter().rfind(|entry| entry.is_acknowledged());
        if let (Some(_), Some(last)) = (change.mutation_id, last) {
            request.page.changes[at].mutation_id = Some(last.mutation.id);
        }
    }
}}

asks_wrongly! { ReadsTheTickLate, apply(store, request: ApplyRequest) -> ApplyOutcome {
    request.began = store.scope(request.scope.clone()).await?.1;
}}
