//! A device's database: what it holds is looked at after each transaction, and it fails where the plan says so.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use sync_core::{
    coordination::Leadership,
    error::{StoreError, StoreErrorKind},
    store::Store,
    time::{Clock, Time},
};

use super::{
    executor::{Executor, Process, lock},
    lease::RowLease,
    seen::{Recorder, Seen, TabId},
    snapshot::Snapshot,
};
use crate::layered::{Layer, Next, StoreCall, layered};

/// What all engines of a device share of its database.
#[derive(Clone)]
pub(crate) struct Disk {
    inner: Arc<Mutex<DiskState>>,
    executor: Executor,
    recorder: Recorder,
    scopes: usize,
    /// For who opens it, where its stores have none that runs out.
    lease: Option<RowLease>,
}

struct DiskState {
    held: Arc<Snapshot>,
    /// Whether it has changed since somebody has looked.
    changed: bool,
    full_until: Time,
    crashes: Vec<(StoreCall, bool)>,
    /// The processes that have died at a call and are to be started again.
    dead: Vec<Process>,
}

impl Disk {
    pub(crate) fn new(
        executor: Executor,
        recorder: Recorder,
        scopes: usize,
        lease: Option<RowLease>,
    ) -> Self {
        Self {
            inner: Arc::new(Mutex::new(DiskState {
                held: Arc::default(),
                changed: true,
                full_until: Time::default(),
                crashes: Vec::new(),
                dead: Vec::new(),
            })),
            executor,
            recorder,
            scopes,
            lease,
        }
    }

    /// Ends a process that has it open; every other time, its lease is left behind.
    pub(crate) fn kill(&self, process: Process) {
        let leave = |left| {
            if let Some(lease) = &self.lease {
                lease.set_killing(left);
            }
        };
        leave(self.executor.draw(2) == 0);
        self.executor.kill(process);
        leave(false);
    }

    /// What it held after the last transaction.
    pub(crate) fn held(&self) -> Arc<Snapshot> {
        Arc::clone(&lock(&self.inner).held)
    }

    /// Whether it has changed since the last time it was asked.
    pub(crate) fn take_changed(&self) -> bool {
        std::mem::take(&mut lock(&self.inner).changed)
    }

    pub(crate) fn fill_up(&self, until: Time) {
        lock(&self.inner).full_until = until;
    }

    /// The next call of this kind is the last of its process: it dies before the transaction, or after it.
    pub(crate) fn crash_at(&self, call: StoreCall, after: bool) {
        lock(&self.inner).crashes.push((call, after));
    }

    pub(crate) fn heal(&self) {
        let mut state = lock(&self.inner);
        state.full_until = Time::default();
        state.crashes.clear();
    }

    /// The processes that have died since the last time it was asked.
    pub(crate) fn take_dead(&self) -> Vec<Process> {
        std::mem::take(&mut lock(&self.inner).dead)
    }

    pub(crate) fn has_dead(&self) -> bool {
        !lock(&self.inner).dead.is_empty()
    }
}

/// A database as one process has it open.
#[derive(Clone)]
pub(crate) struct WatchedStore {
    inner: Arc<dyn Store>,
    layer: Watch,
}

#[derive(Clone)]
struct Watch {
    store: Arc<dyn Store>,
    disk: Disk,
    tab: TabId,
    process: Process,
}

impl WatchedStore {
    pub(crate) fn new(store: Arc<dyn Store>, disk: Disk, tab: TabId, process: Process) -> Self {
        Self {
            inner: Arc::clone(&store),
            layer: Watch {
                store,
                disk,
                tab,
                process,
            },
        }
    }
}

impl fmt::Debug for WatchedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedStore").finish_non_exhaustive()
    }
}

layered! { WatchedStore }

impl Watch {
    /// Looks at what the transaction has left behind.
    fn look(&self, call: StoreCall) -> Result<(), StoreError> {
        let after = Snapshot::read(&*self.store, self.disk.scopes)?;
        let after = Arc::new(after.sharing(&self.disk.held()));
        let before = {
            let mut state = lock(&self.disk.inner);
            state.changed = true;
            std::mem::replace(&mut state.held, Arc::clone(&after))
        };
        self.disk.recorder.see(&Seen::Stored {
            tab: self.tab,
            call,
            before: &before,
            after: &after,
        });
        Ok(())
    }

    /// The process ends here: nobody hears of this call any more.
    async fn die<T>(&self) -> T {
        lock(&self.disk.inner).dead.push(self.process);
        self.disk.executor.kill(self.process);
        std::future::pending().await
    }
}

#[async_trait]
impl Layer for Watch {
    async fn around<T: Send>(&self, call: StoreCall, next: Next<'_, T>) -> Result<T, StoreError> {
        let (full, crash) = {
            let mut state = lock(&self.disk.inner);
            let at = state.crashes.iter().position(|(at, _)| *at == call);
            let crash = at.map(|at| state.crashes.remove(at).1);
            (self.disk.executor.clock.now() < state.full_until, crash)
        };
        if crash.is_some() {
            self.disk.recorder.count(crashed_at(call), 1);
        }
        // Engines on one database take turns at any moment.
        if self.disk.executor.draw(8) == 0 {
            self.disk.executor.give_way().await;
        }
        if crash == Some(false) {
            return self.die().await;
        }
        if full {
            self.disk
                .recorder
                .count("fault: disk full at a call of the store", 1);
            return Err(StoreError::new(StoreErrorKind::Full, "the disk is full"));
        }
        let outcome = next.await;
        if outcome.is_ok() {
            self.look(call)?;
        }
        if crash == Some(true) {
            return self.die().await;
        }
        if self.disk.executor.draw(8) == 0 {
            self.disk.executor.give_way().await;
        }
        outcome
    }

    fn last<'a, T: Send + 'a>(&'a self, method: &'static str, next: Next<'a, T>) -> Next<'a, T> {
        // What was read may be old by the time that something is made of it.
        if method != "get" || self.disk.executor.draw(4) != 0 {
            return next;
        }
        Box::pin(async move {
            let read = next.await;
            let executor = &self.disk.executor;
            let late = Duration::from_millis(executor.draw(300) as u64);
            executor
                .clock
                .sleep_until(executor.clock.now() + late)
                .await;
            read
        })
    }

    fn leadership(&self, inner: Arc<dyn Leadership>) -> Arc<dyn Leadership> {
        match &self.disk.lease {
            Some(lease) => Arc::new(lease.clone()),
            None => inner,
        }
    }
}

macro_rules! crashes {
    ($($call:ident = $label:literal,)*) => {
        /// The labels of processes that die at a call.
        pub(crate) const CRASHES: &[&str] = &[$($label),*];

        /// The calls at which a process can die.
        pub(crate) const CALLS: &[StoreCall] = &[$(StoreCall::$call),*];

        fn crashed_at(call: StoreCall) -> &'static str {
            match call { $(StoreCall::$call => $label,)* }
        }
    };
}

crashes! {
    Enqueue = "crash: at enqueue",
    Take = "crash: at take",
    Settle = "crash: at settle",
    Retry = "crash: at retry",
    Discard = "crash: at discard",
    Bind = "crash: at bind",
    Lead = "crash: at lead",
    Apply = "crash: at apply",
    Resync = "crash: at resync",
    Sweep = "crash: at sweep",
    Purge = "crash: at purge",
    Wipe = "crash: at wipe",
    Acknowledge = "crash: at acknowledge",
}
