//! What comes out of the scheduler.

use crate::{
    model::{MutationId, Scope},
    ordered::OrderedMap,
    store::{FailReason, Pick},
    time::Time,
    transport::TransportErrorKind,
};

use super::Ticket;

/// Something to do. Actions are carried out in their order; pushes and pulls then go on beside the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Take a batch, push it, settle the answers, then feed [`Event::PushEnded`](super::Event::PushEnded).
    Push(PushPlan),
    /// Pull a scope page by page to its end, then feed [`Event::PullEnded`](super::Event::PullEnded).
    Pull {
        /// Goes into the event.
        ticket: Ticket,
        /// The scope.
        scope: Scope,
    },
    /// Access to a scope is lost for certain: purge it, then feed
    /// [`Event::PurgeEnded`](super::Event::PurgeEnded).
    Purge {
        /// The scope.
        scope: Scope,
    },
    /// Settle these as forbidden: the scope may be read, or does not exist for this account, and they may not be
    /// written.
    FailForbidden {
        /// Their scope.
        scope: Scope,
        /// The mutations; one that has left the outbox since is no error.
        ids: Vec<MutationId>,
    },
    /// Settle these as forgotten: their scope has been pulled to its end.
    SettleForgotten {
        /// Their scope.
        scope: Scope,
        /// The mutations; one that has left the outbox since is no error.
        ids: Vec<MutationId>,
    },
    /// Set a mutation aside.
    SetAside {
        /// The mutation; one that has left the outbox since is no error.
        id: MutationId,
        /// Poison, or too large.
        reason: FailReason,
        /// Why, for people.
        message: String,
    },
    /// Tell the app: nothing is attempted until [`Event::Resumed`](super::Event::Resumed).
    Pause(PauseReason),
    /// A manual sync is over.
    Report(SyncReport),
}

/// What to push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushPlan {
    /// Goes into [`Event::PushEnded`](super::Event::PushEnded).
    pub ticket: Ticket,
    /// Which entries may go.
    pub pick: Pick,
    /// The most entries.
    pub max_count: u32,
    /// The most bytes of payload.
    pub max_bytes: u64,
}

/// Why nothing is attempted although there is a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseReason {
    /// The token was refused, also after it was refreshed.
    AuthRequired,
    /// The token source is logged in as somebody else.
    OtherAccount,
}

/// What a manual sync has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncReport {
    /// The id of its [`Event::SyncNow`](super::Event::SyncNow).
    pub id: u64,
    /// What became of its flush.
    pub flush: FlushEnd,
    /// What became of each scope.
    pub scopes: OrderedMap<Scope, SyncEnd>,
}

/// What became of the flush of a manual sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushEnd {
    /// Its first round was answered, or there was nothing to send.
    Answered,
    /// Its first round failed.
    Failed(TransportErrorKind),
    /// The store failed.
    Local,
    /// It had not ended, or could not begin, in the time that pulls wait for it; it goes on.
    Unfinished,
    /// It was not attempted.
    NotAttempted(NoAttempt),
}

/// What became of one scope of a manual sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncEnd {
    /// It was pulled to its end, after the flush.
    Synced,
    /// The pull failed, or the server has asked not to be asked yet.
    Failed(TransportErrorKind),
    /// The store failed.
    Local,
    /// Access to it is lost.
    Revoked,
    /// It was not attempted.
    NotAttempted(NoAttempt),
}

/// Why nothing was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoAttempt {
    /// There is no network.
    Offline,
    /// The engine is paused.
    Paused(PauseReason),
    /// The engine does not lead, or has stopped leading.
    NotLeading,
    /// No driver of the engine is running, or it has ended meanwhile.
    NotRunning,
}

/// The scheduler at a glance, for status displays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whether it has been started and not stopped since.
    pub running: bool,
    /// Whether there is a network.
    pub online: bool,
    /// Whether the app is visible.
    pub visible: bool,
    /// Why it is paused, if it is.
    pub paused: Option<PauseReason>,
    /// Whether a push is in flight.
    pub pushing: bool,
    /// The scopes that are being pulled.
    pub pulling: Vec<Scope>,
    /// The scopes that are active.
    pub active: Vec<Scope>,
    /// The scopes whose mutations are held back, or sent on their own.
    pub held: Vec<Scope>,
    /// When the next push begins; none while one is in flight, when nothing is to be pushed, or nothing attempted.
    pub next_push: Option<Time>,
    /// When the next pull begins; none when none is planned, or nothing attempted.
    pub next_pull: Option<Time>,
    /// How many pushes have failed since one was answered.
    pub failed_pushes: u32,
    /// Whether nothing is in flight and nothing is left to do but to poll.
    pub idle: bool,
}
