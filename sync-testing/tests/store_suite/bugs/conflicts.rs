//! Bugs of conflicts.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{MutationId, Scope},
    policy::{MineAgain, ServerWins},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, Entry, EntryFilter,
        MemoryStore, Outbox, SettleReport, SettleRequest, Touched,
    },
};

use crate::bent::{Bug, locked};

#[derive(Default)]
pub(super) struct KeepsConflictsInMemory(AtomicBool);

#[async_trait]
impl Bug for KeepsConflictsInMemory {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.store(true, Ordering::Relaxed);
        store.clone()
    }

    async fn conflicts(
        &self,
        store: &MemoryStore,
        scope: Option<Scope>,
    ) -> Result<Vec<Conflict>, StoreError> {
        if self.0.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        store.conflicts(scope).await
    }
}

#[derive(Default)]
pub(super) struct KeepsOnlyConflictsWithARecord;

#[async_trait]
impl Bug for KeepsOnlyConflictsWithARecord {
    async fn conflicts(
        &self,
        store: &MemoryStore,
        scope: Option<Scope>,
    ) -> Result<Vec<Conflict>, StoreError> {
        let mut conflicts = store.conflicts(scope).await?;
        conflicts.retain(|conflict| conflict.theirs.is_some());
        Ok(conflicts)
    }
}

/// The conflicts that pages have told of.
#[derive(Default)]
pub(super) struct ReplacesConflicts(Mutex<Vec<Conflict>>);

#[async_trait]
impl Bug for ReplacesConflicts {
    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let outcome = store.apply(request).await?;
        if let ApplyOutcome::Applied(applied) = &outcome {
            locked(&self.0).extend(applied.conflicts.iter().cloned());
        }
        Ok(outcome)
    }

    async fn conflicts(
        &self,
        store: &MemoryStore,
        scope: Option<Scope>,
    ) -> Result<Vec<Conflict>, StoreError> {
        let mut conflicts = store.conflicts(scope).await?;
        for newer in locked(&self.0).iter() {
            let same = |c: &&mut Conflict| c.mutation_id == newer.mutation_id;
            if let Some(conflict) = conflicts.iter_mut().find(same) {
                conflict.clone_from(newer);
            }
        }
        Ok(conflicts)
    }
}

#[derive(Default)]
pub(super) struct ListsConflictsById;

#[async_trait]
impl Bug for ListsConflictsById {
    async fn conflicts(
        &self,
        store: &MemoryStore,
        scope: Option<Scope>,
    ) -> Result<Vec<Conflict>, StoreError> {
        let mut conflicts = store.conflicts(scope).await?;
        conflicts.sort_by_key(|conflict| conflict.mutation_id);
        Ok(conflicts)
    }
}

#[derive(Default)]
pub(super) struct AcknowledgesTheWholeRecord;

#[async_trait]
impl Bug for AcknowledgesTheWholeRecord {
    async fn acknowledge_conflicts(
        &self,
        store: &MemoryStore,
        ids: Vec<MutationId>,
    ) -> Result<Touched, StoreError> {
        let conflicts = store.conflicts(None).await?;
        let named = |c: &&Conflict| ids.contains(&c.mutation_id);
        let keys: Vec<_> = conflicts.iter().filter(named).map(|c| &c.key).collect();
        let of_records = conflicts.iter().filter(|c| keys.contains(&&c.key));
        let all = of_records.map(|c| c.mutation_id).collect();
        store.acknowledge_conflicts(all).await
    }
}

#[derive(Default)]
pub(super) struct StoresNoNewEntryOfASettlement;

#[async_trait]
impl Bug for StoresNoNewEntryOfASettlement {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let report = store.fork().settle(request.clone()).await?;
        let resolve = Arc::new(ServerWins);
        store.settle(SettleRequest { resolve, ..request }).await?;
        Ok(report)
    }
}

#[derive(Default)]
pub(super) struct ForgetsHowOftenItWasPutAgain;

#[async_trait]
impl Bug for ForgetsHowOftenItWasPutAgain {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let max_again = u32::MAX;
        store
            .settle(SettleRequest {
                max_again,
                ..request
            })
            .await
    }
}

#[derive(Default)]
pub(super) struct PutsMineInPlaceOfAMerge;

#[async_trait]
impl Bug for PutsMineInPlaceOfAMerge {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let resolve = Arc::new(MineAgain);
        store.settle(SettleRequest { resolve, ..request }).await
    }
}

/// The entries as they were before an answer.
#[derive(Default)]
pub(super) struct WritesOnlyWhatWasAnswered(Mutex<BTreeMap<MutationId, Entry>>);

#[async_trait]
impl Bug for WritesOnlyWhatWasAnswered {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let entries = store.entries(EntryFilter::default()).await?;
        let entries = entries.into_iter().map(|entry| (entry.mutation.id, entry));
        locked(&self.0).extend(entries);
        store.settle(request).await
    }

    async fn entries(
        &self,
        store: &MemoryStore,
        filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = store.entries(filter).await?;
        let before = locked(&self.0);
        for entry in entries.iter_mut().filter(|entry| entry.is_pending()) {
            if let Some(before) = before.get(&entry.mutation.id) {
                entry.clone_from(before);
            }
        }
        Ok(entries)
    }
}
