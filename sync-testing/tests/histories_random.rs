//! Random histories of a few devices and the real server's logic: whatever happens on the way, nothing is lost, no
//! view steps back, and all end with the same records.
//!
//! Each history is decided by its seed. `SYNC_SEED=7` runs that one alone, `SYNC_HISTORIES=5000` that many; with
//! `SYNC_SEED=fresh` they begin at a seed that no run had before. A failure prints its seed and what led to it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]
#![cfg(feature = "server")]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::{Duration, UNIX_EPOCH},
};

use futures::{FutureExt, StreamExt, executor::block_on};
use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{Activation, EngineSettings, Entity, Event, Events},
    error::StoreErrorKind,
    model::MutationId,
    scheduler,
    store::{Enqueued, EntryFilter, EntryState, MemoryStore},
    time::{Clock, Entropy},
    transport::TransportErrorKind,
};
use sync_testing::{
    Fault, FaultyStore, Role, SeededEntropy, StoreCall, StoreFault, TestDevice, TestServer,
};

const SCOPES: [&str; 2] = ["baby-1", "baby-2"];
const IDS: [&str; 3] = ["f1", "f2", "f3"];
const STEPS: usize = 60;

/// A record; no two edits write the same number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Feed {
    id: String,
    ml: u32,
}

impl Entity for Feed {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

type Key = (&'static str, &'static str);
type View = BTreeMap<Key, u32>;

/// What may happen in a history beside edits, lost requests, crashes and devices that go offline.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Each device keeps to records of its own.
    own_records: bool,
    restores: bool,
    revocations: bool,
    compaction: bool,
}

impl Kind {
    fn of(seed: u64) -> Self {
        Self {
            own_records: seed.is_multiple_of(3),
            restores: seed % 5 == 1,
            revocations: seed % 7 == 2,
            compaction: seed % 4 == 3,
        }
    }

    /// Whether nothing but an edit can change what a device sees of its own records.
    fn is_steady(self) -> bool {
        !self.restores && !self.revocations && !self.compaction
    }
}

/// A database, the devices (or tabs) on it, and what became of its edits.
struct Party {
    name: &'static str,
    store: FaultyStore,
    tabs: Vec<Tab>,
    /// The edits that were enqueued, and not yet known to be settled.
    open: BTreeMap<MutationId, Key>,
    /// The newest edit of each record: the number, or none for a delete.
    wrote: BTreeMap<Key, Option<u32>>,
    /// The numbers that each record has shown and shows no more.
    past: BTreeMap<Key, BTreeSet<u32>>,
    view: View,
}

struct Tab {
    device: TestDevice,
    events: Events,
    active: BTreeMap<&'static str, Activation>,
}

struct History {
    kind: Kind,
    dice: SeededEntropy,
    server: TestServer,
    parties: Vec<Party>,
    next_ml: u32,
    backup: Option<sync_server::log::Backup>,
    log: Arc<Mutex<Vec<String>>>,
}

impl History {
    async fn new(seed: u64) -> Self {
        let server = TestServer::new();
        let mut history = Self {
            kind: Kind::of(seed),
            dice: SeededEntropy::new(seed),
            parties: Vec::new(),
            next_ml: 0,
            backup: None,
            log: Arc::default(),
            server,
        };
        for scope in SCOPES {
            history.server.grant(scope, "alice", Role::Owner);
            history.server.grant(scope, "bob", Role::Editor);
        }
        for (name, account, tabs) in [
            ("phone", "alice", 2),
            ("tablet", "alice", 1),
            ("bob", "bob", 1),
        ] {
            let store = FaultyStore::new(MemoryStore::new());
            let mut party = Party {
                name,
                store: store.clone(),
                tabs: Vec::new(),
                open: BTreeMap::new(),
                wrote: BTreeMap::new(),
                past: BTreeMap::new(),
                view: View::new(),
            };
            for _ in 0..tabs {
                let device = history
                    .server
                    .device_with(account, store.clone(), |builder| {
                        builder.settings(settings())
                    })
                    .await
                    .unwrap();
                party.tabs.push(Tab {
                    events: device.engine().events(),
                    active: activate(&device),
                    device,
                });
            }
            history.parties.push(party);
        }
        history
    }

    fn roll(&self, below: usize) -> usize {
        usize::try_from(self.dice.bits() % below as u128).unwrap()
    }

