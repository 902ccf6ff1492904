//! What goes into the scheduler.

use std::time::Duration;

use crate::{
    model::{MutationId, RecordKey, Scope},
    ordered::OrderedSet,
    transport::TransportErrorKind,
};

/// Tells one push or pull from another, so that a late completion is recognised. Later ones are larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The engine leads from now on. After the initial delay it flushes and pulls the active scopes.
    Started,
    /// The engine does not lead any more: nothing is attempted, and whatever is in flight is forgotten.
    Stopped,
    /// The time of [`next_deadline`](super::Scheduler::next_deadline) has come, or not yet: then nothing happens.
    Timer,
    /// There is something new in the outbox.
    Enqueued,
    /// A scope has become active; the caller counts and sends this for the first of several.
    Activated(Scope),
    /// A scope is not active any more; the caller counts and sends this for the last of several.
    Deactivated(Scope),
    /// The app has become visible or hidden. It starts out visible.
    Visible(bool),
    /// The network has come or gone. It is taken to be there at the start.
    Online(bool),
    /// The server hints that a scope has news.
    Poked(Scope),
    /// A manual sync. It ends with one [`Action::Report`](super::Action::Report) of this id.
    SyncNow {
        /// The caller's name for it.
        id: u64,
        /// The scopes to pull after the flush; all active ones, if it names none.
        scopes: Vec<Scope>,
    },
    /// The app has supplied a token, or the right account: a pause ends.
    Resumed,
    /// A push is over.
    PushEnded {
        /// The ticket of its [`PushPlan`](super::PushPlan).
        ticket: Ticket,
        /// How it ended.
        end: PushEnd,
    },
    /// A pull is over.
    PullEnded {
        /// The ticket of its [`Action::Pull`](super::Action::Pull).
        ticket: Ticket,
        /// The scope.
        scope: Scope,
        /// How it ended.
        end: PullEnd,
    },
    /// A purge is over.
    PurgeEnded {
        /// The scope.
        scope: Scope,
        /// Whether the store has done it; if not, access is asked about again before the next attempt.
        purged: bool,
    },
}

/// How a push ended. What the server answered has been settled in the store before this is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PushEnd {
    /// There was nothing to take; no request was made.
    Nothing {
        /// [`Taken::waiting`](crate::store::Taken::waiting).
        waiting: OrderedSet<Scope>,
        /// [`Taken::forgotten`](crate::store::Taken::forgotten).
        forgotten: Vec<(Scope, MutationId)>,
    },
    /// The server answered.
    Answered {
        /// What was sent, in order.
        sent: Vec<Sent>,
        /// What became of it; what is not listed here has an unknown outcome and is sent again.
        outcomes: Vec<(MutationId, Outcome)>,
        /// [`Taken::waiting`](crate::store::Taken::waiting).
        waiting: OrderedSet<Scope>,
        /// [`Taken::forgotten`](crate::store::Taken::forgotten).
        forgotten: Vec<(Scope, MutationId)>,
    },
    /// The request as a whole failed; the outcome of everything in it is unknown.
    Refused {
        /// What was sent, in order.
        sent: Vec<Sent>,
        /// Why it failed.
        kind: TransportErrorKind,
        /// When the server wants to be asked again, if it said so.
        retry_after: Option<Duration>,
    },
    /// The store failed to take or to settle (full, locked, out of reach): no mutation's fault.
    Local,
}

/// A mutation that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The mutation.
    pub id: MutationId,
    /// Its record.
    pub key: RecordKey,
}

/// What became of a mutation that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server holds it, or what it lost to: applied or conflict. A pull brings what is to be seen of it.
    Settled,
    /// It was set aside on the server's word; no pull brings anything of it.
    Rejected,
    /// It was refused for lack of access. It is still in the outbox: a pull of its scope decides what that means.
    Forbidden,
    /// The server wants it again later.
    Retry {
        /// How much later, if it said so.
        after: Option<Duration>,
        /// Whether its scope has to be pulled first.
        resync: bool,
    },
    /// The store waits for a pull of its scope before it judges the answer.
    Doubted,
}

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullEnd {
    /// All pages have been applied, and a resync, if there was one, is through.
    Drained,
    /// A request failed.
    Failed {
        /// Why.
        kind: TransportErrorKind,
        /// When the server wants to be asked again, if it said so.
        retry_after: Option<Duration>,
        /// Whether the server is known to have given access, since the scope was last purged: a pull has succeeded, or
        /// the server holds a mutation that no pull has shown yet.
        had_access: bool,
    },
    /// The store failed (full, locked, out of reach).
    Local,
}
