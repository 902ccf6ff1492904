//! Bugs of reporting which views have changed.

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{RecordKey, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Entry, Fence, MemoryStore, Outbox, Purged,
        SweepOutcome, Touched,
    },
    time::Timestamp,
};

use super::asking::{entries_of, key_of};
use crate::bent::Bug;

/// Only what the rules return is reported, not what the store has written by itself.
#[derive(Default)]
pub(super) struct ReportsEditedRecordsOnly;

#[async_trait]
impl Bug for ReportsEditedRecordsOnly {
    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let mut edited = Touched::default();
        for change in &request.page.changes {
            let key = key_of(&request, change);
            if !entries_of(store, key.clone()).await?.is_empty() {
                edited.add(&key.scope, &key.entity_type);
            }
        }
        let mut outcome = store.apply(request).await?;
        if let ApplyOutcome::Applied(applied) = &mut outcome {
            applied.touched = edited;
        }
        Ok(outcome)
    }
}

#[derive(Default)]
pub(super) struct ReportsWhatIsAskedFor;

#[async_trait]
impl Bug for ReportsWhatIsAskedFor {
    async fn discard(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<(Vec<Entry>, Touched), StoreError> {
        let (dropped, mut touched) = store.discard(key.clone()).await?;
        touched.add(&key.scope, &key.entity_type);
        Ok((dropped, touched))
    }
}

#[derive(Default)]
pub(super) struct SweepsInSilence;

#[async_trait]
impl Bug for SweepsInSilence {
    async fn sweep(
        &self,
        store: &MemoryStore,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        let step = store.sweep(scope, limit, fence).await?;
        let touched = Touched::default();
        Ok(SweepOutcome { touched, ..step })
    }
}

/// What lay over records is reported, and not the records.
#[derive(Default)]
pub(super) struct ReportsPurgedEditsOnly;

#[async_trait]
impl Bug for ReportsPurgedEditsOnly {
    async fn purge(
        &self,
        store: &MemoryStore,
        scope: Scope,
        at: Timestamp,
        fence: Fence,
    ) -> Result<Purged, StoreError> {
        let mut touched = Touched::default();
        for entry in store.entries(Default::default()).await? {
            let key = entry.mutation.key;
            if key.scope == scope {
                touched.add(&key.scope, &key.entity_type);
            }
        }
        let purged = store.purge(scope, at, fence).await?;
        Ok(Purged { touched, ..purged })
    }
}
