//! Bugs of purging.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{Epoch, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflicts, CursorStore, EntryFilter, EntryKind,
        Fence, MemoryStore, Outbox, Purged, Revoked, Touched,
    },
    time::Timestamp,
};

use crate::bent::{Bug, locked};

#[derive(Default)]
pub(super) struct PurgesByPrefix;

#[async_trait]
impl Bug for PurgesByPrefix {
    async fn purge(
        &self,
        store: &MemoryStore,
        scope: Scope,
        at: Timestamp,
        fence: Fence,
    ) -> Result<Purged, StoreError> {
        let purged = store.purge(scope.clone(), at, fence).await?;
        for row in store.scopes().await? {
            if row.scope != scope && row.scope.as_str().starts_with(scope.as_str()) {
                store.purge(row.scope, at, fence).await?;
            }
        }
        Ok(purged)
    }
}

/// The generation goes with the scope's row, or with the database, and begins at one again.
#[derive(Default)]
pub(super) struct BeginsAgainAtOne(Mutex<BTreeSet<Scope>>);

impl BeginsAgainAtOne {
    fn forget(&self, scope: Scope) {
        locked(&self.0).insert(scope);
    }
}

#[async_trait]
impl Bug for BeginsAgainAtOne {
    async fn purge(
        &self,
        store: &MemoryStore,
        scope: Scope,
        at: Timestamp,
        fence: Fence,
    ) -> Result<Purged, StoreError> {
        self.forget(scope.clone());
        store.purge(scope, at, fence).await
    }

    async fn wipe(&self, store: &MemoryStore, force: bool) -> Result<Touched, StoreError> {
        for scope in ["baby", "toy"] {
            self.forget(scope.into());
        }
        store.wipe(force).await
    }

    async fn apply(
        &self,
        store: &MemoryStore,
        mut request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        if locked(&self.0).contains(&request.scope) {
            request.generation = store.scope(request.scope.clone()).await?.0.generation;
        }
        store.apply(request).await
    }
}

/// Only what is in the outbox is looked for.
#[derive(Default)]
pub(super) struct DropsWhatHasFailed;

#[async_trait]
impl Bug for DropsWhatHasFailed {
    async fn purge(
        &self,
        store: &MemoryStore,
        scope: Scope,
        at: Timestamp,
        fence: Fence,
    ) -> Result<Purged, StoreError> {
        let filter = EntryFilter {
            scope: Some(scope.clone()),
            state: Some(EntryKind::Failed),
            ..EntryFilter::default()
        };
        for entry in store.entries(filter).await? {
            store.discard(entry.mutation.key).await?;
        }
        store.purge(scope, at, fence).await
    }
}

#[derive(Default)]
pub(super) struct RevokesInMemory(AtomicBool);

#[async_trait]
impl Bug for RevokesInMemory {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.store(true, Ordering::SeqCst);
        store.clone()
    }

    async fn revoked(&self, store: &MemoryStore) -> Result<Vec<Revoked>, StoreError> {
        match self.0.load(Ordering::SeqCst) {
            true => Ok(Vec::new()),
            false => store.revoked().await,
        }
    }
}

#[derive(Default)]
pub(super) struct PurgesConflicts;

#[async_trait]
impl Bug for PurgesConflicts {
    async fn purge(
        &self,
        store: &MemoryStore,
        scope: Scope,
        at: Timestamp,
        fence: Fence,
    ) -> Result<Purged, StoreError> {
        let conflicts = store.conflicts(Some(scope.clone())).await?;
        let ids = conflicts.iter().map(|conflict| conflict.mutation_id);
        store.acknowledge_conflicts(ids.collect()).await?;
        store.purge(scope, at, fence).await
    }
}

/// The epoch is kept in a table of its own, which a purge passes over.
#[derive(Default)]
pub(super) struct KeepsTheEpoch(Mutex<BTreeMap<Scope, Epoch>>);

#[async_trait]
impl Bug for KeepsTheEpoch {
    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        if let Some(epoch) = &request.page.epoch {
            let mut epochs = locked(&self.0);
            let first = epochs.entry(request.scope.clone()).or_insert(epoch.clone());
            if first != epoch {
                return Ok(ApplyOutcome::OtherEpoch);
            }
        }
        store.apply(request).await
    }
}
