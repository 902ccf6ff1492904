//! What is going to happen: a history before it is run.

use std::{fmt, time::Duration};

use sync_server::access::Role;

use super::dice::Dice;
use super::store::CALLS;
use crate::{StoreCall, simulator::network::RequestFault};

/// The people there may be. The first owns every scope.
pub(crate) const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];
/// The scopes there may be.
pub(crate) const SCOPES: [&str; 4] = ["baby-1", "baby-2", "baby-3", "baby-4"];
/// The entity types; what an old app knows ends with the first.
pub(crate) const TYPES: [&str; 2] = ["feed", "nappy"];
/// The ids of records: a UUID among them, as SQLite keeps those in another form.
pub(crate) const IDS: [&str; 3] = ["a", "b", "018f3c2e-5f6a-7b8c-9d0e-1f2a3b4c5d6e"];

/// A history: who takes part, and what happens, decided by its seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What decides everything.
    pub seed: u64,
    pub(crate) cast: Cast,
    pub(crate) steps: Vec<Step>,
}

/// Who takes part, and what the server is like.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cast {
    pub(crate) devices: Vec<DevicePart>,
    pub(crate) scopes: usize,
    /// The roles of the accounts in the scopes; the owner's aside.
    pub(crate) roles: Vec<Vec<Option<Role>>>,
    pub(crate) page_size: u32,
    pub(crate) batch_count: u32,
    /// How long the server keeps tombstones and verdicts.
    pub(crate) retention: Duration,
    /// How concurrent edits end at the server.
    pub(crate) judgement: Judgement,
    /// What a request and an answer take at the beginning.
    pub(crate) latency: Duration,
}

/// How two concurrent edits of a record end at the server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Judgement {
    #[default]
    LaterEditWins,
    FirstWins,
    /// One record is made of the two.
    Merged,
}

/// What a device's app does when its edit has lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Accepts,
    PutsItsOwnAgain,
    /// Makes a third of the two.
    Merges,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DevicePart {
    pub(crate) account: usize,
    /// How many engines there are on its database.
    pub(crate) tabs: usize,
    /// Whether its app knows all entity types.
    pub(crate) newest: bool,
    /// How far its wall clock is off, in milliseconds.
    pub(crate) skew: i64,
    pub(crate) reply: Reply,
}

/// One thing that happens, and how long after the one before.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its number in the whole plan: what it draws is decided by this, also when others have been left out.
    pub(crate) id: u64,
    pub(crate) after: Duration,
    pub(crate) device: usize,
    pub(crate) tab: usize,
    pub(crate) act: Act,
}

/// A record that an edit is about, by its places in the lists of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) scope: usize,
    pub(crate) kind: usize,
    pub(crate) id: usize,
}

/// What a server says to a batch with the record that it chokes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choking {
    /// That the batch makes no sense.
    Refuses,
    /// That it has failed.
    Fails,
    /// That it is to come back later, each time.
    PutsOff,
}

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident $(($($field:ty),*))? = $label:literal,)*) => {
        /// What happens.
        #[derive(Clone, Debug)]
        pub(crate) enum Act { $($(#[$doc])* $name $(($($field),*))?,)* }

        impl Act {
            /// The labels of all that can happen.
            pub(crate) const LABELS: &'static [&'static str] = &[$($label),*];

            pub(crate) fn label(&self) -> &'static str {
                match self { $(acts!(@pattern $name $(($($field),*))?) => $label,)* }
            }
        }
    };
    (@pattern $name:ident) => { Self::$name };
    (@pattern $name:ident ($($field:ty),*)) => { Self::$name(..) };
}

