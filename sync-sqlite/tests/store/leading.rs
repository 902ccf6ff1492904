//! The lease: who leads, and when another may.

use std::{path::Path, sync::Arc, time::Duration};

use futures::FutureExt;
use sync_core::{
    coordination::Lease,
    error::StoreErrorKind,
    store::{Coordination, CursorStore, Outbox},
    time::{Clock, Time},
};
use sync_sqlite::{SqliteStore, rusqlite::Connection};
use sync_testing::VirtualClock;

use crate::support::{account, kind_of, lead, taking};

const TERM: Duration = Duration::from_secs(6);

/// Two stores on one file are as two processes are: they share nothing but the file.
async fn process(path: &Path) -> SqliteStore {
    SqliteStore::builder(path)
        .lease(TERM)
        .inline()
        .open()
        .await
        .unwrap()
}

/// Waits for the lead for no longer than `patience`.
async fn leads_within(
    store: &SqliteStore,
    clock: &VirtualClock,
    patience: Duration,
) -> Option<Box<dyn Lease>> {
    let deadline = clock.now() + patience;
    let leadership = store.leadership();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let acquire = leadership.acquire(Arc::clone(&shared));
    let patience = async move { shared.sleep_until(deadline).await };
    clock
        .run(async {
            futures::select_biased! {
                lease = acquire.fuse() => Some(lease.unwrap()),
                () = patience.fuse() => None,
            }
        })
        .await
}

/// Keeps a lease for a while; whether it was lost meanwhile.
async fn loses_within(lease: &mut Box<dyn Lease>, clock: &VirtualClock, time: Duration) -> bool {
    let deadline = clock.now() + time;
    let over = clock.clone();
    clock
        .run(async {
            futures::select_biased! {
                () = lease.lost().fuse() => true,
                () = over.sleep_until(deadline).fuse() => false,
            }
        })
        .await
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn a_lease_that_is_renewed_is_never_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (one, two) = (process(&path).await, process(&path).await);
    let clock = VirtualClock::new();
    let mut lease = leads_within(&one, &clock, seconds(0)).await.unwrap();
    for _ in 0..20 {
        assert!(!loses_within(&mut lease, &clock, seconds(5)).await);
        assert!(leads_within(&two, &clock, seconds(0)).await.is_none());
    }
}

#[tokio::test]
async fn a_lease_that_is_not_renewed_is_taken_over_when_it_has_run_out_and_not_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (one, two) = (process(&path).await, process(&path).await);
    let clock = VirtualClock::new();
    // It is held and never renewed: as after a crash, or while a process is frozen.
    let mut frozen = leads_within(&one, &clock, seconds(0)).await.unwrap();
    let fence = lead(&one).await;
    assert!(
        leads_within(&two, &clock, Duration::from_millis(5_999))
            .await
            .is_none()
    );
    let mut taken = leads_within(&two, &clock, seconds(1)).await.unwrap();
    let newer = two.lead(account()).await.unwrap();

    // The old leader thaws: it learns that it has lost the lead, and can do nothing with its token until then.
    assert_eq!(
        kind_of(one.take(taking(fence, 1)).await),
        StoreErrorKind::Fenced
    );
    assert!(loses_within(&mut frozen, &clock, seconds(3)).await);
    // Letting go of what is lost does not take it from the new holder.
    drop(frozen);
    assert!(!loses_within(&mut taken, &clock, seconds(30)).await);
    two.take(taking(newer, 1)).await.unwrap();
}

#[tokio::test]
async fn a_lease_that_is_released_or_dropped_is_free_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (one, two) = (process(&path).await, process(&path).await);
    let clock = VirtualClock::new();
    let lease = leads_within(&one, &clock, seconds(0)).await.unwrap();
    lease.release().await;
    let lease = leads_within(&two, &clock, seconds(0)).await.unwrap();
    drop(lease);
    assert!(leads_within(&one, &clock, seconds(0)).await.is_some());
}

#[tokio::test]
async fn two_engines_on_one_store_do_not_lead_together() {
    let directory = tempfile::tempdir().unwrap();
    let store = process(&directory.path().join("app.db")).await;
    let clock = VirtualClock::new();
    let lease = leads_within(&store, &clock, seconds(0)).await.unwrap();
    assert!(
        leads_within(&store.clone(), &clock, seconds(1))
            .await
            .is_none()
    );
    drop(lease);
    assert!(leads_within(&store, &clock, seconds(1)).await.is_some());
}

#[tokio::test]
async fn a_wall_clock_that_was_set_back_does_not_keep_a_dead_leader_in_office() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let (one, two) = (process(&path).await, process(&path).await);
    let clock = VirtualClock::new();
    let ahead = clock.skewed(3_600_000);
    let dead = leads_within(&one, &ahead, seconds(0)).await.unwrap();
    // By the wall clock, which is right again, the lease has an hour to run.
    assert!(
        leads_within(&two, &clock, Duration::from_millis(5_900))
            .await
            .is_none()
    );
    assert!(leads_within(&two, &clock, seconds(7)).await.is_some());
    drop(dead);
}

#[tokio::test]
async fn a_lease_holds_through_a_lock_that_passes_and_ends_with_one_that_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let impatient = SqliteStore::builder(&path).lease(TERM).inline();
    let store = impatient.busy_timeout(Duration::ZERO).open().await.unwrap();
    let clock = VirtualClock::new();
    let mut lease = leads_within(&store, &clock, seconds(0)).await.unwrap();
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(!loses_within(&mut lease, &clock, seconds(4)).await);
    other.execute_batch("ROLLBACK").unwrap();
    assert!(!loses_within(&mut lease, &clock, seconds(20)).await);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(loses_within(&mut lease, &clock, seconds(7)).await);
}

#[tokio::test]
async fn giving_up_waiting_for_the_lead_leaves_it_to_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let store = SqliteStore::builder(&path)
        .lease(TERM)
        .open()
        .await
        .unwrap();
    let clock = VirtualClock::new();
    // On a thread of its own, the lease may be taken after nobody waits for it any more.
    let leadership = store.leadership();
    let _ = leadership.acquire(Arc::new(clock.clone())).now_or_never();
    let mut again = leadership.acquire(Arc::new(clock.clone()));
    let lease = loop {
        if let Some(lease) = (&mut again).now_or_never() {
            break lease;
        }
        // A call on the same thread: what was asked of it before is done.
        store.bind(account()).await.unwrap();
        clock.advance(Duration::from_millis(250));
        // Long before the term of the one that was given up would have ended.
        assert!(clock.now() < Time::from_millis(2_000));
    };
    lease.unwrap();
}
