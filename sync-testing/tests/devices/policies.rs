//! What an app decides about conflicts, and what the engine gives it to decide by.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{Entity, SyncEngineBuilder},
    policy::MineAgain,
    store::{EntryFilter, MemoryStore, Resolution},
};
use sync_testing::{ConflictPolicy, Fault, KnownTypes, Limits, Rules, TestDevice, TestServer};

use crate::{BABY, Feed, feed, feeds};

/// A phone of this policy, and a tablet whose later edit of a record that holds 100 has won.
async fn contested(
    set_up: impl Fn(SyncEngineBuilder) -> SyncEngineBuilder + Send + Sync + 'static,
) -> (TestServer, TestDevice, TestDevice) {
    let server = TestServer::new();
    let phone = server
        .device_with("alice", MemoryStore::new(), set_up)
        .await
        .unwrap();
    let tablet = server.device("alice").await.unwrap();
    let active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    phone.scope(BABY).create(&feed("f1", 100)).await.unwrap();
    server.settle().await;
    phone.go_offline();
    phone.scope(BABY).update(&feed("f1", 130)).await.unwrap();
    server.run_for(Duration::from_secs(60)).await;
    tablet.scope(BABY).update(&feed("f1", 120)).await.unwrap();
    server.settle().await;
    std::mem::forget(active);
    (server, phone, tablet)
}

#[tokio::test]
async fn an_edit_that_lost_is_put_again_where_the_policy_is_mine_again() {
    let (server, phone, tablet) = contested(|builder| builder.on_conflict(MineAgain)).await;
    phone.go_online();
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 130)]);
    assert_eq!(feeds(&tablet).await, [feed("f1", 130)]);
    let conflicts = phone.engine().conflicts(None).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].resolution, Resolution::Mine);
}

/// Both sides' changes to the amount, added up.
fn add_up(base: Option<Feed>, mine: Feed, theirs: Feed) -> Feed {
    let base = base.map_or(0, |base| base.ml);
    Feed {
        ml: mine.ml + theirs.ml - base,
        ..mine
    }
}

#[tokio::test]
async fn a_merge_function_makes_one_record_of_base_mine_and_theirs() {
    let (server, phone, tablet) = contested(|builder| builder.on_conflict_merge(add_up)).await;
    phone.go_online();
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 150)]);
    assert_eq!(feeds(&tablet).await, [feed("f1", 150)]);
    let conflicts = phone.engine().conflicts(None).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].resolution, Resolution::Merged);
    let sides = conflicts[0].sides::<Feed>().unwrap();
    assert_eq!(sides.base, Some(feed("f1", 100)));
    assert_eq!(sides.mine, Some(feed("f1", 130)));
    assert_eq!(sides.theirs, Some(feed("f1", 120)));
}

#[tokio::test]
async fn a_merge_function_is_not_asked_about_a_delete() {
    let (server, phone, tablet) = contested(|builder| builder.on_conflict_merge(add_up)).await;
    tablet.scope(BABY).delete::<Feed>("f1").await.unwrap();
    server.settle().await;
    phone.go_online();
    server.settle().await;
    assert_eq!(feeds(&phone).await, []);
    let conflicts = phone.engine().conflicts(None).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].resolution, Resolution::Theirs);
}

#[tokio::test]
async fn a_device_that_restarts_offline_attempts_nothing() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    phone.go_offline();
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    phone.restart(&server).await.unwrap();
    server.run_for(Duration::from_secs(60)).await;
    let status = phone.engine().status().await.unwrap();
    assert!(!status.online);
    assert_eq!((status.last_error, status.counts.pending), (None, 1));
}

#[tokio::test]
async fn a_merge_does_not_take_a_record_pulled_since_for_what_the_edit_was_made_over() {
    let known_base = |base: Option<Feed>, mine: Feed, theirs: Feed| match base {
        Some(_) => mine,
        None => theirs,
    };
    let (server, phone, _) = contested(move |builder| builder.on_conflict_merge(known_base)).await;
    // The push fails and the pulls go on, so that the base is their record when the push goes through.
    phone.fail_next(Fault::LostRequest);
    phone.go_online();
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 120)]);
    assert_eq!(phone.engine().conflicts(None).await.unwrap()[0].base, None);
}

#[derive(Serialize, Deserialize)]
struct Nappy {
    id: String,
}

impl Entity for Nappy {
    const TYPE: &'static str = "nappy";

    fn id(&self) -> String {
        self.id.clone()
    }
}

#[tokio::test]
async fn a_test_server_is_set_up_as_the_apps_own() {
    let server = TestServer::with(|server| {
        server
            .with_rules(Rules {
                conflicts: ConflictPolicy::FirstWins,
                ..Rules::default()
            })
            .with_validation(Arc::new(KnownTypes::from_iter(["feed_log"])))
            .with_limits(Limits {
                payload_bytes: 64,
                ..Limits::default()
            })
    });
    let device = server.device("alice").await.unwrap();
    let baby = device.scope(BABY);
    baby.create(&feed("f1", 1)).await.unwrap();
    baby.create(&feed(&"f".repeat(64), 2)).await.unwrap();
    baby.create(&Nappy { id: "n1".into() }).await.unwrap();
    server.settle().await;
    let entries = device.engine().entries(EntryFilter::default()).await;
    assert_eq!(entries.unwrap().len(), 2, "too large, and unknown");
}