acts! {
    /// Creates the record, or updates it where there is one.
    Write(Slot) = "app: create or update",
    /// Deletes the record.
    Delete(Slot) = "app: delete",
    /// Several edits that are enqueued together.
    WriteTogether(Vec<Slot>) = "app: several edits together",
    /// Reads, changes and writes, if the view has not moved.
    UpdateWith(Slot) = "app: update_with",
    /// Reads everything.
    Read = "app: read",
    /// Asks for a sync.
    SyncNow = "app: sync by hand",
    /// A scope is wanted, or no more.
    Activate(usize, bool) = "app: activate or deactivate a scope",
    /// The app is hidden or shown.
    Visible(bool) = "app: hide or show",
    /// The app is killed and started again.
    Restart = "app: restart",
    /// An engine's process is suspended, for this long.
    Freeze(Duration) = "app: frozen for a while",
    /// Logs out and in again, as another account.
    Relogin(bool) = "app: log out and in",
    /// The app comes to know all entity types.
    Upgrade = "app: upgrade",
    /// What was set aside is tried again, or dropped.
    DecideFailed(bool) = "app: retry or discard what failed",
    /// All conflicts and revoked mutations are acknowledged.
    Acknowledge = "app: acknowledge",
    /// A pause ends: there is a token again.
    Resume = "app: resume",
    /// The network is gone or back, and the platform says so.
    Online(bool) = "network: offline or online",
    /// The network is gone or back, and nobody says so.
    Reachable(bool) = "network: unreachable or reachable, unannounced",
    /// How long requests and answers take.
    Latency(Duration) = "network: latency",
    /// What happens to the next request.
    Fault(RequestFault) = "network: a fault",
    /// The server hints that a scope has news.
    Poke(usize) = "network: poke",
    /// The process dies at its next call of this kind, before it (false) or after it (true).
    Crash(StoreCall, bool) = "store: crash at a call",
    /// There is no room left, for this long.
    DiskFull(Duration) = "store: disk full",
    /// The wall clock jumps.
    ClockJump(i64) = "clock: jump",
    /// The server does not answer, for this long.
    ServerDown(Duration) = "server: down for a while",
    /// The server starts again: what it was at is lost.
    ServerRestart = "server: restart",
    /// The server is backed up.
    Backup = "server: backup",
    /// The server is restored from its last backup, and with it (true) who may do what.
    Restore(bool) = "server: restore",
    /// The server forgets what is older than it keeps.
    Compact = "server: compaction",
    /// An account gets, changes or loses its role in a scope.
    Grant(usize, usize, Option<Role>) = "server: access changes",
    /// The server refuses every batch with this record, or none any more.
    Choke(Option<(Slot, Choking)>) = "server: chokes on a record",
}

impl Plan {
    /// The history of this seed, with this many steps.
    #[must_use]
    pub(crate) fn new(seed: u64, steps: usize) -> Self {
        let dice = Dice::new(seed, 0);
        let cast = Cast::draw(&dice);
        let mood = Mood::draw(&dice);
        let deck = Deck {
            cast: &cast,
            mood: &mood,
            dice: &dice,
        };
        let steps = (0..steps as u64).map(|id| deck.step(id)).collect();
        Self { seed, cast, steps }
    }

    /// How many things the apps do.
    pub(crate) fn operations(&self) -> usize {
        let of_app = |step: &&Step| step.act.label().starts_with("app: ");
        self.steps.iter().filter(of_app).count()
    }

    /// The same history without some of its steps.
    pub(crate) fn without(&self, range: std::ops::Range<usize>) -> Self {
        let mut steps = self.steps.clone();
        steps.drain(range);
        Self {
            steps,
            ..self.clone()
        }
    }
}

impl Cast {
    fn draw(dice: &Dice) -> Self {
        let scopes = dice.one_of(&[1, 1, 2, 2, 3, 4]);
        let count = dice.one_of(&[1, 2, 2, 2, 3, 3, 4, 6]);
        let devices = (0..count)
            .map(|n| DevicePart {
                account: if n == 0 {
                    0
                } else {
                    dice.below(ACCOUNTS.len())
                },
                tabs: 1 + usize::from(dice.chance(25)),
                newest: dice.chance(75),
                skew: dice.one_of(&[0, 0, 0, 1_500, -90_000, 86_400_000, -86_400_000]),
                reply: dice.one_of(&[
                    Reply::Accepts,
                    Reply::Accepts,
                    Reply::PutsItsOwnAgain,
                    Reply::Merges,
                ]),
            })
            .collect();
        let role = || {
            dice.one_of(&[
                None,
                Some(Role::Viewer),
                Some(Role::Editor),
                Some(Role::Editor),
                Some(Role::Owner),
            ])
        };
        let roles = (0..scopes)
            .map(|_| ACCOUNTS.iter().map(|_| role()).collect())
            .collect();
        Self {
            devices,
            scopes,
            roles,
            page_size: dice.one_of(&[1, 2, 3, 1_000]),
            batch_count: dice.one_of(&[1, 2, 3, 100]),
            retention: Duration::from_secs(dice.one_of(&[15, 60, 3_600, 86_400 * 90])),
            judgement: dice.one_of(&[
                Judgement::LaterEditWins,
                Judgement::LaterEditWins,
                Judgement::LaterEditWins,
                Judgement::FirstWins,
                Judgement::Merged,
            ]),
            latency: Duration::from_millis(dice.one_of(&[0, 20, 150])),
        }
    }
}

