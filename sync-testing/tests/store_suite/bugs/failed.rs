//! Bugs of what was set aside.

use std::{collections::BTreeMap, sync::Mutex};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{MutationId, Op, RecordKey},
    store::{
        EnqueueRequest, Enqueued, Entry, EntryFilter, EntryKind, EntryState, FailReason, Marks,
        MemoryStore, Outbox, Pending, RecordRow, Records, Stamp, Touched,
    },
};

use crate::bent::{Bug, locked};

/// The failed entries of a record; of all without one.
async fn failed(store: &MemoryStore, key: Option<&RecordKey>) -> Result<Vec<Entry>, StoreError> {
    let failed = EntryFilter {
        key: key.cloned(),
        state: Some(EntryKind::Failed),
        ..EntryFilter::default()
    };
    store.entries(failed).await
}

#[derive(Default)]
pub(super) struct SetsAsideOnlyWhatWasNamed;

#[async_trait]
impl Bug for SetsAsideOnlyWhatWasNamed {
    async fn entries(
        &self,
        store: &MemoryStore,
        filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = store.entries(filter).await?;
        for entry in &mut entries {
            if let EntryState::Failed(failed) = &entry.state
                && failed.reason == FailReason::Predecessor
            {
                entry.state = EntryState::Pending(Pending::default());
            }
        }
        Ok(entries)
    }
}

#[derive(Default)]
pub(super) struct HidesWhatWasRefused;

#[async_trait]
impl Bug for HidesWhatWasRefused {
    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let row = store.get(key).await?;
        Ok(row.filter(|row| !row.marks.contains(Marks::FAILED)))
    }
}

#[derive(Default)]
pub(super) struct RetriesUnderTheOldId;

#[async_trait]
impl Bug for RetriesUnderTheOldId {
    async fn retry(
        &self,
        store: &MemoryStore,
        key: RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError> {
        let failed = failed(store, Some(&key)).await?;
        let (_, touched) = store.retry(key, stamp).await?;
        Ok((failed.first().map(|entry| entry.mutation.id), touched))
    }
}

/// The failed entries that a new edit should have taken up.
#[derive(Default)]
pub(super) struct LeavesFailedEntriesBehind(Mutex<Vec<Entry>>);

#[async_trait]
impl Bug for LeavesFailedEntriesBehind {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        for edit in &request.edits {
            let failed = failed(store, Some(&edit.key)).await?;
            locked(&self.0).extend(failed);
        }
        store.enqueue(request).await
    }

    async fn entries(
        &self,
        store: &MemoryStore,
        filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = store.entries(filter).await?;
        entries.extend(locked(&self.0).iter().cloned());
        entries.sort_by_key(|entry| entry.seq);
        Ok(entries)
    }
}

/// The records as they were shown before their failed entries were discarded.
#[derive(Default)]
pub(super) struct LeavesTheViewOfWhatWasDiscarded(Mutex<BTreeMap<RecordKey, RecordRow>>);

#[async_trait]
impl Bug for LeavesTheViewOfWhatWasDiscarded {
    async fn discard(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<(Vec<Entry>, Touched), StoreError> {
        if let Some(row) = store.get(key.clone()).await? {
            locked(&self.0).insert(key.clone(), row);
        }
        store.discard(key).await
    }

    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let left = locked(&self.0).get(&key).cloned();
        Ok(left.or(store.get(key).await?))
    }
}

#[derive(Default)]
pub(super) struct DiscardsTheWholeScope;

#[async_trait]
impl Bug for DiscardsTheWholeScope {
    async fn discard(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<(Vec<Entry>, Touched), StoreError> {
        let dropped = store.discard(key.clone()).await?;
        for entry in failed(store, None).await? {
            if entry.mutation.key.scope == key.scope {
                store.discard(entry.mutation.key).await?;
            }
        }
        Ok(dropped)
    }
}

#[derive(Default)]
pub(super) struct CarriesFailedDeletesOut;

#[async_trait]
impl Bug for CarriesFailedDeletesOut {
    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let failed = failed(store, Some(&key)).await?;
        if failed.iter().any(|entry| entry.mutation.op == Op::Delete) {
            return Ok(None);
        }
        store.get(key).await
    }
}

#[derive(Default)]
pub(super) struct LosesTheReason;

#[async_trait]
impl Bug for LosesTheReason {
    async fn entries(
        &self,
        store: &MemoryStore,
        filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = store.entries(filter).await?;
        for entry in &mut entries {
            if let EntryState::Failed(failed) = &mut entry.state {
                failed.reason = FailReason::Rejected;
            }
        }
        Ok(entries)
    }
}
