//! Bugs of the lead, and of notices.

use std::{
    mem::ManuallyDrop,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use sync_core::{
    coordination::{Leadership, Lease, Local, Notice, Notices, PeerId, Peers},
    error::StoreError,
    model::{Account, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Coordination, CursorStore, Fence, MemoryStore,
        Outbox, Purged, SettleReport, SettleRequest, SweepOutcome, TakeRequest, Taken, Touched,
    },
    time::{Clock, Timestamp},
};

use crate::bent::Bug;

/// The newest token, with which every call passes.
#[derive(Default)]
struct Newest(AtomicU64);

impl Newest {
    async fn lead(&self, store: &MemoryStore, account: Account) -> Result<Fence, StoreError> {
        let fence = store.lead(account).await?;
        self.0.store(fence.0, Ordering::Relaxed);
        Ok(fence)
    }

    fn token(&self) -> Fence {
        Fence(self.0.load(Ordering::Relaxed))
    }
}

/// A bug that lets every token pass in one method.
macro_rules! for_anybody {
    ($bug:ident, fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty, $call:expr) => {
        #[derive(Default)]
        pub(super) struct $bug(Newest);

        #[async_trait]
        impl Bug for $bug {
            async fn lead(
                &self,
                store: &MemoryStore,
                account: Account,
            ) -> Result<Fence, StoreError> {
                self.0.lead(store, account).await
            }

            async fn $method(
                &self,
                store: &MemoryStore,
                $($argument: $type),*
            ) -> Result<$answer, StoreError> {
                let call = $call;
                call(store, self.0.token(), $($argument),*).await
            }
        }
    };
}

for_anybody!(
    TakesForAnybody,
    fn take(request: TakeRequest) -> Taken,
    async |store: &MemoryStore, fence, request| {
        store.take(TakeRequest { fence, ..request }).await
    }
);

for_anybody!(
    SettlesForAnybody,
    fn settle(request: SettleRequest) -> SettleReport,
    async |store: &MemoryStore, fence, request| {
        store.settle(SettleRequest { fence, ..request }).await
    }
);

for_anybody!(
    AppliesForAnybody,
    fn apply(request: ApplyRequest) -> ApplyOutcome,
    async |store: &MemoryStore, fence, request| {
        store.apply(ApplyRequest { fence, ..request }).await
    }
);

for_anybody!(
    ResyncsForAnybody,
    fn resync(scope: Scope, new_epoch: bool, _fence: Fence) -> Touched,
    async |store: &MemoryStore, fence, scope, new_epoch, _| {
        store.resync(scope, new_epoch, fence).await
    }
);

for_anybody!(
    SweepsForAnybody,
    fn sweep(scope: Scope, limit: u32, _fence: Fence) -> SweepOutcome,
    async |store: &MemoryStore, fence, scope, limit, _| store.sweep(scope, limit, fence).await
);

for_anybody!(
    PurgesForAnybody,
    fn purge(scope: Scope, at: Timestamp, _fence: Fence) -> Purged,
    async |store: &MemoryStore, fence, scope, at, _| store.purge(scope, at, fence).await
);

#[derive(Default)]
pub(super) struct LeadsPerHandle;

impl Bug for LeadsPerHandle {
    fn leadership(&self, _: &MemoryStore) -> Arc<dyn Leadership> {
        Arc::new(Local::new())
    }
}

#[derive(Default)]
pub(super) struct KeepsTheLead;

impl Bug for KeepsTheLead {
    fn leadership(&self, store: &MemoryStore) -> Arc<dyn Leadership> {
        Arc::new(Kept(store.leadership()))
    }
}

#[derive(Debug)]
struct Kept(Arc<dyn Leadership>);

#[async_trait]
impl Leadership for Kept {
    async fn acquire(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        let lease = self.0.acquire(clock).await?;
        Ok(Box::new(KeptLease(ManuallyDrop::new(lease))))
    }
}

#[derive(Debug)]
struct KeptLease(ManuallyDrop<Box<dyn Lease>>);

#[async_trait]
impl Lease for KeptLease {
    async fn lost(&mut self) {
        self.0.lost().await;
    }

    async fn release(self: Box<Self>) {}
}

#[derive(Default)]
pub(super) struct WaitsOn;

impl Bug for WaitsOn {
    fn leadership(&self, store: &MemoryStore) -> Arc<dyn Leadership> {
        Arc::new(Queued(store.leadership()))
    }
}

#[derive(Debug)]
struct Queued(Arc<dyn Leadership>);

#[async_trait]
impl Leadership for Queued {
    async fn acquire(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        let leadership = Arc::clone(&self.0);
        // It is never dropped, and so keeps its place.
        let waiting = Box::pin(async move { leadership.acquire(clock).await });
        ManuallyDrop::new(waiting).as_mut().await
    }
}

#[derive(Default)]
pub(super) struct NoticesPerHandle;

impl Bug for NoticesPerHandle {
    fn peers(&self, _: &MemoryStore) -> Arc<dyn Peers> {
        Arc::new(Local::new())
    }
}

#[derive(Default)]
pub(super) struct HearsItself;

impl Bug for HearsItself {
    fn peers(&self, store: &MemoryStore) -> Arc<dyn Peers> {
        Arc::new(Everybody(store.peers()))
    }
}

#[derive(Debug)]
struct Everybody(Arc<dyn Peers>);

impl Peers for Everybody {
    fn send(&self, _: PeerId, notice: &Notice) {
        self.0.send(PeerId(u64::MAX), notice);
    }

    fn listen(&self, as_peer: PeerId, clock: Arc<dyn Clock>) -> Box<dyn Notices> {
        self.0.listen(as_peer, clock)
    }
}
