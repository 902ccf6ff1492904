//! All that is seen in a world, in its order: for the invariants, the trace and the coverage.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use sync_core::{
    engine::Event,
    model::{Account, Page, RecordKey, Scope},
    store::{Counts, Enqueued},
    time::{Clock, Time},
    transport::{PushAnswer, PushRequest, TransportErrorKind},
};

use sync_server::access::Role;

use super::{
    executor::lock,
    invariants::{self, Invariant},
    network::Asked,
    plan::{Cast, Step},
    snapshot::Snapshot,
    trace::Trace,
    truth::Truth,
};
use crate::{StoreCall, VirtualClock};

/// An engine of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TabId {
    pub(crate) device: usize,
    pub(crate) tab: usize,
}

impl fmt::Display for TabId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device, self.tab)
    }
}

/// What a device holds.
pub(crate) type Held = (usize, Arc<Snapshot>);

/// Something that has happened.
pub(crate) enum Seen<'a> {
    /// A step of the plan begins.
    Step(&'a Step),
    /// An enqueue of the app has returned.
    Enqueued {
        tab: TabId,
        keys: &'a [RecordKey],
        outcomes: &'a [Enqueued],
    },
    /// A transaction of a device's store.
    Stored {
        tab: TabId,
        call: StoreCall,
        before: &'a Snapshot,
        after: &'a Snapshot,
    },
    /// A device has asked for something.
    Sent {
        tab: TabId,
        request: u64,
        asked: &'a Asked,
    },
    /// A device's request had no usable answer.
    Refused {
        tab: TabId,
        request: u64,
        kind: TransportErrorKind,
        retry_after: Option<Duration>,
    },
    /// A device waits for a request no more: it was answered, or given up.
    Over { tab: TabId, request: u64 },
    /// The server was asked for a page.
    Read {
        device: usize,
        /// For whom; the device may be another's by now.
        account: &'a Account,
        scope: &'a Scope,
        /// When it was asked for.
        sent: Time,
        /// The page; none when it was refused.
        page: Option<&'a Page>,
    },
    /// A batch has reached the server. What it makes of it others may see before it has answered, or though it is
    /// killed and never does.
    Arrived { request: &'a PushRequest },
    /// The server has decided a batch, whether the answer arrives or not.
    Decided {
        request: &'a PushRequest,
        answer: &'a PushAnswer,
    },
    /// An engine has told its app.
    Told { tab: TabId, event: &'a Event },
    /// A database was bound to an account.
    Bound { device: usize, account: &'a Account },
    /// An account has this role in a scope from now on.
    Granted {
        scope: &'a Scope,
        account: &'a Account,
        role: Option<Role>,
    },
    /// An engine is frozen, up to this time.
    Froze { tab: TabId, until: Time },
    /// The server was backed up.
    BackedUp,
    /// The server was restored, and has begun a new epoch.
    Restored,
    /// A device's app has looked at everything when nothing was going on.
    Looked {
        tab: TabId,
        counts: Counts,
        held: &'a Snapshot,
    },
    /// The faults stop. From here on there is no user, either.
    Healed,
    /// So much time has passed that what was written must have reached the server, also from apps that are hidden.
    Flushed { devices: &'a [Held] },
    /// So much time has passed that everything must be settled.
    End { devices: &'a [Held] },
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// The guarantee that it stands for.
    pub guarantee: &'static str,
    /// What was seen.
    pub what: String,
    /// When, in milliseconds since the beginning.
    pub at: u64,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            invariant,
            guarantee,
            what,
            at,
        } = self;
        write!(f, "{invariant} ({guarantee}) at {at} ms: {what}")
    }
}

/// Takes note of everything. Clones are the same.
#[derive(Clone)]
pub(crate) struct Recorder {
    shared: Arc<Mutex<Shared>>,
    clock: VirtualClock,
}

struct Shared {
    truth: Truth,
    invariants: Vec<Box<dyn Invariant>>,
    violation: Option<Violation>,
    trace: Option<Trace>,
    coverage: BTreeMap<&'static str, u64>,
    requests: u64,
}

impl Recorder {
    pub(crate) fn new(clock: VirtualClock, cast: &Cast, trace: bool) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Shared {
                truth: Truth {
                    retention: cast.retention,
                    judgement: cast.judgement,
                    replies: cast.devices.iter().map(|device| device.reply).collect(),
                    ..Truth::default()
                },
                invariants: invariants::all(),
                violation: None,
                trace: trace.then(Trace::default),
                coverage: BTreeMap::new(),
                requests: 0,
            })),
            clock,
        }
    }

    /// A number for a request.
    pub(crate) fn request(&self) -> u64 {
        let mut shared = lock(&self.shared);
        shared.requests += 1;
        shared.requests
    }

    pub(crate) fn see(&self, seen: &Seen<'_>) {
        let now = self.clock.now();
        let shared = &mut *lock(&self.shared);
        if let Some(trace) = &mut shared.trace {
            trace.see(now, seen);
        }
        shared.truth.now = now;
        shared.truth.see(seen);
        if shared.violation.is_some() {
            return;
        }
        for invariant in &mut shared.invariants {
            if let Err(what) = invariant.see(seen, &shared.truth) {
                let violation = violation(&**invariant, what, now);
                if let Some(trace) = &mut shared.trace {
                    trace.violated(now, &violation);
                }
                shared.violation = Some(violation);
                return;
            }
        }
    }

    /// Counts something for the coverage.
    pub(crate) fn count(&self, label: &'static str, by: u64) {
        *lock(&self.shared).coverage.entry(label).or_default() += by;
    }

    /// Notes that the app has seen something that it must never see.
    pub(crate) fn violated(&self, invariant: &'static str, guarantee: &'static str, what: String) {
        let now = self.clock.now();
        let shared = &mut *lock(&self.shared);
        if shared.violation.is_some() {
            return;
        }
        let violation = Violation {
            invariant,
            guarantee,
            what,
            at: now.as_millis(),
        };
        if let Some(trace) = &mut shared.trace {
            trace.violated(now, &violation);
        }
        shared.violation = Some(violation);
    }

    pub(crate) fn is_violated(&self) -> bool {
        lock(&self.shared).violation.is_some()
    }

    /// What was noted: the violation, the trace and the coverage.
    pub(crate) fn finish(&self) -> (Option<Violation>, String, BTreeMap<&'static str, u64>) {
        let shared = &mut *lock(&self.shared);
        let trace = shared
            .trace
            .take()
            .map(Trace::into_text)
            .unwrap_or_default();
        (
            shared.violation.take(),
            trace,
            std::mem::take(&mut shared.coverage),
        )
    }

    /// Whether all is as it must be in the end, if this were the end.
    pub(crate) fn would_hold(&self, end: &Seen<'_>) -> bool {
        let shared = lock(&self.shared);
        invariants::at_the_end()
            .iter_mut()
            .all(|invariant| invariant.see(end, &shared.truth).is_ok())
    }
}

fn violation(invariant: &dyn Invariant, what: String, now: Time) -> Violation {
    Violation {
        invariant: invariant.name(),
        guarantee: invariant.guarantee(),
        what,
        at: now.as_millis(),
    }
}
