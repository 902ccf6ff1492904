//! The outbox never stops for long, blames nobody without proof, and forgets nothing.

use std::time::Duration;

use sync_core::{
    engine::DriverState,
    error::StoreErrorKind,
    scheduler::PauseReason,
    store::{EntryFilter, EntryState, FailReason, MemoryStore},
    transport::{PullRequest, TransportErrorKind},
};
use sync_testing::{Fault, FaultyStore, StoreCall, StoreFault, TestDevice, TestServer};

use crate::{BABY, Feed, feed, feeds};

const HOUR: Duration = Duration::from_secs(3_600);

async fn create(device: &TestDevice, id: &str, ml: u32) {
    device.scope(BABY).create(&feed(id, ml)).await.unwrap();
}

/// Pending and failed mutations.
async fn left(device: &TestDevice) -> (u64, u64) {
    let counts = device.engine().status().await.unwrap().counts;
    (counts.pending, counts.failed)
}

/// The number of the newest change in the scope's log.
async fn head(server: &TestServer) -> Option<u64> {
    let request = PullRequest {
        account: "alice".into(),
        scope: BABY.into(),
        cursor: None,
        limit: 100,
    };
    let page = server.server().pull(&"alice".into(), request).await;
    page.unwrap().through
}

#[tokio::test]
async fn neither_an_outage_of_hours_nor_a_refused_token_uses_an_edit_up() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    phone.set_reachable(false);
    for n in 0..3 {
        create(&phone, &format!("f{n}"), n).await;
    }
    server.run_for(6 * HOUR).await;
    assert_eq!(left(&phone).await, (3, 0));
    assert!(server.requests() < 6 * 200, "{} tries", server.requests());

    phone.fail_next(Fault::Error(TransportErrorKind::Unauthorized));
    phone.set_reachable(true);
    server.run_for(HOUR).await;
    let status = phone.engine().status().await.unwrap();
    assert_eq!(
        status.driver,
        DriverState::Paused(PauseReason::AuthRequired)
    );
    let before = server.requests();
    create(&phone, "f3", 3).await;
    server.run_for(HOUR).await;
    assert_eq!(
        server.requests(),
        before,
        "a token that was refused is not tried again"
    );
    assert_eq!(left(&phone).await, (4, 0));

    phone.engine().resume();
    server.settle().await;
    assert_eq!(left(&phone).await, (0, 0));
    assert_eq!(head(&server).await, Some(4));
}

#[tokio::test]
async fn an_outbox_empties_by_itself_once_the_server_is_back() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    phone.set_reachable(false);
    create(&phone, "f1", 1).await;
    server.run_for(HOUR).await;
    // Nobody tells the engine; the longest wait between two tries is a minute.
    phone.set_reachable(true);
    server.run_for(Duration::from_secs(61)).await;
    assert_eq!(left(&phone).await, (0, 0));
}

#[tokio::test]
async fn a_mutation_that_the_server_chokes_on_is_set_aside_and_holds_nobody_up() {
    for kind in [
        TransportErrorKind::BadRequest,
        TransportErrorKind::Unavailable,
    ] {
        let server = TestServer::new();
        let phone = server.device("alice").await.unwrap();
        let tablet = server.device("alice").await.unwrap();
        let _active = tablet.scope(BABY).activate();
        server.choke_on("bad", kind);
        phone.go_offline();
        create(&phone, "f1", 1).await;
        create(&phone, "bad", 2).await;
        create(&phone, "f2", 3).await;
        phone.scope(BABY).update(&feed("bad", 4)).await.unwrap();
        phone.go_online();
        // Life goes on elsewhere, which is the proof that the server is well.
        for n in 4..14 {
            server.run_for(Duration::from_secs(30)).await;
            let other = feed(&format!("f{n}"), n);
            phone.scope("baby-2").create(&other).await.unwrap();
        }
        server.settle().await;
        assert_eq!(left(&phone).await, (0, 2), "{kind:?}");
        assert_eq!(feeds(&tablet).await, [feed("f1", 1), feed("f2", 3)]);
        let entries = phone
            .engine()
            .entries(EntryFilter::default())
            .await
            .unwrap();
        let reasons: Vec<_> = entries
            .iter()
            .map(|entry| match &entry.state {
                EntryState::Failed(failed) => failed.reason,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(reasons, [FailReason::Poison, FailReason::Predecessor]);
        let kept: Option<Feed> = phone.scope(BABY).get("bad").await.unwrap();
        assert_eq!(kept, Some(feed("bad", 4)), "what was written stays");

        server.swallow();
        assert!(phone.scope(BABY).retry::<Feed>("bad").await.unwrap());
        server.settle().await;
        assert_eq!(left(&phone).await, (0, 0));
        assert_eq!(feeds(&tablet).await[0], feed("bad", 4));
    }
}

#[tokio::test]
async fn an_answer_that_the_database_could_not_keep_is_nobodys_fault() {
    let server = TestServer::new();
    let store = FaultyStore::new(MemoryStore::new());
    let phone = server.device_on("alice", store.clone()).await.unwrap();
    for _ in 0..10 {
        store.fail_next(StoreCall::Settle, StoreFault::Error(StoreErrorKind::Busy));
    }
    create(&phone, "f1", 1).await;
    create(&phone, "f2", 2).await;
    server.run_for(Duration::from_secs(20)).await;
    assert_eq!(left(&phone).await, (2, 0), "the server has applied both");
    server.run_for(HOUR).await;
    assert_eq!(left(&phone).await, (0, 0));
    assert_eq!(phone.engine().conflicts(None).await.unwrap(), []);
    assert_eq!(head(&server).await, Some(2), "each was applied once");
}

#[tokio::test]
async fn what_waits_is_counted_by_the_database_and_not_by_the_process() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    phone.go_offline();
    for n in 0..3 {
        create(&phone, &format!("f{n}"), n).await;
    }
    assert_eq!(left(&phone).await, (3, 0));
    phone.restart(&server).await.unwrap();
    assert_eq!(left(&phone).await, (3, 0));
    assert_eq!(feeds(&phone).await.len(), 3);
}
