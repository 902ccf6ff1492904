//! A device: a database, and the engines that its app runs on it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt};
use sync_core::{
    engine::{Activation, EngineError, EngineSettings, Event, Events, SyncEngine},
    model::{Account, Scope},
    policy::{Choice, Contest, Resolve},
    scheduler,
    store::Resolution,
    time::{Clock, Entropy, Time, Timestamp},
};

use super::{
    executor::{Executor, Process},
    lease::RowLease,
    merge::beside,
    network::{Line, Link},
    plan::{ACCOUNTS, DevicePart, Reply, SCOPES, TYPES},
    seen::{Seen, TabId},
    store::{Disk, WatchedStore},
    world::World,
};
use crate::{SeededEntropy, VirtualClock};

pub(crate) struct Device {
    pub(crate) number: usize,
    pub(crate) account: Account,
    pub(crate) newest: bool,
    pub(crate) disk: Disk,
    pub(crate) line: Line,
    pub(crate) clock: DeviceClock,
    pub(crate) tabs: Vec<Option<Tab>>,
    online: bool,
    executor: Executor,
    entropy: Arc<SeededEntropy>,
}

/// An engine that runs.
pub(crate) struct Tab {
    pub(crate) engine: SyncEngine,
    pub(crate) process: Process,
    events: Events,
    visible: bool,
    active: BTreeMap<usize, Activation>,
}

/// The world's clock with a wall clock of the device's own.
#[derive(Clone, Debug)]
pub(crate) struct DeviceClock {
    world: VirtualClock,
    skew: Arc<AtomicI64>,
}

