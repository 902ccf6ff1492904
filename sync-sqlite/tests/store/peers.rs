//! Notices: at once within a store, and through the file between processes.

use std::{path::Path, sync::Arc, time::Duration};

use futures::FutureExt;
use sync_core::{
    coordination::{Notice, Notices, PeerId},
    model::Scope,
    store::{Coordination, CursorStore, Outbox},
    time::{Clock, Time},
};
use sync_sqlite::SqliteStore;
use sync_testing::VirtualClock;

use crate::support::{account, create, enqueue, key, lead, page, pull, put, settling, taking};

async fn process(path: &Path) -> SqliteStore {
    SqliteStore::builder(path).inline().open().await.unwrap()
}

fn listen(store: &SqliteStore, peer: u64, clock: &VirtualClock) -> Box<dyn Notices> {
    store.peers().listen(PeerId(peer), Arc::new(clock.clone()))
}

/// What is heard within a second.
async fn heard(notices: &mut Box<dyn Notices>, clock: &VirtualClock) -> Vec<Notice> {
    let deadline = clock.now() + Duration::from_secs(1);
    let mut heard = Vec::new();
    let over = clock.clone();
    clock
        .run(async {
            let mut over = over.sleep_until(deadline).fuse();
            loop {
                futures::select_biased! {
                    notice = notices.next().fuse() => heard.push(notice),
                    () = over => break,
                }
            }
        })
        .await;
    heard
}

#[tokio::test]
async fn engines_on_one_store_hear_each_other_and_not_themselves() {
    let directory = tempfile::tempdir().unwrap();
    let store = process(&directory.path().join("app.db")).await;
    let clock = VirtualClock::new();
    let (mut one, mut two) = (listen(&store, 1, &clock), listen(&store.clone(), 2, &clock));
    store.peers().send(PeerId(1), &Notice::Enqueued);
    store
        .peers()
        .send(PeerId(1), &Notice::SyncWanted(vec![Scope::from("a")]));
    assert_eq!(two.next().now_or_never(), Some(Notice::Enqueued));
    assert_eq!(
        heard(&mut two, &clock).await,
        [Notice::SyncWanted(vec![Scope::from("a")])]
    );
    assert_eq!(heard(&mut one, &clock).await, []);
}

#[tokio::test]
async fn another_process_hears_of_every_change_and_a_store_never_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (one, two) = (process(&path).await, process(&path).await);
    let clock = VirtualClock::new();
    let fence = lead(&one).await;
    enqueue(&one, &key("a", "0"), create("1"), 1).await;
    // What came before is not news.
    let (mut of_one, mut of_two) = (listen(&one, 1, &clock), listen(&two, 2, &clock));
    assert_eq!(heard(&mut of_two, &clock).await, []);

    let id = enqueue(&one, &key("a", "1"), create("1"), 2).await;
    assert_eq!(heard(&mut of_two, &clock).await, [Notice::Changed]);
    one.take(taking(fence, 10)).await.unwrap();
    let answer = sync_core::store::Settlement::Answer(id, sync_core::transport::Verdict::Forbidden);
    one.settle(settling(fence, vec![answer])).await.unwrap();
    assert_eq!(heard(&mut of_two, &clock).await, [Notice::Changed]);
    let changes = vec![put("feed_log", "2", "1", 1)];
    pull(&one, fence, "a", page(changes, "c", false)).await;
    assert_eq!(heard(&mut of_two, &clock).await, [Notice::Changed]);
    assert_eq!(heard(&mut of_two, &clock).await, []);
    assert_eq!(heard(&mut of_one, &clock).await, []);

    // Nor does it, when another has written in between.
    enqueue(&two, &key("a", "3"), create("1"), 3).await;
    enqueue(&one, &key("a", "4"), create("1"), 4).await;
    assert_eq!(heard(&mut of_one, &clock).await, [Notice::Changed]);
    assert_eq!(heard(&mut of_one, &clock).await, []);
    assert_eq!(heard(&mut of_two, &clock).await, [Notice::Changed]);
}

#[tokio::test]
async fn renewing_a_lease_is_no_news() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (one, two) = (process(&path).await, process(&path).await);
    let clock = VirtualClock::new();
    lead(&two).await;
    let leadership = one.leadership();
    let acquired = leadership.acquire(Arc::new(clock.clone())).now_or_never();
    let mut lease = acquired.unwrap().unwrap();
    let mut of_two = listen(&two, 2, &clock);
    for _ in 0..10 {
        let end = clock.now() + Duration::from_secs(1);
        let over = clock.clone();
        clock
            .run(async {
                futures::select_biased! {
                    () = lease.lost().fuse() => panic!("lost"),
                    () = over.sleep_until(end).fuse() => {}
                }
            })
            .await;
        // Not even together with what the listener's own store has done.
        enqueue(&two, &key("a", "1"), create("1"), 1).await;
        assert_eq!(heard(&mut of_two, &clock).await, []);
    }
}

#[tokio::test]
async fn what_a_follower_asks_for_reaches_the_process_that_leads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (leader, follower) = (process(&path).await, process(&path).await);
    let clock = VirtualClock::new();
    let lease = leader
        .leadership()
        .acquire(Arc::new(clock.clone()))
        .now_or_never();
    let _lease = lease.unwrap().unwrap();
    let (mut of_leader, mut of_follower) =
        (listen(&leader, 1, &clock), listen(&follower, 1, &clock));

    let active = Notice::Active(vec![Scope::from("a"), Scope::from("b\0")]);
    let wanted = Notice::SyncWanted(Vec::new());
    follower.peers().send(PeerId(1), &active);
    follower.peers().send(PeerId(1), &Notice::Seen);
    follower.peers().send(PeerId(1), &wanted);
    assert_eq!(
        heard(&mut of_leader, &clock).await,
        [active.clone(), Notice::Seen, wanted]
    );
    assert_eq!(heard(&mut of_leader, &clock).await, []);
    assert_eq!(heard(&mut of_follower, &clock).await, []);

    // The leader performs a sync itself: it asks nobody.
    leader.peers().send(PeerId(1), &active);
    assert_eq!(heard(&mut of_follower, &clock).await, []);
    // And what a store has left for others is not for itself, when it comes to look.
    lead(&leader).await;
    assert_eq!(heard(&mut of_follower, &clock).await, [Notice::Changed]);
}

#[tokio::test]
async fn a_notice_that_is_waited_for_in_many_attempts_is_not_lost() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (one, two) = (
        process(&path).await,
        SqliteStore::open(&path).await.unwrap(),
    );
    let clock = VirtualClock::new();
    lead(&one).await;
    let mut notices = listen(&two, 2, &clock);
    // A call on the same thread: where listening begins is noted by now.
    two.bind(account()).await.unwrap();
    enqueue(&one, &key("a", "1"), create("1"), 1).await;
    let notice = loop {
        if let Some(notice) = notices.next().now_or_never() {
            break notice;
        }
        two.bind(account()).await.unwrap();
        clock.advance(Duration::from_millis(10));
        assert!(clock.now() < Time::from_millis(1_000));
    };
    assert_eq!(notice, Notice::Changed);
}
