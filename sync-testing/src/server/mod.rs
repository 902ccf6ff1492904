//! A server and its devices in one process, on one clock.

mod device;
mod network;

use std::{
    fmt,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use sync_core::{
    engine::{EngineError, SyncEngineBuilder},
    model::{Account, EntityId, Scope},
    store::{MemoryStore, Store},
    time::{Clock, Time},
    transport::TransportErrorKind,
};
use sync_server::{
    Server,
    access::{MemoryMembers, Role},
    decide::Rules,
    log::{Backup, MemoryLog},
};

use crate::{SeededEntropy, VirtualClock};

pub use device::TestDevice;
pub use network::Fault;
use network::Network;

/// How long [`TestServer::settle`] lets time pass at least: two polls and what they set off.
const SETTLE: Duration = Duration::from_secs(12);

/// The real server's logic over a log in memory, and devices that sync with it without a socket. Clones are the
/// same server.
///
/// Time is virtual, and passes only in [`settle`](Self::settle), [`run_for`](Self::run_for) and
/// [`run`](Self::run); the devices' drivers run only there, too. What waits for a driver (`sync_now`, `idle`, `drain`,
/// `shutdown`, `wipe`) must be awaited inside `run`, as `server.run(engine.sync_now([]))`; outside, it never returns.
#[derive(Clone)]
pub struct TestServer {
    inner: Arc<Inner>,
}

struct Inner {
    server: Server,
    log: MemoryLog,
    members: MemoryMembers,
    clock: VirtualClock,
    network: Network,
    drivers: Mutex<Vec<BoxFuture<'static, ()>>>,
    devices: Mutex<Vec<TestDevice>>,
    next_seed: AtomicU64,
}

impl TestServer {
    /// A server without records. A scope belongs to whoever writes there first.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|server| server)
    }

    /// A server with rules of its own: how conflicts end, how long things are kept.
    #[must_use]
    pub fn with_rules(rules: Rules) -> Self {
        Self::with(|server| server.with_rules(rules))
    }

    /// A server that is set up as your own is: rules, validation, limits.
    #[must_use]
    pub fn with(set_up: impl FnOnce(Server) -> Server) -> Self {
        let (log, members, clock) = (MemoryLog::new(), MemoryMembers::new(), VirtualClock::new());
        let server = Server::new(
            Arc::new(log.clone()),
            Arc::new(members.clone()),
            Arc::new(clock.clone()),
            Arc::new(SeededEntropy::new(0)),
        );
        let server = set_up(server);
        Self {
            inner: Arc::new(Inner {
                network: Network::new(server.clone(), clock.clone()),
                server,
                log,
                members,
                clock,
                drivers: Mutex::default(),
                devices: Mutex::default(),
                next_seed: AtomicU64::new(1),
            }),
        }
    }

    /// A device of this account, with a database in memory.
    ///
    /// # Errors
    /// Those of opening an engine.
    pub async fn device(&self, account: impl Into<Account>) -> Result<TestDevice, EngineError> {
        self.device_on(account, MemoryStore::new()).await
    }

    /// A device of this account on a database of the test's own.
    ///
    /// # Errors
    /// Those of opening an engine, as `OtherAccount`.
    pub async fn device_on(
        &self,
        account: impl Into<Account>,
        store: impl Store + Clone,
    ) -> Result<TestDevice, EngineError> {
        self.device_with(account, store, |builder| builder).await
    }

    /// A device of this account on this database, with an engine that is set up as the app's own: policies,
    /// settings, entities. It is called again whenever the device restarts.
    ///
    /// # Errors
    /// Those of opening an engine, as `OtherAccount`.
    pub async fn device_with(
        &self,
        account: impl Into<Account>,
        store: impl Store + Clone,
        set_up: impl Fn(SyncEngineBuilder) -> SyncEngineBuilder + Send + Sync + 'static,
    ) -> Result<TestDevice, EngineError> {
        let seed = self.inner.next_seed.fetch_add(1, Ordering::Relaxed);
        let device = TestDevice::open(self, account.into(), store, set_up, seed).await?;
        lock(&self.inner.devices).push(device.clone());
        Ok(device)
    }

    /// Makes an account a member of a scope, or changes its role.
    pub fn grant(&self, scope: impl Into<Scope>, account: impl Into<Account>, role: Role) {
        self.inner.members.grant(scope, account, role);
    }

    /// Takes an account's access to a scope away.
    pub fn revoke(&self, scope: impl Into<Scope>, account: impl Into<Account>) {
        self.inner.members.revoke(&scope.into(), &account.into());
    }

    /// The next request, of whatever device, meets this fault.
    pub fn fail_next(&self, fault: Fault) {
        self.inner.network.fail_next(fault);
    }

    /// From now on every batch with a mutation of this record fails as a whole with an error of this kind, of
    /// whatever device it is.
    pub fn choke_on(&self, record: impl Into<EntityId>, kind: TransportErrorKind) {
        self.inner.network.poison(record.into(), kind);
    }

    /// The server chokes on nothing any more.
    pub fn swallow(&self) {
        self.inner.network.heal();
    }

    /// How many requests the devices have tried to make so far.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.inner.network.requests()
    }

    /// All that the server holds now.
    #[must_use]
    pub fn backup(&self) -> Backup {
        self.inner.log.backup()
    }

    /// Restores the server from a backup, with the new epoch that every restore needs.
    ///
    /// # Panics
    /// Never: the log in memory does not fail.
    pub async fn restore(&self, backup: &Backup) {
        self.inner.log.restore(backup);
        let begun = self.inner.server.new_epoch().await;
        assert!(begun.is_ok(), "the log in memory does not fail");
    }

    /// The server's logic, for what a test wants to ask of it directly.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.inner.server
    }

    /// The clock that the server and all devices live on.
    #[must_use]
    pub fn clock(&self) -> &VirtualClock {
        &self.inner.clock
    }

    /// Lets time pass until every device has pushed and pulled what it can: at least two polls, and at most ten
    /// minutes of virtual time.
    pub async fn settle(&self) {
        self.run_for(SETTLE).await;
        let devices = lock(&self.inner.devices).clone();
        let all_idle = async {
            for device in devices {
                device.engine().idle().await;
            }
        };
        let limit = self.inner.clock.now() + Duration::from_secs(600);
        self.run_until(all_idle, Some(limit)).await;
    }

    /// Lets this much time pass.
    pub async fn run_for(&self, time: Duration) {
        let until = self.inner.clock.now() + time;
        self.run_until(std::future::pending::<()>(), Some(until))
            .await;
    }

    /// Runs a future to its end, with the drivers of all devices beside it.
    ///
    /// # Panics
    /// When the future and all devices wait for something other than time: it would never end.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        match self.run_until(future, None).await {
            Some(output) => output,
            None => unreachable!("without a limit it ends with the future"),
        }
    }

    async fn run_until<F: Future>(&self, future: F, limit: Option<Time>) -> Option<F::Output> {
        let clock = &self.inner.clock;
        let mut future = pin!(future);
        let mut timer = match limit {
            Some(limit) => clock.sleep_until(limit),
            None => std::future::pending().boxed(),
        };
        let step = std::future::poll_fn(|cx| {
            // A restart adds to the list meanwhile: the lock is not held while the drivers are polled.
            let mut drivers = std::mem::take(&mut *lock(&self.inner.drivers));
            drivers.retain_mut(|driver| driver.poll_unpin(cx).is_pending());
            lock(&self.inner.drivers).append(&mut drivers);
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut timer).poll(cx).map(|()| None)
        });
        clock.run(step).await
    }

    fn spawn(&self, driver: BoxFuture<'static, ()>) {
        lock(&self.inner.drivers).push(driver);
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer")
            .field("clock", &self.inner.clock)
            .finish_non_exhaustive()
    }
}

impl Default for TestServer {
    fn default() -> Self {
        Self::new()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