impl DeviceClock {
    pub(crate) fn jump(&self, millis: i64) {
        self.skew.fetch_add(millis, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for DeviceClock {
    fn now(&self) -> Time {
        self.world.now()
    }

    fn wall(&self) -> Timestamp {
        let skew = self.skew.load(Ordering::Relaxed);
        Timestamp::from_millis(self.world.wall().as_millis() + skew)
    }

    async fn sleep_until(&self, deadline: Time) {
        self.world.sleep_until(deadline).await;
    }
}

impl Device {
    pub(crate) fn new(world: &World, number: usize, part: DevicePart) -> Self {
        let cast = &world.plan.cast;
        Self {
            number,
            account: Account::from(ACCOUNTS[part.account]),
            newest: part.newest,
            disk: Disk::new(
                world.executor.clone(),
                world.recorder.clone(),
                cast.scopes,
                (world.lends && part.tabs > 1).then(RowLease::default),
            ),
            executor: world.executor.clone(),
            line: Line::new(cast.latency),
            clock: DeviceClock {
                world: world.executor.clock.clone(),
                skew: Arc::new(AtomicI64::new(part.skew)),
            },
            tabs: (0..part.tabs).map(|_| None).collect(),
            online: true,
            entropy: Arc::new(SeededEntropy::new(world.plan.seed ^ (number as u64 + 77))),
        }
    }

    /// The entity types that its app knows.
    pub(crate) fn types(&self) -> &'static [&'static str] {
        match self.newest {
            true => &TYPES,
            false => &TYPES[..1],
        }
    }

    /// Starts an engine, with all scopes active.
    pub(crate) async fn start(&mut self, world: &World, tab: usize) -> Result<(), EngineError> {
        let id = TabId {
            device: self.number,
            tab,
        };
        let process = world.executor.process();
        let store = world.open(self.number).await?;
        let store = WatchedStore::new(store, self.disk.clone(), id, process);
        let link = Link {
            network: world.network.clone(),
            tab: id,
            line: self.line.clone(),
            account: self.account.clone(),
        };
        let cast = &world.plan.cast;
        let settings = EngineSettings {
            page_size: cast.page_size,
            sweep_size: 2,
            event_capacity: 64,
            scheduler: scheduler::Settings {
                batch_count: cast.batch_count,
                ..scheduler::Settings::default()
            },
            ..EngineSettings::default()
        };
        let (engine, driver) = SyncEngine::builder(store, link)
            .on_conflict(Replies(world.plan.cast.devices[self.number].reply))
            .account(self.account.clone())
            .clock(Arc::new(self.clock.clone()))
            .entropy(Arc::clone(&self.entropy) as Arc<dyn Entropy>)
            .settings(settings)
            .open()
            .await?;
        world.recorder.see(&Seen::Bound {
            device: self.number,
            account: &self.account,
        });
        let events = engine.events();
        world.executor.spawn(process, driver.run().boxed());
        engine.set_online(self.online);
        let mut tab_state = Tab {
            engine,
            process,
            events,
            visible: true,
            active: BTreeMap::new(),
        };
        for scope in 0..cast.scopes {
            tab_state.activate(scope, true);
        }
        self.tabs[tab] = Some(tab_state);
        Ok(())
    }

    /// Ends an engine where it stands.
    pub(crate) fn kill(&mut self, world: &World, tab: usize) {
        self.hear(world);
        if let Some(tab) = self.tabs[tab].take() {
            self.disk.kill(tab.process);
        }
    }

    /// An engine that runs, and is not frozen.
    pub(crate) fn awake(&self, tab: usize) -> Option<&Tab> {
        let tab = self.tabs[tab].as_ref();
        tab.filter(|tab| !self.executor.is_frozen(tab.process))
    }

    pub(crate) fn awake_mut(&mut self, tab: usize) -> Option<&mut Tab> {
        let tab = self.tabs[tab].as_mut();
        tab.filter(|tab| !self.executor.is_frozen(tab.process))
    }

    /// Whether its user sees none of its engines.
    pub(crate) fn is_hidden(&self) -> bool {
        self.tabs.iter().flatten().all(|tab| !tab.visible)
    }

    /// Its user looks at it.
    pub(crate) fn show(&mut self) {
        for tab in self.tabs.iter_mut().flatten() {
            tab.set_visible(true);
        }
    }

    pub(crate) fn tell_online(&mut self, online: bool) {
        self.online = online;
        self.line.set_up(online);
        for tab in self.tabs.iter().flatten() {
            tab.engine.set_online(online);
        }
    }

    /// What the platform has said last.
    pub(crate) fn is_told_online(&self) -> bool {
        self.online
    }

    /// Passes on what the engines have told since.
    pub(crate) fn hear(&mut self, world: &World) {
        for (number, tab) in self.tabs.iter_mut().enumerate() {
            let Some(tab) = tab else { continue };
            while let Some(Some(Ok(event))) = tab.events.next().now_or_never() {
                if matches!(event, Event::Error { .. } | Event::Changed { .. }) {
                    continue;
                }
                world.recorder.count(told(&event), 1);
                world.recorder.see(&Seen::Told {
                    tab: TabId {
                        device: self.number,
                        tab: number,
                    },
                    event: &event,
                });
            }
        }
    }
}

/// What the app does with its edits that have lost.
#[derive(Debug)]
struct Replies(Reply);

impl Resolve for Replies {
    fn resolve(&self, contest: &Contest<'_>) -> Choice {
        match (self.0, contest.mine.payload(), &contest.theirs.payload) {
            (Reply::Accepts, ..) => Choice::Theirs,
            (Reply::Merges, Some(mine), Some(theirs)) => {
                beside(mine, theirs).map_or(Choice::Theirs, Choice::Merged)
            }
            (Reply::PutsItsOwnAgain | Reply::Merges, ..) => Choice::Mine,
        }
    }
}

impl Tab {
    pub(crate) fn set_visible(&mut self, visible: bool) {
        self.visible = visible;
        self.engine.set_visible(visible);
    }

    pub(crate) fn activate(&mut self, scope: usize, on: bool) {
        if on {
            let handle = self.engine.scope(Scope::from(SCOPES[scope]));
            self.active
                .entry(scope)
                .or_insert_with(|| handle.activate());
        } else {
            self.active.remove(&scope);
        }
    }
}

/// The labels of what engines tell.
pub(crate) const TOLD: [&str; 10] = [
    "told: applied",
    "told: conflict",
    "told: failed",
    "told: synced",
    "told: revoked",
    "told: resync",
    "told: resync in a new epoch",
    "told: paused",
    "told: conflict, the own edit put again",
    "told: conflict, a merge put",
];

fn told(event: &Event) -> &'static str {
    match event {
        Event::Applied { .. } => TOLD[0],
        Event::Conflict { resolution, .. } => match resolution {
            Resolution::Mine => TOLD[8],
            Resolution::Merged => TOLD[9],
            _ => TOLD[1],
        },
        Event::Failed { .. } => TOLD[2],
        Event::Synced { .. } => TOLD[3],
        Event::Revoked { .. } => TOLD[4],
        Event::Resync {
            new_epoch: false, ..
        } => TOLD[5],
        Event::Resync { .. } => TOLD[6],
        Event::Paused { .. } => TOLD[7],
        _ => "told: something else",
    }
}
