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
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};
use sync_server::Server;

use super::lock;

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
    faults: Arc<Mutex<VecDeque<Fault>>>,
    poison: Arc<Mutex<HashMap<EntityId, TransportErrorKind>>>,
    requests: Arc<AtomicU64>,
}

impl Network {
    pub(super) fn new(server: Server) -> Self {
        Self {
            server,
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
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl Link {
    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    pub(super) fn fail_next(&self, fault: Fault) {
        lock(&self.faults).push_back(fault);
    }

    /// Carries a request out, or what is left of it.
    async fn carry<T>(
        &self,
        request: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        let lost = |what| TransportError::new(TransportErrorKind::Network, what);
        self.network.requests.fetch_add(1, Ordering::Relaxed);
        if !self.up.load(Ordering::Relaxed) {
            return Err(lost("the device is offline"));
        }
        let own = lock(&self.faults).pop_front();
        match own.or_else(|| lock(&self.network.faults).pop_front()) {
            None => request.await,
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
