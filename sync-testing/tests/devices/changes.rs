//! No change of others is skipped, repeated or brought back; no clock decides.

use std::{sync::Arc, time::Duration};

use sync_core::{
    model::{Op, Payload, Schema},
    store::MemoryStore,
    time::Clock,
};
use sync_server::access::Role;
use sync_testing::{Fault, TestDevice, TestServer};

use crate::{BABY, Feed, feed, feeds};

const YEAR: i64 = 365 * 24 * 3_600 * 1_000;

#[tokio::test]
async fn what_others_wrote_before_an_own_push_is_not_skipped() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    tablet.scope(BABY).create(&feed("f0", 0)).await.unwrap();
    server.settle().await;
    // Both are pushed at once, before the next poll; the answer to the second knows of a later version than the
    // first one's.
    tablet.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.run_for(Duration::from_millis(1)).await;
    phone.scope(BABY).create(&feed("f2", 2)).await.unwrap();
    server.settle().await;
    assert_eq!(
        feeds(&phone).await,
        [feed("f0", 0), feed("f1", 1), feed("f2", 2)]
    );
}

#[tokio::test]
async fn a_delete_whose_answer_was_lost_brings_nothing_back() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    phone.fail_next(Fault::LostAnswer);
    phone.scope(BABY).delete::<Feed>("f1").await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&phone).await, []);
    assert_eq!(feeds(&tablet).await, []);
}

#[tokio::test]
async fn a_create_sent_again_after_others_deleted_the_record_brings_nothing_back() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    server.settle().await;
    phone.fail_next(Fault::LostAnswer);
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.run_for(Duration::from_millis(1)).await;
    phone.go_offline();
    server.settle().await;
    assert_eq!(feeds(&tablet).await, [feed("f1", 1)]);
    tablet.scope(BABY).delete::<Feed>("f1").await.unwrap();
    server.settle().await;
    phone.go_online();
    server.settle().await;
    assert_eq!(feeds(&tablet).await, []);
    assert_eq!(feeds(&phone).await, []);
    let status = phone.engine().status().await.unwrap();
    assert_eq!((status.counts.pending, status.counts.failed), (0, 0));
}

#[tokio::test]
async fn a_record_that_moves_to_another_scope_is_in_one_place_for_everybody() {
    let server = TestServer::new();
    for (scope, account, role) in [
        (BABY, "alice", Role::Owner),
        ("baby-2", "alice", Role::Owner),
        (BABY, "bob", Role::Viewer),
        ("baby-2", "carol", Role::Viewer),
    ] {
        server.grant(scope, account, role);
    }
    let phone = server.device("alice").await.unwrap();
    let bobs = server.device("bob").await.unwrap();
    let carols = server.device("carol").await.unwrap();
    let _active = (
        phone.scope(BABY).activate(),
        bobs.scope(BABY).activate(),
        carols.scope("baby-2").activate(),
    );
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&bobs).await, [feed("f1", 1)]);
    phone.scope("baby-2").create(&feed("f1", 1)).await.unwrap();
    phone.scope(BABY).delete::<Feed>("f1").await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&bobs).await, []);
    assert_eq!(feeds(&phone).await, []);
    for device in [&phone, &carols] {
        let moved: Vec<Feed> = device.scope("baby-2").list().await.unwrap();
        assert_eq!(moved, [feed("f1", 1)]);
    }
}

#[tokio::test]
async fn a_scope_that_is_granted_again_is_pulled_from_its_start() {
    let server = TestServer::new();
    server.grant(BABY, "alice", Role::Owner);
    server.grant(BABY, "bob", Role::Viewer);
    let phone = server.device("alice").await.unwrap();
    let bobs = server.device("bob").await.unwrap();
    let _active = bobs.scope(BABY).activate();
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&bobs).await, [feed("f1", 1)]);
    server.revoke(BABY, "bob");
    server.settle().await;
    assert_eq!(feeds(&bobs).await, []);
    phone.scope(BABY).create(&feed("f2", 2)).await.unwrap();
    server.grant(BABY, "bob", Role::Viewer);
    server.run_for(Duration::from_secs(120)).await;
    assert_eq!(feeds(&bobs).await, [feed("f1", 1), feed("f2", 2)]);
}

#[tokio::test]
async fn what_an_older_app_does_not_know_is_there_for_the_newer_one() {
    let server = TestServer::new();
    let newer = server.device("alice").await.unwrap();
    let older = server.device("alice").await.unwrap();
    let _active = (newer.scope(BABY).activate(), older.scope(BABY).activate());
    let text = r#"{"id":"t1","teeth":3}"#;
    let op = Op::Create(Payload::parse(text).unwrap());
    let scope = newer.scope(BABY);
    let edits = scope.edits().untyped("tooth_log", "t1", op, Schema(9));
    edits.enqueue().await.unwrap();
    server.settle().await;
    // The app is updated, and starts on the same database with nothing left to pull.
    older.restart(&server).await.unwrap();
    older.go_offline();
    let row = older.scope(BABY).get_untyped("tooth_log", "t1").await;
    let row = row.unwrap().unwrap();
    assert_eq!((row.payload.as_str(), row.schema), (text, Schema(9)));
}

/// A device whose wall clock is off by this many milliseconds.
async fn skewed_device(server: &TestServer, millis: i64) -> TestDevice {
    let clock = Arc::new(server.clock().skewed(millis));
    let device = server.device_with("alice", MemoryStore::new(), move |engine| {
        engine.clock(Arc::clone(&clock) as Arc<dyn Clock>)
    });
    device.await.unwrap()
}

#[tokio::test]
async fn the_later_edit_wins_whatever_the_devices_take_the_time_to_be() {
    for (early_skew, late_skew) in [(YEAR, 0), (YEAR, -YEAR), (0, -YEAR)] {
        for early_arrives_first in [true, false] {
            let server = TestServer::new();
            let early = skewed_device(&server, early_skew).await;
            let late = skewed_device(&server, late_skew).await;
            let _active = (early.scope(BABY).activate(), late.scope(BABY).activate());
            early.scope(BABY).create(&feed("f1", 0)).await.unwrap();
            server.settle().await;
            early.go_offline();
            late.go_offline();
            early.scope(BABY).update(&feed("f1", 1)).await.unwrap();
            server.run_for(Duration::from_secs(60)).await;
            late.scope(BABY).update(&feed("f1", 2)).await.unwrap();
            let (first, second) = if early_arrives_first {
                (&early, &late)
            } else {
                (&late, &early)
            };
            first.go_online();
            server.settle().await;
            second.go_online();
            server.settle().await;
            let case = (early_skew, late_skew, early_arrives_first);
            assert_eq!(feeds(&early).await, [feed("f1", 2)], "{case:?}");
            assert_eq!(feeds(&late).await, [feed("f1", 2)], "{case:?}");
            // Nobody is locked out by it either.
            late.scope(BABY).update(&feed("f1", 3)).await.unwrap();
            server.settle().await;
            assert_eq!(feeds(&early).await, [feed("f1", 3)], "{case:?}");
        }
    }
}
