//! The server of a history: what every server has to do for it, and the project's own.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use sync_core::{
    model::{Account, Op, Page, Payload, RecordKey, Scope},
    time::{Clock, Entropy},
    transport::{PullRequest, PushAnswer, PushRequest, TransportError},
};
use sync_server::{
    Server,
    access::{MemoryMembers, Role},
    decide::{Concurrent, ConflictPolicy, Merge, Rules, Validate},
    log::{Backup, MemoryLog, Retention},
};

use super::shaky::Shaky;
use crate::simulator::{executor::lock, merge::beside, plan::Judgement};

/// A server that histories are run against, as [`Simulation::against`](super::super::Simulation::against) takes it.
///
/// It answers as an HTTP client of the project's protocol would hear it: a page or an answer, or the
/// [`TransportError`] that the transport makes of the server's refusal. Calls that wait must wait for the history's
/// [`Circumstances::clock`] alone, and what they decide must follow from the history: the same seed asks the same.
#[async_trait]
pub trait Backend: Send + Sync {
    /// Answers a pull that `account` has signed.
    ///
    /// # Errors
    /// What the client makes of a refusal.
    async fn pull(&self, account: &Account, request: PullRequest) -> Result<Page, TransportError>;

    /// Answers a push that `account` has signed. When the future is dropped, the server was killed on the way.
    ///
    /// # Errors
    /// What the client makes of a refusal of the whole.
    async fn push(
        &self,
        account: &Account,
        request: PushRequest,
    ) -> Result<PushAnswer, TransportError>;

    /// Gives an account a role in a scope, or takes it away.
    fn grant(&self, scope: &Scope, account: &Account, role: Option<Role>);

    /// Forgets what is older than the retention.
    async fn compact(&self) {}

    /// Makes a backup; false if the server has no such thing, and is never restored.
    fn back_up(&self) -> bool {
        false
    }

    /// Goes back to the last backup, and begins a new epoch.
    async fn restore(&self) {}
}

/// What a server of a history is made from.
#[derive(Clone)]
pub struct Circumstances {
    /// The seed of the history.
    pub seed: u64,
    /// The server's clock.
    pub clock: Arc<dyn Clock>,
    /// How long it keeps tombstones and verdicts; its answers say so.
    pub retention: Duration,
    /// How concurrent edits end at the project's own server.
    pub(crate) judgement: Judgement,
    /// Where the project's own server falters; others need not.
    pub(crate) shaky: Shaky,
}

impl fmt::Debug for Circumstances {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circumstances")
            .field("seed", &self.seed)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}

/// The project's own server, with everything in memory.
pub(crate) struct Own {
    server: Server,
    log: MemoryLog,
    members: MemoryMembers,
    backup: Mutex<Option<Backup>>,
}

impl Own {
    pub(crate) fn new(of: &Circumstances) -> Self {
        let (log, members) = (MemoryLog::new(), MemoryMembers::new());
        let server = Server::new(
            Arc::new(of.shaky.over(log.clone())),
            Arc::new(members.clone()),
            Arc::clone(&of.clock),
            Arc::new(crate::SeededEntropy::new(of.seed)) as Arc<dyn Entropy>,
        )
        .with_rules(Rules {
            retention: Retention::new(of.retention, of.retention),
            conflicts: match of.judgement {
                Judgement::LaterEditWins => ConflictPolicy::LaterEditWins,
                Judgement::FirstWins => ConflictPolicy::FirstWins,
                Judgement::Merged => ConflictPolicy::Merge(Arc::new(Beside)),
            },
        });
        let server = match of.seed % 3 {
            0 => server.with_validation(Arc::new(Picky)),
            _ => server,
        };
        Self {
            server,
            log,
            members,
            backup: Mutex::default(),
        }
    }
}

#[async_trait]
impl Backend for Own {
    async fn pull(&self, account: &Account, request: PullRequest) -> Result<Page, TransportError> {
        Ok(self.server.pull(account, request).await?)
    }

    async fn push(
        &self,
        account: &Account,
        request: PushRequest,
    ) -> Result<PushAnswer, TransportError> {
        Ok(self.server.push(account, request).await?)
    }

    fn grant(&self, scope: &Scope, account: &Account, role: Option<Role>) {
        match role {
            Some(role) => self.members.grant(scope.clone(), account.clone(), role),
            None => self.members.revoke(scope, account),
        }
    }

    async fn compact(&self) {
        // What is not forgotten now is forgotten the next time.
        let _ = self.server.compact().await;
    }

    fn back_up(&self) -> bool {
        *lock(&self.backup) = Some(self.log.backup());
        true
    }

    async fn restore(&self) {
        let backup = lock(&self.backup).take();
        if let Some(backup) = backup {
            self.log.restore(&backup);
            let _ = self.server.new_epoch().await;
        }
    }
}

/// Keeps what the server holds beside what has come.
#[derive(Debug)]
struct Beside;

impl Merge for Beside {
    fn merge(&self, edits: &Concurrent<'_>) -> Option<Payload> {
        beside(edits.incoming, edits.current)
    }
}

/// Rejects some payloads for ever, whoever writes them.
#[derive(Debug)]
struct Picky;

impl Validate for Picky {
    fn validate(&self, _: &Account, _: &RecordKey, op: &Op) -> Result<(), String> {
        match op.payload() {
            Some(payload) if payload.as_str().ends_with("7}") => Err("not this one".to_owned()),
            _ => Ok(()),
        }
    }
}