    async fn step(&mut self) {
        let at = self.roll(self.parties.len());
        let tab = self.roll(self.parties[at].tabs.len());
        let what = self.roll(100);
        let note = format!(
            "{:>8} {}/{tab} ",
            self.server.clock().now().as_millis(),
            self.parties[at].name
        );
        let done = self.happen(at, tab, what).await;
        self.log.lock().unwrap().push(note + &done);
        for _ in 0..3 {
            let millis = [0, 20, 300, 2_000, 8_000][self.roll(5)];
            self.server.run_for(Duration::from_millis(millis)).await;
            self.look().await;
        }
    }

    async fn happen(&mut self, at: usize, tab: usize, what: usize) -> String {
        let device = self.parties[at].tabs[tab].device.clone();
        match what {
            0..45 => self.edit(at, tab).await,
            45..52 => {
                device.go_offline();
                "offline".into()
            }
            52..60 => {
                device.go_online();
                device.set_reachable(true);
                "online".into()
            }
            60..63 => {
                let reachable = self.roll(2) == 0;
                device.set_reachable(reachable);
                format!("reachable {reachable}")
            }
            63..73 => {
                let fault = self.fault();
                let text = format!("{fault:?}");
                device.fail_next(fault);
                text
            }
            73..78 => {
                let latency = Duration::from_millis([0, 30, 400, 3_000][self.roll(4)]);
                device.set_latency(latency);
                format!("latency {latency:?}")
            }
            78..83 => self.crash(at, tab).await,
            83..86 => {
                let scope = SCOPES[self.roll(2)];
                let active = &mut self.parties[at].tabs[tab].active;
                let on = active.remove(scope).is_none();
                if on {
                    active.insert(scope, device.scope(scope).activate());
                }
                format!("active {scope} {on}")
            }
            86..90 => {
                let visible = self.roll(2) == 0;
                device.engine().set_visible(visible);
                format!("visible {visible}")
            }
            90..92 if self.kind.restores => match self.backup.take() {
                None => {
                    self.backup = Some(self.server.backup());
                    "backup".into()
                }
                Some(backup) => {
                    self.server.restore(&backup).await;
                    "restore".into()
                }
            },
            92..94 if self.kind.revocations => {
                let scope = SCOPES[self.roll(2)];
                let role = [None, Some(Role::Viewer), Some(Role::Editor)][self.roll(3)];
                match role {
                    None => self.server.revoke(scope, "bob"),
                    Some(role) => self.server.grant(scope, "bob", role),
                }
                format!("bob in {scope}: {role:?}")
            }
            94..95 if self.kind.compaction => {
                self.server
                    .clock()
                    .advance(Duration::from_secs(100 * 24 * 3600));
                self.server.server().compact().await.unwrap();
                "compact".into()
            }
            95..97 => {
                // Polled once, it is asked for; nobody waits for the report.
                let _ = device.engine().sync_now([]).now_or_never();
                "sync".into()
            }
            _ => "nothing".into(),
        }
    }

    async fn edit(&mut self, at: usize, tab: usize) -> String {
        let ids = match self.kind.own_records {
            true => &IDS[at..=at],
            false => &IDS[..],
        };
        let key = (SCOPES[self.roll(2)], ids[self.roll(ids.len())]);
        self.next_ml += 1;
        let ml = self.next_ml;
        let value = Feed {
            id: key.1.into(),
            ml,
        };
        let op = self.roll(5);
        let party = &mut self.parties[at];
        let scope = party.tabs[tab].device.scope(key.0);
        // An update of what is gone is a conflict with the delete, and no app would ask for one.
        let there = scope.get::<Feed>(key.1).await.unwrap().is_some();
        let enqueued = match op {
            0 => scope.delete::<Feed>(key.1).await,
            _ if !there => scope.create(&value).await,
            _ => scope.update(&value).await,
        };
        party.wrote.insert(key, (op > 0).then_some(ml));
        let text = match enqueued.unwrap() {
            Enqueued::Queued(id) => {
                party.open.insert(id, key);
                format!("edit {id}")
            }
            Enqueued::Cancelled => {
                party.open.retain(|_, other| *other != key);
                "cancel".into()
            }
        };
        let seen: Option<Feed> = scope.get(key.1).await.unwrap();
        assert_eq!(seen, (op > 0).then_some(value), "an edit is seen at once");
        format!("{text} {key:?} op {op} ml {ml}")
    }

