//! The order in which the driver calls the transport and the store, where that order is the point.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::{sync::Arc, time::Duration};

use futures::{executor::block_on, future::BoxFuture};
use mockall::Sequence;
use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{Driver, Entity, SyncEngine},
    model::{Cursor, Page},
    store::MemoryStore,
    transport::{
        Answer, MockTransport, PullRequest, PushAnswer, PushRequest, ServerTraits, TransportError,
        TransportErrorKind, Verdict,
    },
};
use sync_testing::{FaultyStore, SeededEntropy, StoreCall, VirtualClock};

#[derive(Serialize, Deserialize)]
struct Note {
    id: String,
}

impl Entity for Note {
    const TYPE: &'static str = "note";

    fn id(&self) -> String {
        self.id.clone()
    }
}

fn note(id: &str) -> Note {
    Note { id: id.to_owned() }
}

struct App {
    engine: SyncEngine,
    driver: Driver,
    store: FaultyStore,
    clock: VirtualClock,
}

impl App {
    async fn new(mut transport: MockTransport) -> Self {
        transport.expect_traits().returning(ServerTraits::default);
        let (store, clock) = (FaultyStore::new(MemoryStore::new()), VirtualClock::new());
        let (engine, driver) = SyncEngine::builder(store.clone(), transport)
            .account("alice")
            .clock(Arc::new(clock.clone()))
            .entropy(Arc::new(SeededEntropy::new(1)))
            .open()
            .await
            .unwrap();
        Self {
            engine,
            driver,
            store,
            clock,
        }
    }

    async fn settle(&mut self) {
        let limit = Duration::from_secs(60);
        let clock = self.clock.clone();
        clock.run(self.driver.run_until_idle(limit)).await;
    }
}

fn nothing_new(request: PullRequest) -> BoxFuture<'static, Result<Page, TransportError>> {
    answer(Ok(Page {
        changes: Vec::new(),
        next: request.cursor.unwrap_or_else(|| Cursor::from("c1")),
        has_more: false,
        through: Some(0),
        epoch: Some("e1".into()),
        verdict_retention: None,
    }))
}

fn answer<T: Send + 'static>(answer: T) -> BoxFuture<'static, T> {
    Box::pin(std::future::ready(answer))
}

fn answer_all(
    request: &PushRequest,
    verdict: impl Fn() -> Verdict,
) -> BoxFuture<'static, Result<PushAnswer, TransportError>> {
    let one = |sent: &sync_core::transport::Outgoing| Answer {
        id: sent.mutation.id,
        verdict: verdict(),
    };
    answer(Ok(PushAnswer {
        answers: request.mutations.iter().map(one).collect(),
        verdict_retention: None,
    }))
}

fn rejected() -> Verdict {
    Verdict::Rejected {
        reason: "a test".to_owned(),
    }
}

#[test]
fn a_batch_is_marked_as_sent_before_it_is_sent_and_settled_after() {
    block_on(async {
        let mut transport = MockTransport::new();
        transport
            .expect_push()
            .times(1)
            .returning(|request| answer_all(&request, rejected));
        let mut app = App::new(transport).await;
        app.engine.scope("s").create(&note("n1")).await.unwrap();
        app.settle().await;
        let calls = app.store.take_calls();
        let pushing = [StoreCall::Lead, StoreCall::Take, StoreCall::Settle];
        let at = |call| calls.iter().position(|c| *c == call).unwrap();
        assert!(
            pushing.windows(2).all(|pair| at(pair[0]) < at(pair[1])),
            "{calls:?}"
        );
    });
}

#[test]
fn when_the_network_is_back_the_flush_comes_before_the_pulls() {
    block_on(async {
        let mut order = Sequence::new();
        let mut transport = MockTransport::new();
        transport
            .expect_push()
            .times(1)
            .in_sequence(&mut order)
            .returning(|request| answer_all(&request, rejected));
        transport
            .expect_pull()
            .times(1)
            .in_sequence(&mut order)
            .returning(nothing_new);
        let mut app = App::new(transport).await;
        app.engine.set_online(false);
        let _active = app.engine.scope("s").activate();
        app.engine.scope("s").create(&note("n1")).await.unwrap();
        app.settle().await;
        app.engine.set_online(true);
        app.settle().await;
    });
}

#[test]
fn an_expired_cursor_is_followed_by_a_resync_and_a_pull_from_the_start() {
    block_on(async {
        let mut order = Sequence::new();
        let mut transport = MockTransport::new();
        transport
            .expect_pull()
            .times(1)
            .in_sequence(&mut order)
            .withf(|request| request.cursor.is_none())
            .returning(nothing_new);
        transport
            .expect_pull()
            .times(1)
            .in_sequence(&mut order)
            .withf(|request| request.cursor.is_some())
            .returning(|_| {
                let kind = TransportErrorKind::CursorExpired;
                answer(Err(TransportError::new(kind, "old")))
            });
        transport
            .expect_pull()
            .times(1)
            .in_sequence(&mut order)
            .withf(|request| request.cursor.is_none())
            .returning(nothing_new);
        let mut app = App::new(transport).await;
        let _active = app.engine.scope("s").activate();
        app.settle().await;
        app.store.take_calls();
        app.engine.poke("s");
        app.settle().await;
        let calls = app.store.take_calls();
        let changes: Vec<StoreCall> = calls
            .into_iter()
            .filter(|c| *c != StoreCall::Take)
            .collect();
        assert_eq!(
            changes,
            [StoreCall::Resync, StoreCall::Apply, StoreCall::Sweep]
        );
    });
}

#[test]
fn a_forbidden_edit_is_settled_only_after_a_pull_of_its_scope() {
    block_on(async {
        let mut order = Sequence::new();
        let mut transport = MockTransport::new();
        transport
            .expect_push()
            .times(1)
            .in_sequence(&mut order)
            .returning(|request| answer_all(&request, || Verdict::Forbidden));
        transport
            .expect_pull()
            .times(1)
            .in_sequence(&mut order)
            .returning(nothing_new);
        let mut app = App::new(transport).await;
        app.engine.scope("s").create(&note("n1")).await.unwrap();
        app.settle().await;
        let calls = app.store.take_calls();
        let at = |call| calls.iter().position(|c| *c == call).unwrap();
        assert!(at(StoreCall::Apply) < at(StoreCall::Settle), "{calls:?}");
        assert_eq!(app.engine.status().await.unwrap().counts.failed, 1);
    });
}
