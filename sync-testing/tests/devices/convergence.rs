//! Edits on several devices end in the same records.

use sync_core::{
    engine::EngineError,
    store::{EntryFilter, EntryState, FailReason, Resolution},
};
use sync_server::access::Role;
use sync_testing::TestServer;

use crate::{BABY, Feed, feed, feeds};

#[tokio::test]
async fn what_one_device_writes_the_other_sees() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("bob").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    phone.scope(BABY).create(&feed("f1", 120)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&tablet).await, [], "bob is no member yet");
    server.grant(BABY, "bob", Role::Editor);
    server.settle().await;
    assert_eq!(feeds(&tablet).await, [feed("f1", 120)]);
    tablet.scope(BABY).update(&feed("f1", 90)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 90)]);
    tablet.scope(BABY).delete::<Feed>("f1").await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&phone).await, []);
}

#[tokio::test]
async fn of_two_offline_edits_the_later_wins_and_the_loser_is_told() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    phone.scope(BABY).create(&feed("f1", 100)).await.unwrap();
    server.settle().await;
    phone.go_offline();
    tablet.go_offline();
    phone.scope(BABY).update(&feed("f1", 110)).await.unwrap();
    server.run_for(std::time::Duration::from_secs(60)).await;
    tablet.scope(BABY).update(&feed("f1", 120)).await.unwrap();
    tablet.go_online();
    server.settle().await;
    phone.go_online();
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 120)]);
    assert_eq!(feeds(&tablet).await, [feed("f1", 120)]);
    let conflicts = phone.engine().conflicts(None).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].resolution, Resolution::Theirs);
    let mine: Feed = conflicts[0].mine.as_ref().unwrap().decode().unwrap();
    assert_eq!(mine, feed("f1", 110));
}

#[tokio::test]
async fn the_author_of_an_edit_that_was_overwritten_later_is_told_too() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("bob").await.unwrap();
    server.grant(BABY, "alice", Role::Owner);
    server.grant(BABY, "bob", Role::Editor);
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    phone.scope(BABY).create(&feed("f1", 100)).await.unwrap();
    server.settle().await;
    tablet.go_offline();
    phone.scope(BABY).update(&feed("f1", 110)).await.unwrap();
    server.settle().await;
    tablet.scope(BABY).update(&feed("f1", 120)).await.unwrap();
    tablet.go_online();
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 120)]);
    let conflicts = phone.engine().conflicts(None).await.unwrap();
    assert_eq!(conflicts.len(), 1);
    assert_eq!(conflicts[0].resolution, Resolution::Overwritten);
    let ids = [conflicts[0].mutation_id];
    phone.engine().acknowledge_conflicts(ids).await.unwrap();
    server.settle().await;
    assert_eq!(phone.engine().conflicts(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_chain_of_offline_edits_never_conflicts_with_itself() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let _active = phone.scope(BABY).activate();
    phone.scope(BABY).create(&feed("f1", 0)).await.unwrap();
    server.settle().await;
    for round in 0..5 {
        phone.go_offline();
        for ml in 1..4 {
            phone
                .scope(BABY)
                .update(&feed("f1", round * 10 + ml))
                .await
                .unwrap();
            phone
                .scope(BABY)
                .create(&feed(&format!("g{round}{ml}"), ml))
                .await
                .unwrap();
        }
        phone.go_online();
        server.settle().await;
    }
    assert_eq!(phone.engine().conflicts(None).await.unwrap(), []);
    assert_eq!(feeds(&phone).await[0], feed("f1", 43));
    let status = phone.engine().status().await.unwrap();
    assert_eq!((status.counts.pending, status.counts.acknowledged), (0, 0));
}

#[tokio::test]
async fn a_viewers_edit_fails_and_stays_and_nothing_is_purged() {
    let server = TestServer::new();
    server.grant(BABY, "alice", Role::Owner);
    server.grant(BABY, "bob", Role::Viewer);
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("bob").await.unwrap();
    let _active = tablet.scope(BABY).activate();
    phone.scope(BABY).create(&feed("f1", 100)).await.unwrap();
    server.settle().await;
    tablet.scope(BABY).update(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&tablet).await, [feed("f1", 1)]);
    let entries = tablet
        .engine()
        .entries(EntryFilter::default())
        .await
        .unwrap();
    let EntryState::Failed(failed) = &entries[0].state else {
        panic!("{entries:?}");
    };
    assert_eq!(failed.reason, FailReason::Forbidden);
    assert!(tablet.scope(BABY).discard::<Feed>("f1").await.unwrap());
    assert_eq!(feeds(&tablet).await, [feed("f1", 100)]);
}

#[tokio::test]
async fn a_revoked_scope_is_purged_and_the_others_stay() {
    let server = TestServer::new();
    server.grant(BABY, "bob", Role::Editor);
    server.grant("baby-2", "bob", Role::Editor);
    let tablet = server.device("bob").await.unwrap();
    let _active = (
        tablet.scope(BABY).activate(),
        tablet.scope("baby-2").activate(),
    );
    tablet.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    tablet.scope("baby-2").create(&feed("f2", 2)).await.unwrap();
    server.settle().await;
    server.revoke(BABY, "bob");
    tablet.scope(BABY).update(&feed("f1", 3)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&tablet).await, []);
    let other: Vec<Feed> = tablet.scope("baby-2").list().await.unwrap();
    assert_eq!(other, [feed("f2", 2)]);
    let revoked = tablet.engine().revoked().await.unwrap();
    assert_eq!(revoked.len(), 1);
}

#[tokio::test]
async fn a_database_keeps_to_its_account() {
    let server = TestServer::new();
    let store = sync_core::store::MemoryStore::new();
    server.device_on("alice", store.clone()).await.unwrap();
    let error = server.device_on("bob", store).await.unwrap_err();
    assert!(matches!(error, EngineError::Store(_)), "{error}");
}
