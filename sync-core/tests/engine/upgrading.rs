//! Records and mutations of an older format version of the app's JSON.

use futures::executor::block_on;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sync_core::{
    engine::{Entity, SyncEngine},
    model::{Op, Payload, Schema},
    store::MemoryStore,
};
use sync_testing::{Call, ScriptedTransport, SeededEntropy, VirtualClock};

use crate::fixture::{BABY, page, put};

/// Format 1 had ounces; format 2 has millilitres.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bottle {
    id: String,
    ml: u64,
}

impl Entity for Bottle {
    const TYPE: &'static str = "feed_log";
    const SCHEMA: u32 = 2;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn upgrade(from: u32, json: Value) -> Result<Value, String> {
        match (from, json["oz"].as_u64()) {
            (1, Some(oz)) => Ok(json!({ "id": json["id"], "ml": oz * 30 })),
            _ => Err("no ounces".to_owned()),
        }
    }
}

fn bottle(id: &str, ml: u64) -> Bottle {
    Bottle {
        id: id.to_owned(),
        ml,
    }
}

struct App {
    engine: SyncEngine,
    driver: sync_core::engine::Driver,
    clock: VirtualClock,
}

impl App {
    /// The new version of the app, on the database of the old one.
    async fn new(store: MemoryStore, server: ScriptedTransport) -> Self {
        let clock = VirtualClock::new();
        let (engine, driver) = SyncEngine::builder(store, server)
            .account("alice")
            .clock(std::sync::Arc::new(clock.clone()))
            .entropy(std::sync::Arc::new(SeededEntropy::new(3)))
            .entity::<Bottle>()
            .open()
            .await
            .unwrap();
        Self {
            engine,
            driver,
            clock,
        }
    }

    async fn old_edit(&self, id: &str, json: &str) {
        let op = Op::Create(Payload::parse(json).unwrap());
        let scope = self.engine.scope(BABY);
        let edits = scope.edits().untyped("feed_log", id, op, Schema(1));
        edits.enqueue().await.unwrap();
    }

    async fn settle(&mut self) {
        let limit = std::time::Duration::from_secs(60);
        let clock = self.clock.clone();
        clock.run(self.driver.run_until_idle(limit)).await;
    }
}

fn sent(server: &ScriptedTransport) -> Vec<(Schema, String)> {
    let calls = server.take_calls().into_iter();
    calls
        .filter_map(|call| match call {
            Call::Push(request) => Some(request.mutations),
            Call::Pull(_) => None,
        })
        .flatten()
        .map(|sent| {
            let payload = sent.mutation.op.payload().unwrap().as_str().to_owned();
            (sent.mutation.schema, payload)
        })
        .collect()
}

#[test]
fn a_stored_record_of_an_older_format_is_read_in_the_newest() {
    block_on(async {
        let app = App::new(MemoryStore::new(), ScriptedTransport::new()).await;
        app.old_edit("b1", r#"{"id":"b1","oz":4}"#).await;
        let scope = app.engine.scope(BABY);
        assert_eq!(scope.get("b1").await.unwrap(), Some(bottle("b1", 120)));
        let changed = scope.update_with("b1", |b: &mut Bottle| b.ml += 1).await;
        assert_eq!(changed.unwrap(), Some(bottle("b1", 121)));
        app.old_edit("b2", r#"{"id":"b2"}"#).await;
        let error = scope.get::<Bottle>("b2").await.unwrap_err().to_string();
        assert!(error.contains("no ounces"), "{error}");
    });
}

#[test]
fn a_mutation_that_was_never_sent_goes_out_in_the_newest_format() {
    block_on(async {
        let server = ScriptedTransport::new();
        let mut app = App::new(MemoryStore::new(), server.clone()).await;
        app.old_edit("b1", r#"{"id":"b1","oz":4}"#).await;
        app.settle().await;
        assert_eq!(
            sent(&server),
            [(Schema(2), r#"{"id":"b1","ml":120}"#.to_owned())]
        );
    });
}

#[test]
fn a_mutation_that_was_sent_goes_out_again_as_it_was() {
    block_on(async {
        let (store, server) = (MemoryStore::new(), ScriptedTransport::new());
        let clock = VirtualClock::new();
        // The old version of the app sends it, and never hears of it.
        let (old, mut driver) = SyncEngine::builder(store.clone(), server.clone())
            .account("alice")
            .clock(std::sync::Arc::new(clock.clone()))
            .entropy(std::sync::Arc::new(SeededEntropy::new(3)))
            .open()
            .await
            .unwrap();
        let json = r#"{"id":"b1","oz":4}"#;
        let op = Op::Create(Payload::parse(json).unwrap());
        let scope = old.scope(BABY);
        let edits = scope.edits().untyped("feed_log", "b1", op, Schema(1));
        edits.enqueue().await.unwrap();
        let lost = sync_core::transport::TransportErrorKind::Timeout;
        for _ in 0..9 {
            server.on_push(move |_| Err(crate::fixture::failure(lost)));
        }
        let limit = std::time::Duration::from_millis(1_100);
        clock.run(driver.run_until_idle(limit)).await;
        assert!(!sent(&server).is_empty());
        drop((old, scope, driver));
        let server = ScriptedTransport::new();
        let mut app = App::new(store, server.clone()).await;
        app.settle().await;
        assert_eq!(sent(&server), [(Schema(1), json.to_owned())]);
    });
}

#[test]
fn a_pulled_record_of_an_older_format_is_read_in_the_newest() {
    block_on(async {
        let server = ScriptedTransport::new();
        let mut app = App::new(MemoryStore::new(), server.clone()).await;
        server.on_pull(|_| {
            let mut change = put(&crate::fixture::feed("b1", 0), 1);
            let json = Payload::parse(r#"{"id":"b1","oz":2}"#).unwrap();
            change.op = sync_core::model::ChangeOp::Put(json);
            Ok(page(vec![change], "c1"))
        });
        let _active = app.engine.scope(BABY).activate();
        app.settle().await;
        let bottles: Vec<Bottle> = app.engine.scope(BABY).list().await.unwrap();
        assert_eq!(bottles, [bottle("b1", 60)]);
    });
}

#[test]
fn an_older_app_does_not_write_back_what_it_has_not_understood_of_a_newer_record() {
    block_on(async {
        let app = App::new(MemoryStore::new(), ScriptedTransport::new()).await;
        let scope = app.engine.scope(BABY);
        // It would fit the struct of this version; only the `note` would be lost.
        let json = r#"{"id":"b1","ml":120,"note":"warm"}"#;
        let op = Op::Create(Payload::parse(json).unwrap());
        let edits = scope.edits().untyped("feed_log", "b1", op, Schema(3));
        edits.enqueue().await.unwrap();
        let changed = scope.update_with("b1", |b: &mut Bottle| b.ml += 1).await;
        let error = changed.unwrap_err().to_string();
        assert!(
            error.contains("of format 3") && error.contains("up to 2"),
            "{error}"
        );
        let kept = scope.get_untyped("feed_log", "b1").await.unwrap().unwrap();
        assert_eq!(kept.payload.as_str(), json);
    });
}
