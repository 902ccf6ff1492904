//! The way between the devices and the server.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use sync_core::{
    model::{Account, EntityId, Page},
    time::Clock,
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};
use sync_server::Server;

use super::lock;
use crate::VirtualClock;

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It does not reach the server.
    LostRequest,
    /// The server handles it, and the answer is lost.
    LostAnswer,
    /// It is answered with an error of this kind, and the server does not see it.
    Error(TransportErrorKind),
    /// As `Error`, with the server's word on when to try again.
    RetryAfter(TransportErrorKind, Duration),
}

/// The network that all devices share.
#[derive(Clone, Debug)]
pub(super) struct Network {
    server: Server,
    clock: VirtualClock,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    poison: Arc<Mutex<HashMap<EntityId, TransportErrorKind>>>,
    requests: Arc<AtomicU64>,
}

impl Network {
    pub(super) fn new(server: Server, clock: VirtualClock) -> Self {
        Self {
            server,
            clock,
            faults: Arc::default(),
            poison: Arc::default(),
            requests: Arc::default(),
        }
    }

    pub(super) fn fail_next(&self, fault: Fault) {
        lock(&self.faults).push_back(fault);
    }

    pub(super) fn poison(&self, record: EntityId, kind: TransportErrorKind) {
        lock(&self.poison).insert(record, kind);
    }

    pub(super) fn heal(&self) {
        lock(&self.poison).clear();
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The error that a batch meets for one of its records.
    fn poisoned(&self, request: &PushRequest) -> Result<(), TransportError> {
        let poison = lock(&self.poison);
        let mut ids = request.mutations.iter().map(|m| &m.mutation.key.entity_id);
        match ids.find_map(|id| poison.get(id)) {
            Some(kind) => Err(TransportError::new(*kind, "a record that the test chose")),
            None => Ok(()),
        }
    }

    pub(super) fn link(&self, account: Account) -> Link {
        Link {
            network: self.clone(),
            account,
            up: Arc::new(AtomicBool::new(true)),
            latency: Arc::default(),
            faults: Arc::default(),
        }
    }
}

/// One device's connection, with the account that it is logged in as.
#[derive(Clone, Debug)]
pub(super) struct Link {
    network: Network,
    account: Account,
    up: Arc<AtomicBool>,
    /// How long a request, and how long an answer takes, in milliseconds.
    latency: Arc<AtomicU64>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl Link {
    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    pub(super) fn fail_next(&self, fault: Fault) {
        lock(&self.faults).push_back(fault);
    }

    pub(super) fn set_latency(&self, latency: Duration) {
        let millis = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        self.latency.store(millis, Ordering::Relaxed);
    }

    /// One way through the network; an error where it is down at the end of it.
    async fn travel(&self) -> Result<(), TransportError> {
        let clock = &self.network.clock;
        let latency = Duration::from_millis(self.latency.load(Ordering::Relaxed));
        if !latency.is_zero() {
            clock.sleep_until(clock.now() + latency).await;
        }
        if self.up.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(lost("the device is offline"))
    }

    /// Carries a request out, or what is left of it.
    async fn carry<T>(
        &self,
        request: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        self.network.requests.fetch_add(1, Ordering::Relaxed);
        self.travel().await?;
        let own = lock(&self.faults).pop_front();
        match own.or_else(|| lock(&self.network.faults).pop_front()) {
            None => {
                let answer = request.await;
                self.travel().await?;
                answer
            }
            Some(Fault::LostRequest) => Err(lost("the request was lost")),
            Some(Fault::LostAnswer) => {
                request.await?;
                Err(lost("the answer was lost"))
            }
            Some(Fault::Error(kind)) => Err(TransportError::new(kind, "a fault of the test")),
            Some(Fault::RetryAfter(kind, after)) => {
                Err(TransportError::new(kind, "a fault of the test").with_retry_after(Some(after)))
            }
        }
    }
}

fn lost(what: &str) -> TransportError {
    TransportError::new(TransportErrorKind::Network, what)
}

#[async_trait]
impl Transport for Link {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        let server = &self.network.server;
        self.carry(async { Ok(server.pull(&self.account, request).await?) })
            .await
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        let network = &self.network;
        self.carry(async {
            network.poisoned(&request)?;
            Ok(network.server.push(&self.account, request).await?)
        })
        .await
    }

    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}