    fn fault(&self) -> Fault {
        match self.roll(8) {
            0 | 1 => Fault::LostRequest,
            2..5 => Fault::LostAnswer,
            5 => Fault::Error(TransportErrorKind::Malformed),
            6 => Fault::Error(TransportErrorKind::BadRequest),
            _ => Fault::RetryAfter(TransportErrorKind::Unavailable, Duration::from_secs(7)),
        }
    }

    async fn crash(&mut self, at: usize, tab: usize) -> String {
        let call = [
            StoreCall::Take,
            StoreCall::Settle,
            StoreCall::Apply,
            StoreCall::Lead,
            StoreCall::Resync,
            StoreCall::Sweep,
            StoreCall::Purge,
        ][self.roll(7)];
        let fault = match self.roll(5) {
            0 => Some(StoreFault::StopBefore),
            1 => Some(StoreFault::StopAfter),
            2 => Some(StoreFault::Error(StoreErrorKind::Full)),
            _ => None,
        };
        let text = format!("crash {call:?} {fault:?}");
        let stops = !matches!(fault, Some(StoreFault::Error(_)));
        if let Some(fault) = fault.clone() {
            self.parties[at].store.fail_next(call, fault);
            let millis = [300, 3_000][self.roll(2)];
            self.server.run_for(Duration::from_millis(millis)).await;
            self.parties[at].store.heal();
        }
        if stops {
            // Whoever leads has stopped, whichever tab that is.
            for other in 0..self.parties[at].tabs.len() {
                if other == tab || fault.is_some() {
                    self.restart(at, other).await;
                }
            }
        }
        if fault == Some(StoreFault::StopAfter) {
            // What the process has done last, it did not live to tell.
            let engine = self.parties[at].tabs[tab].device.engine();
            let left = engine.entries(EntryFilter::default()).await.unwrap();
            let pending = left.iter().filter(|e| e.is_pending());
            let left: BTreeSet<MutationId> = pending.map(|e| e.mutation.id).collect();
            self.parties[at].open.retain(|id, _| left.contains(id));
        }
        text
    }

    async fn restart(&mut self, at: usize, tab: usize) {
        self.hear(at);
        let server = self.server.clone();
        let device = self.parties[at].tabs[tab].device.clone();
        device.restart(&server).await.unwrap();
        self.hear(at);
        let tab = &mut self.parties[at].tabs[tab];
        tab.events = device.engine().events();
        tab.active = activate(&device);
    }

    /// Takes note of what the engines have told so far.
    fn hear(&mut self, at: usize) {
        let party = &mut self.parties[at];
        for tab in &mut party.tabs {
            while let Some(Some(event)) = tab.events.next().now_or_never() {
                let settled = match event.unwrap() {
                    Event::Applied { mutations } => mutations,
                    Event::Conflict { mutation_id, .. } | Event::Failed { mutation_id, .. } => {
                        vec![mutation_id]
                    }
                    _ => Vec::new(),
                };
                for id in settled {
                    party.open.remove(&id);
                }
            }
        }
    }

    /// Looks at what the devices show, and what they say has become of the edits.
    async fn look(&mut self) {
        for at in 0..self.parties.len() {
            self.hear(at);
            let steady = self.kind.is_steady();
            let party = &mut self.parties[at];
            let view = view(&party.tabs[0].device).await;
            for key in SCOPES
                .iter()
                .flat_map(|s| IDS.iter().map(move |i| (*s, *i)))
            {
                let (before, now) = (party.view.get(&key), view.get(&key));
                if before == now {
                    continue;
                }
                let past = party.past.entry(key).or_default();
                past.extend(before);
                let back = steady && now.is_some_and(|now| past.contains(now));
                assert!(!back, "{}: {key:?} went back to {now:?}", party.name);
            }
            if steady && self.kind.own_records {
                for (key, wrote) in &party.wrote {
                    assert_eq!(view.get(key), wrote.as_ref(), "{} {key:?}", party.name);
                }
            }
            party.view = view;
        }
    }

    /// Heals everything, and lets all devices catch up.
    async fn heal(&mut self) {
        for scope in SCOPES {
            self.server.grant(scope, "bob", Role::Editor);
        }
        for at in 0..self.parties.len() {
            for tab in 0..self.parties[at].tabs.len() {
                self.restart(at, tab).await;
                let device = &self.parties[at].tabs[tab].device;
                device.go_online();
                device.set_latency(Duration::ZERO);
            }
        }
        for _ in 0..6 {
            self.server.run_for(Duration::from_secs(100)).await;
            self.look().await;
            self.decide_failed().await;
        }
        self.server.run_for(Duration::from_secs(100)).await;
        self.look().await;
    }