/// What a history is rich in: each leaves most of what can happen out, so that what is left meets more often.
struct Mood {
    /// What may happen, each as often as it is in the list.
    hat: Vec<Draw>,
    pauses: Vec<u64>,
    /// How many records the edits are spread over.
    kinds: usize,
    ids: usize,
}

/// Draws what exactly happens.
type Draw = fn(&Deck<'_>) -> Act;

/// What all histories are about, and how often.
const EDITS: [(usize, Draw); 3] = [
    (45, |deck| Act::Write(deck.slot())),
    (9, |deck| Act::Delete(deck.slot())),
    (6, |deck| {
        let count = 2 + deck.dice.below(2);
        Act::WriteTogether((0..count).map(|_| deck.slot()).collect())
    }),
];

/// How often each thing happens beside edits, where it happens at all.
const ODDITIES: [(usize, Draw); 27] = [
    (3, |deck| Act::UpdateWith(deck.slot())),
    (6, |_| Act::Read),
    (4, |_| Act::SyncNow),
    (4, |deck| Act::Activate(deck.scope(), deck.dice.chance(60))),
    (4, |deck| Act::Visible(deck.dice.chance(50))),
    (5, |_| Act::Restart),
    (6, |deck| Act::Freeze(deck.millis(&[500, 9_000, 40_000]))),
    (1, |deck| Act::Relogin(deck.dice.chance(50))),
    (2, |_| Act::Upgrade),
    (4, |deck| Act::DecideFailed(deck.dice.chance(50))),
    (2, |_| Act::Acknowledge),
    (3, |_| Act::Resume),
    (8, |deck| Act::Online(deck.dice.chance(50))),
    (6, |deck| Act::Reachable(deck.dice.chance(50))),
    (5, |deck| {
        Act::Latency(deck.millis(&[0, 20, 400, 4_000, 20_000]))
    }),
    (16, |deck| Act::Fault(RequestFault::draw(deck.dice))),
    (3, |deck| Act::Poke(deck.scope())),
    (10, |deck| {
        Act::Crash(crash_point(deck.dice), deck.dice.chance(50))
    }),
    (3, |deck| Act::DiskFull(deck.millis(&[1_000, 8_000]))),
    (3, |deck| {
        Act::ClockJump(deck.dice.one_of(&[-3_600_000, -1_000, 1_000, 3_600_000]))
    }),
    (4, |deck| {
        Act::ServerDown(deck.millis(&[1_000, 10_000, 60_000]))
    }),
    (2, |_| Act::ServerRestart),
    (6, |deck| {
        if deck.dice.chance(50) {
            Act::Backup
        } else {
            Act::Restore(deck.dice.chance(50))
        }
    }),
    (3, |_| Act::Compact),
    (3, |deck| {
        let roles = [None, None, Some(Role::Viewer), Some(Role::Editor)];
        let role = deck.dice.one_of(&roles);
        Act::Grant(deck.scope(), 1 + deck.dice.below(ACCOUNTS.len() - 1), role)
    }),
    (3, |deck| {
        let how = [
            Choking::Refuses,
            Choking::Refuses,
            Choking::Fails,
            Choking::PutsOff,
        ];
        let what = deck
            .dice
            .chance(70)
            .then(|| (deck.slot(), deck.dice.one_of(&how)));
        Act::Choke(what)
    }),
    // Where this meets a record that is choked on, a scope is put off while another one is narrowed down.
    (4, |_| Act::Fault(RequestFault::RestAgain)),
];

impl Mood {
    fn draw(dice: &Dice) -> Self {
        let mut hat = Vec::new();
        let mut put = |often, what| hat.extend(std::iter::repeat_n(what, often));
        for (often, edit) in EDITS {
            put(often, edit);
        }
        for (often, oddity) in ODDITIES {
            if dice.chance(45) {
                put(often, oddity);
            }
        }
        Self {
            hat,
            pauses: dice.one_of(&[
                vec![0, 0, 5, 40],
                vec![0, 30, 300, 2_000],
                vec![10, 900, 6_000],
            ]),
            kinds: 1 + dice.below(TYPES.len()),
            ids: 1 + dice.below(IDS.len()),
        }
    }
}

/// What a step is drawn from.
struct Deck<'a> {
    cast: &'a Cast,
    mood: &'a Mood,
    dice: &'a Dice,
}

