//! Random histories: both logs answer the same, and whoever follows the pages holds what the server holds.

#![allow(clippy::unwrap_used, reason = "a test's helper fails its test")]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::*;
use futures::executor::block_on;
use proptest::prelude::*;
use sync_core::{
    model::{Cursor, MutationId, Page, Version},
    time::{Clock, Timestamp},
    transport::Verdict,
};
use sync_server::{
    ServerErrorKind,
    log::{ChangeLog, MemoryLog, Retention, sqlite::SqliteLog},
};

const DEVICES: usize = 3;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Event {
    Push(usize, Vec<Step>),
    /// The last batch of a device arrives once more.
    Repeat(usize),
    /// One page.
    Pull(usize, u32),
    Sleep(i64),
    Compact,
    NewEpoch,
}

/// An edit that a device makes.
#[derive(Clone, Debug)]
struct Step {
    record: u8,
    op: u8,
    /// Whether it names what the device has pulled of the record.
    based: bool,
    /// Whether it names the device's last mutation of the record.
    chained: bool,
    age: u64,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let step = (0..4u8, 0..3u8, any::<bool>(), any::<bool>(), 0..300u64).prop_map(
        |(record, op, based, chained, age)| Step {
            record,
            op,
            based,
            chained,
            age,
        },
    );
    let steps = prop::collection::vec(step, 1..4);
    let event = prop_oneof![
        6 => (0..DEVICES, steps).prop_map(|(device, steps)| Event::Push(device, steps)),
        2 => (0..DEVICES).prop_map(Event::Repeat),
        6 => (0..DEVICES, 1..4u32).prop_map(|(device, limit)| Event::Pull(device, limit)),
        4 => (1..200i64).prop_map(Event::Sleep),
        1 => Just(Event::Sleep(50 * 24 * 60 * 60)),
        1 => Just(Event::Compact),
        1 => Just(Event::NewEpoch),
    ];
    prop::collection::vec(event, 1..60)
}

/// What a device has pulled and sent.
#[derive(Debug, Default)]
struct Device {
    cursor: Option<Cursor>,
    records: BTreeMap<String, (String, Version)>,
    through: Option<Version>,
    last: BTreeMap<u8, Edit>,
    batch: Vec<Edit>,
    sent: Timestamp,
}

impl Device {
    fn apply(&mut self, page: Page) {
        let epoch = page.epoch.unwrap();
        for change in page.changes {
            let id = change.entity_id.as_str().to_owned();
            match change.op.payload() {
                Some(payload) => {
                    let version = Version::new(epoch.clone(), change.seq.unwrap());
                    self.records
                        .insert(id, (plain(payload).to_owned(), version));
                }
                None => {
                    self.records.remove(&id);
                }
            }
        }
        self.through = Some(Version::new(epoch, page.through.unwrap()));
        self.cursor = Some(page.next);
    }

    fn resync(&mut self) {
        self.cursor = None;
        self.records.clear();
    }
}

/// A world, its devices, and all that the server has said.
struct Run {
    world: World,
    devices: [Device; DEVICES],
    said: Vec<String>,
    /// The number of the change that each applied mutation made.
    applied: BTreeMap<MutationId, u64>,
}

impl Run {
    fn new(log: Arc<dyn ChangeLog>) -> Self {
        Self {
            world: World::new(log),
            devices: Default::default(),
            said: Vec::new(),
            applied: BTreeMap::new(),
        }
    }

    async fn happen(&mut self, event: &Event) {
        match event {
            Event::Push(device, steps) => {
                let batch = steps.iter().map(|step| self.edit(*device, step)).collect();
                self.devices[*device].batch = batch;
                self.devices[*device].sent = self.world.clock.wall();
                self.push(*device).await;
            }
            Event::Repeat(device) => {
                // As the protocol asks of clients: what is older than the verdicts is not sent again.
                let age = self.world.clock.wall().since(self.devices[*device].sent);
                if age < Retention::default().verdicts() {
                    self.push(*device).await;
                }
            }
            Event::Pull(device, limit) => {
                self.pull(*device, *limit).await;
            }
            Event::Sleep(seconds) => self.world.sleep(*seconds),
            Event::Compact => {
                let compacted = self.world.server.compact().await.unwrap();
                self.said.push(format!("{compacted:?}"));
            }
            Event::NewEpoch => self.world.server.new_epoch().await.unwrap(),
        }
    }