    /// As a user would: half of what was set aside is tried again, half dropped.
    async fn decide_failed(&mut self) {
        for at in 0..self.parties.len() {
            let engine = self.parties[at].tabs[0].device.engine();
            for entry in engine.entries(EntryFilter::default()).await.unwrap() {
                if !matches!(entry.state, EntryState::Failed(_)) {
                    continue;
                }
                if self.roll(2) == 0 {
                    engine.retry(entry.mutation.key).await.unwrap();
                } else {
                    engine.discard(entry.mutation.key).await.unwrap();
                    self.parties[at].past.clear();
                }
                self.parties[at].wrote.clear();
            }
        }
    }

    async fn check(&mut self) {
        let newcomer = self.server.device("alice").await.unwrap();
        let _active = activate(&newcomer);
        self.server.run_for(Duration::from_secs(30)).await;
        let truth = view(&newcomer).await;
        for party in &mut self.parties {
            let engine = party.tabs[0].device.engine();
            let counts = engine.status().await.unwrap().counts;
            let left = engine.entries(EntryFilter::default()).await.unwrap();
            assert_eq!(
                (counts.pending, counts.failed, counts.acknowledged),
                (0, 0, 0),
                "{}: {left:?}",
                party.name
            );
            assert_eq!(party.view, truth, "{} and the server differ", party.name);
            for revoked in engine.revoked().await.unwrap() {
                party.open.remove(&revoked.mutation.id);
            }
            assert_eq!(party.open, BTreeMap::new(), "{} has lost", party.name);
            let conflicts = engine.conflicts(None).await.unwrap();
            assert!(
                conflicts.is_empty() || !(self.kind.own_records && self.kind.is_steady()),
                "{} conflicts with itself: {conflicts:?}",
                party.name
            );
        }
        if self.kind.is_steady() {
            for (key, ml) in &truth {
                let by = |party: &Party| party.wrote.get(key) == Some(&Some(*ml));
                let known =
                    self.parties.iter().any(by) || self.parties.iter().any(|p| p.wrote.is_empty());
                assert!(known, "{key:?}: {ml} was replaced");
            }
        }
    }
}

fn settings() -> EngineSettings {
    EngineSettings {
        page_size: 2,
        sweep_size: 2,
        event_capacity: 100_000,
        scheduler: scheduler::Settings {
            batch_count: 3,
            ..scheduler::Settings::default()
        },
        ..EngineSettings::default()
    }
}

fn activate(device: &TestDevice) -> BTreeMap<&'static str, Activation> {
    SCOPES
        .into_iter()
        .map(|scope| (scope, device.scope(scope).activate()))
        .collect()
}

async fn view(device: &TestDevice) -> View {
    let mut view = View::new();
    for scope in SCOPES {
        let feeds: Vec<Feed> = device.scope(scope).list().await.unwrap();
        for feed in feeds {
            let id = IDS.into_iter().find(|id| *id == feed.id).unwrap();
            view.insert((scope, id), feed.ml);
        }
    }
    view
}

async fn run(seed: u64) {
    let mut history = History::new(seed).await;
    let _print = Print {
        seed,
        log: Arc::clone(&history.log),
    };
    for _ in 0..STEPS {
        history.step().await;
    }
    history.heal().await;
    history.check().await;
}

/// Prints what led to a failure.
struct Print {
    seed: u64,
    log: Arc<Mutex<Vec<String>>>,
}

impl Drop for Print {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("seed {}: {:?}", self.seed, Kind::of(self.seed));
            for line in self.log.lock().unwrap().iter() {
                println!("{line}");
            }
        }
    }
}

#[test]
fn whatever_happens_nothing_is_lost_and_all_agree_in_the_end() {
    let set = |name| std::env::var(name).ok();
    let seed = set("SYNC_SEED").map(|seed| match seed.as_str() {
        "fresh" => UNIX_EPOCH.elapsed().unwrap().as_secs() * 1_000,
        seed => seed.parse().unwrap(),
    });
    let count = set("SYNC_HISTORIES").map(|count| count.parse().unwrap());
    let count: u64 = count.unwrap_or(if seed.is_some() { 1 } else { 20 });
    let first = seed.unwrap_or(0);
    for seed in first..first + count {
        block_on(run(seed));
    }
}
