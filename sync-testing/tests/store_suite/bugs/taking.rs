//! Bugs of taking.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::MutationId,
    policy::NoUpgrade,
    store::{EntryFilter, EntryState, MemoryStore, Outbox, Pick, TakeRequest, Taken, TakenEntry},
    transport::ServerTraits,
};

use crate::bent::{Bug, locked};

#[derive(Default)]
pub(super) struct TakesScopeByScope;

#[async_trait]
impl Bug for TakesScopeByScope {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let mut taken = store.take(request).await?;
        let scope = |taken: &TakenEntry| taken.entry.mutation.key.scope.clone();
        taken.entries.sort_by_key(scope);
        Ok(taken)
    }
}

/// The database as it was before the newest taking.
#[derive(Default)]
pub(super) struct LosesTheMarkOfSending(Mutex<Option<MemoryStore>>);

#[async_trait]
impl Bug for LosesTheMarkOfSending {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        *locked(&self.0) = Some(store.fork());
        store.take(request).await
    }

    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        let before = locked(&self.0).take();
        before.unwrap_or_else(|| store.clone())
    }
}

#[derive(Default)]
pub(super) struct KeepsWhatIsInFlight(Mutex<BTreeSet<MutationId>>);

#[async_trait]
impl Bug for KeepsWhatIsInFlight {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let mut taken = store.take(request).await?;
        let mut in_flight = locked(&self.0);
        let mut fresh = |id| in_flight.insert(id);
        taken.entries.retain(|t| fresh(t.entry.mutation.id));
        Ok(taken)
    }
}

#[derive(Default)]
pub(super) struct MarksOnlyWhatWasUnsent;

#[async_trait]
impl Bug for MarksOnlyWhatWasUnsent {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let entries = store.entries(EntryFilter::default()).await?;
        if entries.iter().all(|entry| entry.was_sent()) {
            return store.fork().take(request).await;
        }
        store.take(request).await
    }
}

#[derive(Default)]
pub(super) struct BoundsByCountAlone;

#[async_trait]
impl Bug for BoundsByCountAlone {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let max_bytes = u64::MAX;
        store
            .take(TakeRequest {
                max_bytes,
                ..request
            })
            .await
    }
}

#[derive(Default)]
pub(super) struct PassesLargeEntriesOver;

#[async_trait]
impl Bug for PassesLargeEntriesOver {
    async fn take(
        &self,
        store: &MemoryStore,
        mut request: TakeRequest,
    ) -> Result<Taken, StoreError> {
        for entry in store.entries(EntryFilter::default()).await? {
            let bytes = entry.mutation.op.payload().map_or(0, |p| p.len() as u64);
            if bytes > request.max_bytes {
                request.pick.skip.insert(entry.mutation.id);
            }
        }
        store.take(request).await
    }
}

#[derive(Default)]
pub(super) struct MarksAllAndPicksLater;

#[async_trait]
impl Bug for MarksAllAndPicksLater {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let picked = store.fork().take(request.clone()).await?;
        let pick = Pick::default();
        store.take(TakeRequest { pick, ..request }).await?;
        Ok(picked)
    }
}

#[derive(Default)]
pub(super) struct LeavesUnpulledScopesOut;

#[async_trait]
impl Bug for LeavesUnpulledScopesOut {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let mut taken = store.take(request).await?;
        taken.cursors.retain(|(_, cursor)| cursor.is_some());
        Ok(taken)
    }
}

#[derive(Default)]
pub(super) struct KnowsOneKindOfServer;

#[async_trait]
impl Bug for KnowsOneKindOfServer {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let traits = ServerTraits::default();
        store.take(TakeRequest { traits, ..request }).await
    }
}

#[derive(Default)]
pub(super) struct SendsForEver;

#[async_trait]
impl Bug for SendsForEver {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        // What was forgotten is offered as if it had been taken a moment ago.
        let mut sent = Vec::new();
        for entry in store.entries(EntryFilter::default()).await? {
            if let EntryState::Pending(pending) = entry.state {
                sent.extend(pending.sent_at);
            }
        }
        let now = sent.into_iter().min().unwrap_or(request.now);
        store.take(TakeRequest { now, ..request }).await
    }
}

#[derive(Default)]
pub(super) struct UpgradesOnlyTheBatch;

#[async_trait]
impl Bug for UpgradesOnlyTheBatch {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let taken = store.fork().take(request.clone()).await?;
        let upgrade = Arc::new(NoUpgrade);
        store.take(TakeRequest { upgrade, ..request }).await?;
        Ok(taken)
    }
}
