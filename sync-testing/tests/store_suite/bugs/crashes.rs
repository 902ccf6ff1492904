//! Bugs that a crash brings to light.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{Account, MutationId, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflicts, CursorStore, EnqueueRequest,
        Enqueued, Fence, MemoryStore, Outbox, SettleReport, SettleRequest, SweepOutcome,
        TakeRequest, Taken, Touched,
    },
};

use crate::bent::Bug;

/// What is durable, where that is less than what is there.
#[derive(Default)]
struct Durable(Mutex<Option<MemoryStore>>);

impl Durable {
    /// What comes from here on is lost in a crash.
    fn only(&self, store: MemoryStore) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    fn after_a_crash(&self, store: &MemoryStore) -> MemoryStore {
        let mut durable = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        durable.take().unwrap_or_else(|| store.clone())
    }
}

#[derive(Default)]
pub(super) struct ReturnsBeforeTheCommit(Durable);

#[async_trait]
impl Bug for ReturnsBeforeTheCommit {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.after_a_crash(store)
    }

    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        self.0.only(store.fork());
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct KeepsTheMarkInMemory(Durable);

#[async_trait]
impl Bug for KeepsTheMarkInMemory {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.after_a_crash(store)
    }

    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        self.0.only(store.fork());
        store.take(request).await
    }
}

#[derive(Default)]
pub(super) struct KeepsAnswersInMemory(Durable);

#[async_trait]
impl Bug for KeepsAnswersInMemory {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.after_a_crash(store)
    }

    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        self.0.only(store.fork());
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct SavesTheCursorFirst(Durable);

#[async_trait]
impl Bug for SavesTheCursorFirst {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.after_a_crash(store)
    }

    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let durable = store.fork();
        let mut cursor_alone = request.clone();
        cursor_alone.page.changes.clear();
        durable.apply(cursor_alone).await?;
        self.0.only(durable);
        store.apply(request).await
    }
}

/// That a sweep is due is known to the handle that has applied the last page.
#[derive(Default)]
pub(super) struct KeepsTheSweepInMemory(AtomicBool);

#[async_trait]
impl Bug for KeepsTheSweepInMemory {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.store(true, Ordering::Relaxed);
        store.clone()
    }

    async fn sweep(
        &self,
        store: &MemoryStore,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        if self.0.load(Ordering::Relaxed) {
            return Ok(SweepOutcome {
                done: true,
                touched: Touched::default(),
            });
        }
        store.sweep(scope, limit, fence).await
    }
}

#[derive(Default)]
pub(super) struct HidesConflictsInMemory(Durable);

#[async_trait]
impl Bug for HidesConflictsInMemory {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.after_a_crash(store)
    }

    async fn acknowledge_conflicts(
        &self,
        store: &MemoryStore,
        ids: Vec<MutationId>,
    ) -> Result<Touched, StoreError> {
        self.0.only(store.fork());
        store.acknowledge_conflicts(ids).await
    }
}

#[derive(Default)]
pub(super) struct CountsLeadsInMemory(AtomicU64);

#[async_trait]
impl Bug for CountsLeadsInMemory {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.store(0, Ordering::Relaxed);
        store.clone()
    }

    async fn lead(&self, store: &MemoryStore, account: Account) -> Result<Fence, StoreError> {
        store.lead(account).await?;
        Ok(Fence(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}
