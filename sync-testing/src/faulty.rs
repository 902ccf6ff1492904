//! A store that fails where a test wants it to.

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
};

use async_trait::async_trait;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    store::Store,
};

use crate::layered::{Layer, Next, StoreCall, layered};

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
    layer: Faults,
}

#[derive(Clone, Default)]
struct Faults(Arc<Mutex<State>>);

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
            layer: Faults::default(),
        }
    }

    /// The next call of this kind that has no fault yet meets this one.
    pub fn fail_next(&self, call: StoreCall, fault: StoreFault) -> &Self {
        self.layer.state().faults.push((call, fault));
        self
    }

    /// Forgets the faults that no call has met yet.
    pub fn heal(&self) {
        self.layer.state().faults.clear();
    }

    /// The calls so far that change the store, in order; the list starts anew.
    pub fn take_calls(&self) -> Vec<StoreCall> {
        std::mem::take(&mut self.layer.state().calls)
    }
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyStore")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

layered! { FaultyStore }

impl Faults {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn meet(&self, call: StoreCall) -> Option<StoreFault> {
        let mut state = self.state();
        state.calls.push(call);
        let at = state.faults.iter().position(|(on, _)| *on == call)?;
        Some(state.faults.remove(at).1)
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Layer for Faults {
    async fn around<T: Send>(&self, call: StoreCall, next: Next<'_, T>) -> Result<T, StoreError> {
        match self.meet(call) {
            None => next.await,
            Some(StoreFault::Error(kind)) => {
                Err(StoreError::new(kind, format!("injected into {call:?}")))
            }
            Some(StoreFault::Slow) => {
                a_turn().await;
                next.await
            }
            Some(StoreFault::StopBefore) => std::future::pending().await,
            Some(StoreFault::StopAfter) => {
                next.await?;
                std::future::pending().await
            }
        }
    }
}

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
