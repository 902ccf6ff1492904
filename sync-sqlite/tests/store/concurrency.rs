//! Handles, threads and dropped futures.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use futures::FutureExt;
use sync_core::{
    error::StoreErrorKind,
    model::{Schema, Scope},
    policy::{Choice, Contest, Resolve},
    store::{CursorStore, EntryFilter, Outbox, Records, Settlement},
    transport::{ServerRecord, Verdict},
};
use sync_sqlite::SqliteStore;

use crate::support::{
    account, create, edit, enqueue, enqueueing, json, key, kind_of, lead, payload, settling,
    taking, uuid,
};

#[tokio::test(flavor = "multi_thread")]
async fn what_enqueue_has_returned_is_seen_by_every_handle() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let other = SqliteStore::open(&path).await.unwrap();
    let clone = store.clone();
    lead(&store).await;
    for n in 0..200 {
        let key = key("a", &uuid(n));
        enqueue(&store, &key, create("1"), 1).await;
        assert!(json(&store, &key).await.is_some());
        assert!(json(&clone, &key).await.is_some());
        assert!(json(&other, &key).await.is_some());
    }
}

/// Holds a transaction open until the test lets it go on.
#[derive(Debug)]
struct Gate {
    entered: Mutex<mpsc::Sender<()>>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Resolve for Gate {
    fn resolve(&self, _: &Contest<'_>) -> Choice {
        self.entered.lock().unwrap().send(()).unwrap();
        self.go_on.lock().unwrap().recv().unwrap();
        Choice::Theirs
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_do_not_wait_for_a_transaction_that_is_under_way() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("app.db"))
        .await
        .unwrap();
    let fence = lead(&store).await;
    let record = key("a", "1");
    let id = enqueue(&store, &record, create("\"mine\""), 1).await;
    store.take(taking(fence, 1)).await.unwrap();

    let (entered, inside) = mpsc::channel();
    let (let_go, go_on) = mpsc::channel();
    let theirs = ServerRecord {
        payload: Some(payload("\"theirs\"")),
        schema: Schema(1),
        version: None,
    };
    let mut request = settling(
        fence,
        vec![Settlement::Answer(id, Verdict::Conflict { theirs })],
    );
    request.resolve = Arc::new(Gate {
        entered: Mutex::new(entered),
        go_on: Mutex::new(go_on),
    });
    let settling = tokio::spawn({
        let store = store.clone();
        async move { store.settle(request).await }
    });
    tokio::task::spawn_blocking(move || inside.recv().unwrap())
        .await
        .unwrap();
    // The transaction holds the write lock now; what it has done is not seen, and nobody waits for it.
    let reads = async {
        assert_eq!(json(&store, &record).await.as_deref(), Some("\"mine\""));
        assert_eq!(store.counts(None).await.unwrap().pending, 1);
        assert_eq!(store.count(Scope::from("a"), None).await.unwrap(), 1);
    };
    tokio::time::timeout(Duration::from_secs(30), reads)
        .await
        .expect("reads that do not wait");
    let_go.send(()).unwrap();
    settling.await.unwrap().unwrap();
    assert_eq!(json(&store, &record).await.as_deref(), Some("\"theirs\""));
}

#[derive(Debug)]
struct Panics;

impl Resolve for Panics {
    fn resolve(&self, _: &Contest<'_>) -> Choice {
        panic!("a bug in the app");
    }
}

#[tokio::test]
async fn a_panic_in_the_apps_code_undoes_its_call_and_the_store_goes_on() {
    for inline in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let mut builder = SqliteStore::builder(directory.path().join("app.db"));
        if inline {
            builder = builder.inline();
        }
        let store = builder.open().await.unwrap();
        let fence = lead(&store).await;
        let id = enqueue(&store, &key("a", "1"), create("1"), 1).await;
        store.take(taking(fence, 1)).await.unwrap();
        let before = store.entries(EntryFilter::default()).await.unwrap();
        let theirs = ServerRecord {
            payload: None,
            schema: Schema(1),
            version: None,
        };
        let mut request = settling(
            fence,
            vec![Settlement::Answer(id, Verdict::Conflict { theirs })],
        );
        request.resolve = Arc::new(Panics);
        assert_eq!(kind_of(store.settle(request).await), StoreErrorKind::App);
        assert_eq!(store.entries(EntryFilter::default()).await.unwrap(), before);
        enqueue(&store, &key("a", "2"), create("1"), 2).await;
    }
}

#[tokio::test]
async fn a_call_whose_future_is_dropped_after_a_poll_comes_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("app.db"))
        .await
        .unwrap();
    let fence = lead(&store).await;
    let edits = |id: &str| {
        vec![
            edit(&key("a", id), create("1")),
            edit(&key("b", id), create("2")),
        ]
    };

    // Dropped before it is polled, it has never been made.
    drop(store.enqueue(enqueueing(edits("0"), 1)));
    let _ = store.enqueue(enqueueing(edits("1"), 1)).now_or_never();
    let _ = store.take(taking(fence, 1)).now_or_never();
    // Calls are made in the order of their first poll, so this one sees what the dropped ones did.
    store.bind(account()).await.unwrap();
    let entries = store.entries(EntryFilter::default()).await.unwrap();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].was_sent() && !entries[1].was_sent());
    assert_eq!(json(&store, &key("b", "1")).await.as_deref(), Some("2"));
    assert_eq!(json(&store, &key("b", "0")).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_on_two_stores_of_one_file_lose_no_edit() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let stores = [
        SqliteStore::builder(&path)
            .busy_timeout(Duration::from_secs(60))
            .open()
            .await
            .unwrap(),
        SqliteStore::builder(&path)
            .busy_timeout(Duration::from_secs(60))
            .open()
            .await
            .unwrap(),
    ];
    lead(&stores[0]).await;
    let tasks = (0..8_usize).map(|task| {
        let store = stores[task % 2].clone();
        tokio::spawn(async move {
            for n in 0..25 {
                let key = key(&format!("s{}", task % 3), &format!("{task}-{n}"));
                enqueue(&store, &key, create("1"), 1).await;
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let entries = stores[1].entries(EntryFilter::default()).await.unwrap();
    assert_eq!(entries.len(), 200);
    assert!(entries.is_sorted_by(|a, b| a.seq < b.seq && a.mutation.id < b.mutation.id));
    assert_eq!(stores[0].counts(None).await.unwrap().pending, 200);
}
