//! How engines on one database find one another: who leads, and what the others should know.

mod term;

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, OwnedMutexGuard, broadcast};

use crate::{
    engine::Event,
    error::StoreError,
    model::{EntityType, Scope},
    scheduler::PauseReason,
    store::Touched,
    time::Clock,
};

pub use term::{Lost, Renewal, Rival, Term};

/// Lets one engine at a time push and pull for a database.
///
/// Leadership alone does not make a late answer harmless: after acquiring, the engine raises the database's
/// fence ([`crate::store::CursorStore::lead`]).
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Leadership: Send + Sync + fmt::Debug {
    /// Waits until this engine leads. Dropping the future gives up waiting.
    ///
    /// # Errors
    /// Those of the database that holds the lease.
    async fn acquire(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError>;
}

/// The lead, for as long as the value lives. Dropping it gives the lead up, at once where that is possible and
/// when the lease runs out where it is not.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Lease: Send + fmt::Debug {
    /// Keeps the lease; resolves only when it is lost. Dropping the future is safe; call it again to go on.
    async fn lost(&mut self);

    /// Gives the lead up now.
    async fn release(self: Box<Self>);
}

/// Notices between engines (tabs, processes, handles) on one database. They may be lost or repeated.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Peers: Send + Sync + fmt::Debug {
    /// Tells the others; the sender does not hear itself. It never waits.
    fn send(&self, from: PeerId, notice: &Notice);

    /// The notices of the others, from now on.
    fn listen(&self, as_peer: PeerId, clock: Arc<dyn Clock>) -> Box<dyn Notices>;
}

/// The receiving end of [`Peers`].
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Notices: Send + fmt::Debug {
    /// The next notice. Dropping the future loses none.
    async fn next(&mut self) -> Notice;
}

/// Which engine a notice comes from, so that it does not hear itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PeerId(pub u64);

/// What an engine tells the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// These views have changed.
    Touched(Vec<(Scope, Vec<EntityType>)>),
    /// Something has changed, and more than that is not known.
    Changed,
    /// There is something to push.
    Enqueued,
    /// These scopes are wanted: an engine that does not lead has activated them.
    Active(Vec<Scope>),
    /// A user sees the app of an engine that does not lead: the leader polls, be it hidden itself.
    Seen,
    /// A sync of these scopes is asked for; of all active ones, if it names none.
    SyncWanted(Vec<Scope>),
    /// A pause is over: the app that has said so need not be the leader's.
    Resumed,
    /// The database was wiped: it may be another account's soon.
    Wiped,
    /// How the leader stands. It says so when that changes, and to who announces itself.
    Leads(Standing),
    /// What the leader has told its app, for the apps of the others; [`Event::Changed`] goes as `Touched`.
    Happened(Event),
}

/// What of the leader's [status](crate::engine::Status) is true of every engine on the database.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Why nothing is attempted until an app acts, if that is so.
    pub paused: Option<PauseReason>,
    /// The newest failure, if nothing has succeeded since.
    pub last_error: Option<String>,
}

impl Notice {
    pub(crate) fn touched(touched: &Touched) -> Self {
        Self::Touched(
            touched
                .0
                .iter()
                .map(|(scope, types)| (scope.clone(), types.iter().cloned().collect()))
                .collect(),
        )
    }
}

/// [`Leadership`] and [`Peers`] within one process: for stores that no other process opens.
#[derive(Clone, Debug)]
pub struct Local {
    lead: Arc<Mutex<()>>,
    notices: broadcast::Sender<(PeerId, Notice)>,
}

impl Local {
    /// A lead that nobody holds.
    #[must_use]
    pub fn new() -> Self {
        Self {
            lead: Arc::default(),
            notices: broadcast::channel(256).0,
        }
    }
}

impl Default for Local {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Leadership for Local {
    async fn acquire(&self, _: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        Ok(Box::new(LocalLease {
            _guard: Arc::clone(&self.lead).lock_owned().await,
        }))
    }
}

#[derive(Debug)]
struct LocalLease {
    _guard: OwnedMutexGuard<()>,
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Lease for LocalLease {
    async fn lost(&mut self) {
        std::future::pending().await
    }

    async fn release(self: Box<Self>) {}
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Peers for Local {
    fn send(&self, from: PeerId, notice: &Notice) {
        // An error only says that nobody listens.
        let _ = self.notices.send((from, notice.clone()));
    }

    fn listen(&self, as_peer: PeerId, _: Arc<dyn Clock>) -> Box<dyn Notices> {
        Box::new(LocalNotices {
            as_peer,
            notices: self.notices.subscribe(),
        })
    }
}

#[derive(Debug)]
struct LocalNotices {
    as_peer: PeerId,
    notices: broadcast::Receiver<(PeerId, Notice)>,
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Notices for LocalNotices {
    async fn next(&mut self) -> Notice {
        loop {
            match self.notices.recv().await {
                Ok((from, notice)) if from != self.as_peer => return notice,
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return Notice::Changed,
                Err(broadcast::error::RecvError::Closed) => {
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}
