//! One device of a test.

use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::future::{AbortHandle, BoxFuture, abortable};
use sync_core::{
    engine::{Driver, EngineError, ScopeHandle, SyncEngine, SyncEngineBuilder},
    model::{Account, Scope},
    store::Store,
    time::Clock,
};

use super::{Fault, TestServer, lock, network::Link};
use crate::SeededEntropy;

type Open =
    Box<dyn Fn() -> BoxFuture<'static, Result<(SyncEngine, Driver), EngineError>> + Send + Sync>;

/// A device that syncs with a [`TestServer`]. Clones are the same device.
#[derive(Clone)]
pub struct TestDevice {
    inner: Arc<Inner>,
}

struct Inner {
    account: Account,
    link: Link,
    /// What the engine was last told about the network.
    online: AtomicBool,
    open: Open,
    running: Mutex<Running>,
}

/// The process on the device, so to speak.
struct Running {
    engine: SyncEngine,
    driver: AbortHandle,
}

impl TestDevice {
    pub(super) async fn open(
        server: &TestServer,
        account: Account,
        store: impl Store + Clone,
        set_up: impl Fn(SyncEngineBuilder) -> SyncEngineBuilder + Send + Sync + 'static,
        seed: u64,
    ) -> Result<Self, EngineError> {
        let link = server.inner.network.link(account.clone());
        let clock: Arc<dyn Clock> = Arc::new(server.clock().clone());
        let entropy = Arc::new(SeededEntropy::new(seed));
        let (transport, of) = (link.clone(), account.clone());
        let open: Open = Box::new(move || {
            let builder = SyncEngine::builder(store.clone(), transport.clone())
                .account(of.clone())
                .clock(Arc::clone(&clock))
                .entropy(entropy.clone());
            Box::pin(set_up(builder).open())
        });
        let running = start(server, &open).await?;
        Ok(Self {
            inner: Arc::new(Inner {
                account,
                link,
                online: AtomicBool::new(true),
                open,
                running: Mutex::new(running),
            }),
        })
    }

    /// The engine's handle. After a [`restart`](Self::restart) it is another one.
    #[must_use]
    pub fn engine(&self) -> SyncEngine {
        lock(&self.inner.running).engine.clone()
    }

    /// The handle of a scope.
    #[must_use]
    pub fn scope(&self, scope: impl Into<Scope>) -> ScopeHandle {
        self.engine().scope(scope)
    }

    /// The account that the device is logged in as.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.inner.account
    }

    /// Takes the network away; the engine is told, as a platform would.
    pub fn go_offline(&self) {
        self.inner.link.set_up(false);
        self.tell_online(false);
    }

    /// Gives the network back; the engine is told.
    pub fn go_online(&self) {
        self.inner.link.set_up(true);
        self.tell_online(true);
    }

    fn tell_online(&self, online: bool) {
        self.inner.online.store(online, Ordering::Relaxed);
        self.engine().set_online(online);
    }

    /// Takes the network away, or gives it back, without telling the engine.
    pub fn set_reachable(&self, reachable: bool) {
        self.inner.link.set_up(reachable);
    }

    /// How long each request, and each answer, takes from now on. At first they take no time.
    pub fn set_latency(&self, latency: Duration) {
        self.inner.link.set_latency(latency);
    }

    /// The next request of this device meets this fault.
    pub fn fail_next(&self, fault: Fault) {
        self.inner.link.fail_next(fault);
    }

    /// Kills the app on the device, whatever it is doing, and starts it again on the same database. Handles and
    /// activations from before are of no use any more; whether there is a network, the engine is told again.
    ///
    /// # Errors
    /// Those of opening an engine.
    pub async fn restart(&self, server: &TestServer) -> Result<(), EngineError> {
        lock(&self.inner.running).driver.abort();
        // An aborted driver goes, and with it its lease, when it is polled next.
        server.run_for(Duration::ZERO).await;
        let running = start(server, &self.inner.open).await?;
        running
            .engine
            .set_online(self.inner.online.load(Ordering::Relaxed));
        *lock(&self.inner.running) = running;
        Ok(())
    }
}

async fn start(server: &TestServer, open: &Open) -> Result<Running, EngineError> {
    let (engine, driver) = open().await?;
    let (run, abort) = abortable(driver.run());
    server.spawn(Box::pin(async move {
        // It ends with the device, or is aborted by a restart: both are as they should be.
        let _ = run.await;
    }));
    Ok(Running {
        engine,
        driver: abort,
    })
}

impl fmt::Debug for TestDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestDevice")
            .field("account", &self.inner.account)
            .finish_non_exhaustive()
    }
}
