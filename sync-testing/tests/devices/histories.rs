//! The server's past changes: restores, compaction, expired cursors.

use std::time::Duration;

use sync_testing::TestServer;

use crate::{BABY, Feed, feed, feeds};

#[tokio::test]
async fn after_a_restore_all_devices_and_the_server_agree_again() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    let backup = server.backup();
    phone.scope(BABY).create(&feed("f2", 2)).await.unwrap();
    server.settle().await;
    assert_eq!(feeds(&tablet).await.len(), 2);
    tablet.go_offline();
    tablet.scope(BABY).update(&feed("f1", 11)).await.unwrap();
    tablet.scope(BABY).create(&feed("f3", 3)).await.unwrap();
    server.restore(&backup).await;
    server.settle().await;
    assert_eq!(
        feeds(&phone).await,
        [feed("f1", 1)],
        "the server has lost f2"
    );
    tablet.go_online();
    server.settle().await;
    server.settle().await;
    let expected = [feed("f1", 11), feed("f3", 3)];
    assert_eq!(feeds(&tablet).await, expected);
    assert_eq!(feeds(&phone).await, expected);
    assert_eq!(tablet.engine().conflicts(None).await.unwrap(), []);
}

#[tokio::test]
async fn an_acknowledged_edit_that_a_restore_has_lost_is_sent_again() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    let backup = server.backup();
    phone.scope(BABY).update(&feed("f1", 2)).await.unwrap();
    server.run_for(Duration::from_millis(1)).await;
    // It is applied, and no pull confirms it before the server forgets it.
    phone.set_reachable(false);
    let status = phone.engine().status().await.unwrap();
    assert_eq!((status.counts.pending, status.counts.acknowledged), (0, 1));
    server.restore(&backup).await;
    phone.set_reachable(true);
    server.settle().await;
    server.settle().await;
    assert_eq!(feeds(&phone).await, [feed("f1", 2)]);
    assert_eq!(feeds(&tablet).await, [feed("f1", 2)]);
    let status = phone.engine().status().await.unwrap();
    assert_eq!((status.counts.pending, status.counts.acknowledged), (0, 0));
}

#[tokio::test]
async fn a_device_that_was_away_past_the_retention_catches_up_by_a_resync() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    let _active = (phone.scope(BABY).activate(), tablet.scope(BABY).activate());
    for n in 0..3 {
        phone
            .scope(BABY)
            .create(&feed(&format!("f{n}"), n))
            .await
            .unwrap();
    }
    server.settle().await;
    tablet.go_offline();
    tablet.scope(BABY).create(&feed("own", 9)).await.unwrap();
    phone.scope(BABY).delete::<Feed>("f0").await.unwrap();
    server.settle().await;
    server.clock().advance(Duration::from_secs(400 * 24 * 3600));
    server.server().compact().await.unwrap();
    phone.scope(BABY).create(&feed("f9", 9)).await.unwrap();
    server.settle().await;
    tablet.go_online();
    server.settle().await;
    server.settle().await;
    let ids = |feeds: Vec<Feed>| -> Vec<String> { feeds.into_iter().map(|f| f.id).collect() };
    assert_eq!(ids(feeds(&tablet).await), ["f1", "f2", "f9", "own"]);
    assert_eq!(ids(feeds(&phone).await), ["f1", "f2", "f9", "own"]);
}