impl Deck<'_> {
    fn slot(&self) -> Slot {
        Slot {
            scope: self.scope(),
            kind: self.dice.below(self.mood.kinds),
            id: self.dice.below(self.mood.ids),
        }
    }

    fn scope(&self) -> usize {
        self.dice.below(self.cast.scopes)
    }

    fn millis(&self, of: &[u64]) -> Duration {
        Duration::from_millis(self.dice.one_of(of))
    }

    fn step(&self, id: u64) -> Step {
        let device = self.dice.below(self.cast.devices.len());
        let act = self.dice.one_of(&self.mood.hat)(self);
        Step {
            id,
            after: self.millis(&self.mood.pauses),
            device,
            tab: self.dice.below(self.cast.devices[device].tabs),
            act,
        }
    }
}

/// Any call, and those most often that are made most often.
fn crash_point(dice: &Dice) -> StoreCall {
    match dice.chance(40) {
        true => dice.one_of(&[StoreCall::Take, StoreCall::Settle, StoreCall::Apply]),
        false => dice.one_of(CALLS),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            device,
            tab,
            act,
            ..
        } = self;
        write!(f, "step {id} at {device}/{tab}: {act}")
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", super::world::key(*self))
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())?;
        match self {
            Self::Write(slot) | Self::Delete(slot) | Self::UpdateWith(slot) => {
                write!(f, ": {slot}")
            }
            Self::WriteTogether(slots) => slots.iter().try_for_each(|slot| write!(f, " {slot}")),
            Self::Activate(scope, on) => {
                let on = if *on { "on" } else { "off" };
                write!(f, ": {} {on}", SCOPES[*scope])
            }
            Self::Visible(shown) => f.write_str(if *shown { ": shown" } else { ": hidden" }),
            Self::Relogin(force) => f.write_str(if *force {
                ", whatever is lost"
            } else {
                ", if nothing is lost"
            }),
            Self::DecideFailed(retry) => f.write_str(if *retry { ": retry" } else { ": discard" }),
            Self::Online(online) => f.write_str(if *online { ": online" } else { ": offline" }),
            Self::Reachable(up) => f.write_str(if *up { ": reachable" } else { ": unreachable" }),
            Self::Freeze(time)
            | Self::Latency(time)
            | Self::DiskFull(time)
            | Self::ServerDown(time) => {
                write!(f, ": {time:?}")
            }
            Self::Fault(fault) => write!(f, ": {}", fault.label()),
            Self::Poke(scope) => write!(f, ": {}", SCOPES[*scope]),
            Self::Crash(call, after) => {
                write!(f, ": {} {call:?}", if *after { "after" } else { "before" })
            }
            Self::ClockJump(millis) => write!(f, ": {millis} ms"),
            Self::Grant(scope, account, role) => {
                write!(
                    f,
                    ": {} is {role:?} of {}",
                    ACCOUNTS[*account], SCOPES[*scope]
                )
            }
            Self::Choke(Some((slot, how))) => write!(f, ": {slot} {how:?}"),
            Self::Restore(true) => f.write_str(", with its members"),
            Self::Restore(false) => f.write_str(", its members aside"),
            Self::Choke(None) => f.write_str(": none any more"),
            Self::Read
            | Self::SyncNow
            | Self::Restart
            | Self::Upgrade
            | Self::Acknowledge
            | Self::Resume
            | Self::ServerRestart
            | Self::Backup
            | Self::Compact => Ok(()),
        }
    }
}
