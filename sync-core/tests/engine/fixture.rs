//! One device of a test.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{Driver, EngineSettings, Entity, RunEnd, ScopeHandle, SyncEngine},
    model::{Change, ChangeOp, Cursor, Page, Payload, Schema, Scope},
    store::{MemoryStore, Store},
    transport::{TransportError, TransportErrorKind},
};
use sync_testing::{ScriptedTransport, SeededEntropy, VirtualClock};

pub(crate) const BABY: &str = "baby-1";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feed {
    pub(crate) id: String,
    pub(crate) ml: u32,
}

impl Entity for Feed {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

pub(crate) fn feed(id: &str, ml: u32) -> Feed {
    Feed {
        id: id.to_owned(),
        ml,
    }
}

pub(crate) struct Device {
    pub(crate) engine: SyncEngine,
    pub(crate) driver: Driver,
    pub(crate) server: ScriptedTransport,
    pub(crate) clock: VirtualClock,
}

impl Device {
    pub(crate) async fn new() -> Self {
        let (store, clock) = (MemoryStore::new(), VirtualClock::new());
        Self::on(store, clock, ScriptedTransport::new(), 1).await
    }

    pub(crate) async fn on(
        store: impl Store,
        clock: VirtualClock,
        server: ScriptedTransport,
        seed: u64,
    ) -> Self {
        let (engine, driver) = SyncEngine::builder(store, server.clone())
            .account("alice")
            .clock(Arc::new(clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(seed)))
            .settings(EngineSettings::default())
            .open()
            .await
            .unwrap();
        Self {
            engine,
            driver,
            server,
            clock,
        }
    }

    pub(crate) fn baby(&self) -> ScopeHandle {
        self.engine.scope(BABY)
    }

    /// Runs the driver until it has nothing to do, for at most ten minutes of virtual time.
    pub(crate) async fn settle(&mut self) -> RunEnd {
        let limit = Duration::from_secs(600);
        let clock = self.clock.clone();
        clock.run(self.driver.run_until_idle(limit)).await
    }

    /// Runs the driver for this long, whether it is idle or not.
    pub(crate) async fn run_for(&mut self, time: Duration) {
        let clock = self.clock.clone();
        let until = sync_core::time::Clock::now(&clock) + time;
        while sync_core::time::Clock::now(&clock) < until {
            let left = until.since(sync_core::time::Clock::now(&clock));
            if clock.run(self.driver.run_until_idle(left)).await == RunEnd::Idle {
                clock.advance(left.min(Duration::from_millis(100)));
            }
        }
    }
}

pub(crate) fn put(value: &Feed, seq: u64) -> Change {
    Change {
        entity_type: Feed::TYPE.into(),
        entity_id: value.id.as_str().into(),
        op: ChangeOp::Put(Payload::encode(value).unwrap()),
        schema: Schema(1),
        seq: Some(seq),
        mutation_id: None,
        overwritten: Vec::new(),
    }
}

pub(crate) fn page(changes: Vec<Change>, next: &str) -> Page {
    let through = changes.iter().filter_map(|change| change.seq).max();
    Page {
        changes,
        next: Cursor::from(next),
        has_more: false,
        through,
        epoch: Some("e1".into()),
        verdict_retention: None,
    }
}

pub(crate) fn failure(kind: TransportErrorKind) -> TransportError {
    TransportError::new(kind, "scripted")
}

pub(crate) fn scope() -> Scope {
    Scope::from(BABY)
}
