//! A store that fails where a test wants it to.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use sync_core::{
    coordination::{Leadership, Peers},
    error::{StoreError, StoreErrorKind},
    model::{Account, EntityType, MutationId, RecordKey, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, Coordination, Counts,
        CursorStore, EnqueueRequest, Enqueued, Entry, EntryFilter, Fence, ListRequest, Outbox,
        Purged, RecordRow, Records, Revoked, ScopeRow, SettleReport, SettleRequest, Stamp, Store,
        SweepOutcome, TakeRequest, Taken, Tick, Touched,
    },
    time::Timestamp,
};

/// The calls of a store that change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreCall {
    /// `Outbox::enqueue`
    Enqueue,
    /// `Outbox::take`
    Take,
    /// `Outbox::settle`
    Settle,
    /// `Outbox::retry`
    Retry,
    /// `Outbox::discard`
    Discard,
    /// `CursorStore::lead`
    Lead,
    /// `ChangeApplier::apply`
    Apply,
    /// `ChangeApplier::resync`
    Resync,
    /// `ChangeApplier::sweep`
    Sweep,
    /// `ChangeApplier::purge`
    Purge,
    /// `ChangeApplier::wipe`
    Wipe,
}

/// What happens at a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreFault {
    /// It fails with an error of this kind, and nothing is changed.
    Error(StoreErrorKind),
    /// It takes its time: it begins only when its future is polled again.
    Slow,
    /// The process stops before the transaction: the call does nothing and never returns.
    StopBefore,
    /// The process stops after the transaction: the call is done and never returns.
    StopAfter,
}

/// A store that passes every call on to another one, but for those that a test has chosen. Clones are the same
/// store.
#[derive(Clone)]
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    faults: Vec<(StoreCall, StoreFault)>,
    calls: Vec<StoreCall>,
}

impl FaultyStore {
    /// A store that passes every call on.
    #[must_use]
    pub fn new(inner: impl Store) -> Self {
        Self {
            inner: Arc::new(inner),
            state: Arc::default(),
        }
    }

    /// The next call of this kind that has no fault yet meets this one.
    pub fn fail_next(&self, call: StoreCall, fault: StoreFault) -> &Self {
        self.state().faults.push((call, fault));
        self
    }

    /// Forgets the faults that no call has met yet.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// The calls so far, in order; the list starts anew.
    pub fn take_calls(&self) -> Vec<StoreCall> {
        std::mem::take(&mut self.state().calls)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self, call: StoreCall) -> Option<StoreFault> {
        let mut state = self.state();
        state.calls.push(call);
        let at = state.faults.iter().position(|(on, _)| *on == call)?;
        Some(state.faults.remove(at).1)
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

/// Passes a call on, or meets its fault.
/// Is ready when it is polled a second time.
async fn a_turn() {
    let mut polled = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

macro_rules! faulty {
    ($self:ident, $call:ident, $pass_on:expr) => {
        match $self.fault(StoreCall::$call) {
            None => $pass_on.await,
            Some(StoreFault::Error(kind)) => Err(StoreError::new(
                kind,
                concat!("injected into ", stringify!($call)),
            )),
            Some(StoreFault::Slow) => {
                a_turn().await;
                $pass_on.await
            }
            Some(StoreFault::StopBefore) => std::future::pending().await,
            Some(StoreFault::StopAfter) => {
                $pass_on.await?;
                std::future::pending().await
            }
        }
    };
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Outbox for FaultyStore {
    async fn enqueue(&self, request: EnqueueRequest) -> Result<Vec<Enqueued>, StoreError> {
        faulty!(self, Enqueue, self.inner.enqueue(request))
    }

    async fn take(&self, request: TakeRequest) -> Result<Taken, StoreError> {
        faulty!(self, Take, self.inner.take(request))
    }

    async fn settle(&self, request: SettleRequest) -> Result<SettleReport, StoreError> {
        faulty!(self, Settle, self.inner.settle(request))
    }

    async fn entries(&self, filter: EntryFilter) -> Result<Vec<Entry>, StoreError> {
        self.inner.entries(filter).await
    }

    async fn retry(
        &self,
        key: RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError> {
        faulty!(self, Retry, self.inner.retry(key, stamp))
    }

    async fn discard(&self, key: RecordKey) -> Result<(Vec<Entry>, Touched), StoreError> {
        faulty!(self, Discard, self.inner.discard(key))
    }

    async fn counts(&self, scope: Option<Scope>) -> Result<Counts, StoreError> {
        self.inner.counts(scope).await
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl CursorStore for FaultyStore {
    async fn bind(&self, account: Account) -> Result<(), StoreError> {
        self.inner.bind(account).await
    }

    async fn lead(&self, account: Account) -> Result<Fence, StoreError> {
        faulty!(self, Lead, self.inner.lead(account))
    }

    async fn scope(&self, scope: Scope) -> Result<(ScopeRow, Tick), StoreError> {
        self.inner.scope(scope).await
    }

    async fn scopes(&self) -> Result<Vec<ScopeRow>, StoreError> {
        self.inner.scopes().await
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl ChangeApplier for FaultyStore {
    async fn apply(&self, request: ApplyRequest) -> Result<ApplyOutcome, StoreError> {
        faulty!(self, Apply, self.inner.apply(request))
    }

    async fn resync(
        &self,
        scope: Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        faulty!(self, Resync, self.inner.resync(scope, new_epoch, fence))
    }

    async fn sweep(
        &self,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        faulty!(self, Sweep, self.inner.sweep(scope, limit, fence))
    }

    async fn purge(&self, scope: Scope, at: Timestamp, fence: Fence) -> Result<Purged, StoreError> {
        faulty!(self, Purge, self.inner.purge(scope, at, fence))
    }

    async fn wipe(&self, force: bool) -> Result<Touched, StoreError> {
        faulty!(self, Wipe, self.inner.wipe(force))
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Records for FaultyStore {
    async fn get(&self, key: RecordKey) -> Result<Option<RecordRow>, StoreError> {
        self.inner.get(key).await
    }

    async fn list(&self, request: ListRequest) -> Result<Vec<RecordRow>, StoreError> {
        self.inner.list(request).await
    }

    async fn count(
        &self,
        scope: Scope,
        entity_type: Option<EntityType>,
    ) -> Result<u64, StoreError> {
        self.inner.count(scope, entity_type).await
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Conflicts for FaultyStore {
    async fn conflicts(&self, scope: Option<Scope>) -> Result<Vec<Conflict>, StoreError> {
        self.inner.conflicts(scope).await
    }

    async fn acknowledge_conflicts(&self, ids: Vec<MutationId>) -> Result<Touched, StoreError> {
        self.inner.acknowledge_conflicts(ids).await
    }

    async fn revoked(&self) -> Result<Vec<Revoked>, StoreError> {
        self.inner.revoked().await
    }

    async fn acknowledge_revoked(&self, ids: Vec<MutationId>) -> Result<(), StoreError> {
        self.inner.acknowledge_revoked(ids).await
    }
}

impl Coordination for FaultyStore {
    fn leadership(&self) -> Arc<dyn Leadership> {
        self.inner.leadership()
    }

    fn peers(&self) -> Arc<dyn Peers> {
        self.inner.peers()
    }
}