    fn edit(&mut self, device: usize, step: &Step) -> Edit {
        let id = step.record.to_string();
        let n = self.said.len().to_string();
        let mut edit = match step.op {
            0 => self.world.create(&id, &n),
            1 => self.world.update(&id, &n),
            _ => self.world.delete(&id),
        };
        let device = &mut self.devices[device];
        edit = edit.aged(step.age);
        let seen = device.records.get(&id).map(|(_, version)| version);
        if let Some(version) = seen.or(device.through.as_ref()).filter(|_| step.based) {
            edit = edit.on(version);
        }
        if let Some(last) = device.last.get(&step.record).filter(|_| step.chained) {
            edit = edit.after(last);
        }
        device.last.insert(step.record, edit.clone());
        edit
    }

    async fn push(&mut self, device: usize) {
        let Device { cursor, batch, .. } = &self.devices[device];
        let cursors = vec![(S.into(), cursor.clone())];
        let edits: Vec<&Edit> = batch.iter().collect();
        let account = ["ann", "bob", "ann"][device];
        let before = self.head().await;
        let verdicts = self.world.push_at(account, cursors, &edits).await;
        let after = self.head().await;
        let mut made = 0;
        for (edit, verdict) in edits.iter().zip(&verdicts) {
            if let Verdict::Applied { version, .. } = verdict {
                let seq = version.as_ref().unwrap().seq;
                // Applied once: a repeat is answered with the same number.
                let first = *self.applied.entry(edit.id()).or_insert(seq);
                if first > before {
                    made = made.max(first - before);
                }
            }
        }
        assert_eq!(after - before, made, "numbers without gaps: {verdicts:?}");
        self.said.push(format!("{verdicts:?}"));
    }

    async fn head(&self) -> u64 {
        let row = self.world.log.scope(S.into()).await.unwrap();
        row.map_or(0, |row| row.head)
    }

    /// Pulls a page; `true` when there is more.
    async fn pull(&mut self, device: usize, limit: u32) -> bool {
        let cursor = self.devices[device].cursor.clone();
        let pulled = self.world.try_pull("ann", S, cursor.as_ref(), limit).await;
        match pulled {
            Ok(page) => {
                self.said.push(format!("{page:?}"));
                let has_more = page.has_more;
                self.devices[device].apply(page);
                has_more
            }
            Err(error) => {
                assert_eq!(error.kind(), ServerErrorKind::CursorExpired);
                assert!(cursor.is_some(), "a pull from the start never expires");
                self.said.push(format!("{error}"));
                self.devices[device].resync();
                true
            }
        }
    }

    /// Every device follows its pages to the end, and holds what the server holds.
    async fn converge(&mut self) {
        let held: BTreeMap<_, _> = self
            .world
            .state()
            .await
            .into_iter()
            .filter_map(|(id, change)| Some((id, plain(change.op.payload()?).to_owned())))
            .collect();
        for device in 0..DEVICES {
            while self.pull(device, 2).await {}
            let records = self.devices[device].records.iter();
            let pulled: BTreeMap<_, _> = records
                .map(|(id, (payload, _))| (id.clone(), payload.clone()))
                .collect();
            assert_eq!(pulled, held, "device {device}");
        }
    }
}

async fn run(log: Arc<dyn ChangeLog>, events: &[Event]) -> Vec<String> {
    let mut run = Run::new(log);
    for event in events {
        run.happen(event).await;
    }
    run.converge().await;
    run.said
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_logs_say_the_same_and_all_devices_converge(events in events()) {
        let memory = block_on(run(Arc::new(MemoryLog::new()), &events));
        let sqlite = block_on(run(Arc::new(SqliteLog::in_memory().unwrap()), &events));
        prop_assert_eq!(memory, sqlite);
    }
}
