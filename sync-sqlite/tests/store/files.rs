//! Files: what is in them after a crash, and files that are not what they should be.

use std::{fs, path::Path};

use sync_core::{
    error::StoreErrorKind,
    model::Scope,
    store::{ChangeApplier, Conflicts, CursorStore, EntryFilter, Outbox, Records, Settlement},
    time::Timestamp,
    transport::Verdict,
};
use sync_sqlite::{SqliteStore, rusqlite::Connection};

use crate::support::{
    account, create, enqueue, enqueueing, json, key, kind_of, lead, list, page, pull, put,
    settling, taking, update, uuid,
};

/// What a crash at this moment would leave: the files as they are, with nothing closed.
fn crash(from: &Path, to: &Path) {
    for tail in ["", "-wal"] {
        let name = |path: &Path| format!("{}{tail}", path.display());
        if Path::new(&name(from)).exists() {
            fs::copy(name(from), name(to)).unwrap();
        }
    }
}

#[tokio::test]
async fn each_call_that_returned_is_there_after_a_crash() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let mut crashes = 0;
    let mut reopened = async || {
        crashes += 1;
        let copy = directory.path().join(format!("crash-{crashes}.db"));
        crash(&path, &copy);
        SqliteStore::open(&copy).await.unwrap()
    };
    let (mine, theirs) = (key("a", &uuid(1)), key("a", &uuid(2)));

    let fence = lead(&store).await;
    let id = enqueue(&store, &mine, create("1"), 1).await;
    let copy = reopened().await;
    assert_eq!(json(&copy, &mine).await.as_deref(), Some("1"));
    assert_eq!(copy.counts(None).await.unwrap().pending, 1);

    store.take(taking(fence, 10)).await.unwrap();
    let copy = reopened().await;
    let entries = copy.entries(EntryFilter::default()).await.unwrap();
    assert!(entries[0].was_sent());
    // The mark keeps a later edit from being merged into what is on its way.
    let second = enqueue(&copy, &mine, update("2"), 2).await;
    assert_ne!(second, id);

    let applied = Verdict::Applied {
        version: None,
        record: None,
    };
    let settled = settling(fence, vec![Settlement::Answer(id, applied)]);
    store.settle(settled).await.unwrap();
    let copy = reopened().await;
    let counts = copy.counts(None).await.unwrap();
    assert_eq!((counts.pending, counts.acknowledged), (0, 1));

    let changes = vec![put("feed_log", theirs.entity_id.as_ref(), "7", 1)];
    pull(&store, fence, "a", page(changes, "c1", true)).await;
    let copy = reopened().await;
    assert_eq!(json(&copy, &theirs).await.as_deref(), Some("7"));
    let (row, _) = copy.scope(Scope::from("a")).await.unwrap();
    assert_eq!(row.cursor.unwrap().as_str(), "c1");

    let at = Timestamp::from_millis(9);
    store.purge(Scope::from("a"), at, fence).await.unwrap();
    let copy = reopened().await;
    assert_eq!(copy.count(Scope::from("a"), None).await.unwrap(), 0);
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_others_calls_and_number_them_as_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let one = SqliteStore::open(&path).await.unwrap();
    let two = SqliteStore::open(&path).await.unwrap();
    let fence = lead(&one).await;
    for n in 0..20 {
        let store = if n % 2 == 0 { &one } else { &two };
        enqueue(store, &key("a", &n.to_string()), create("1"), 1).await;
    }
    let entries = two.entries(EntryFilter::default()).await.unwrap();
    let order: Vec<_> = entries
        .iter()
        .map(|e| e.mutation.key.entity_id.to_string())
        .collect();
    assert_eq!(order, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(entries.is_sorted_by(|a, b| a.mutation.id < b.mutation.id));

    // The second takes the lead: the first is fenced from here on.
    let newer = two.lead(account()).await.unwrap();
    assert_eq!(
        kind_of(one.take(taking(fence, 1)).await),
        StoreErrorKind::Fenced
    );
    assert_eq!(
        two.take(taking(newer, 100)).await.unwrap().entries.len(),
        20
    );
}

#[tokio::test]
async fn a_wipe_by_one_store_leaves_nothing_for_another_to_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let one = SqliteStore::open(&path).await.unwrap();
    let two = SqliteStore::open(&path).await.unwrap();
    lead(&one).await;
    enqueue(&one, &key("a", "1"), create("1"), 1).await;
    assert_eq!(list(&two, "a").await.len(), 1);
    two.wipe(true).await.unwrap();
    lead(&two).await;
    // The new scope gets the number that the old one had.
    enqueue(&two, &key("b", "1"), create("2"), 2).await;
    assert_eq!(list(&one, "a").await, Vec::new());
    assert_eq!(list(&one, "b").await.len(), 1);
}

#[tokio::test]
async fn a_page_does_not_overwrite_an_edit_that_another_store_has_just_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let leader = SqliteStore::open(&path).await.unwrap();
    let follower = SqliteStore::open(&path).await.unwrap();
    let fence = lead(&leader).await;
    enqueue(&leader, &key("a", "0"), create("1"), 1).await;
    let change = |id: &str, seq| vec![put("feed_log", id, "\"pulled\"", seq)];
    pull(&leader, fence, "a", page(change("1", 1), "c1", true)).await;
    pull(&leader, fence, "a", page(change("2", 2), "c2", true)).await;
    // What the leader knows of the overlay is out of date from here on.
    enqueue(&follower, &key("a", "3"), create("\"mine\""), 2).await;
    pull(&leader, fence, "a", page(change("3", 3), "c3", true)).await;
    assert_eq!(
        json(&leader, &key("a", "3")).await.as_deref(),
        Some("\"mine\"")
    );
    // Nor one of its own.
    enqueue(&leader, &key("a", "4"), create("\"mine\""), 3).await;
    pull(&leader, fence, "a", page(change("4", 4), "c4", true)).await;
    assert_eq!(
        json(&leader, &key("a", "4")).await.as_deref(),
        Some("\"mine\"")
    );
}

#[tokio::test]
async fn a_small_page_meets_the_few_of_its_records_among_many_that_are_edited() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("app.db"))
        .await
        .unwrap();
    let fence = lead(&store).await;
    for n in 0..40 {
        enqueue(&store, &key("a", &uuid(n)), create("\"mine\""), 1).await;
    }
    let changes = vec![
        put("feed_log", &uuid(7), "\"pulled\"", 1),
        put("feed_log", &uuid(70), "\"pulled\"", 2),
    ];
    pull(&store, fence, "a", page(changes, "c1", true)).await;
    assert_eq!(
        json(&store, &key("a", &uuid(7))).await.as_deref(),
        Some("\"mine\"")
    );
    assert_eq!(
        json(&store, &key("a", &uuid(70))).await.as_deref(),
        Some("\"pulled\"")
    );
    assert_eq!(store.counts(None).await.unwrap().pending, 40);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    let conn = Connection::open(&path).unwrap();
    conn.execute("UPDATE sync_store_version SET version = 999", [])
        .unwrap();
    drop(conn);
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::NewerFormat);
    assert!(error.to_string().contains("999"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_with_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "not a database at all, ".repeat(100)).unwrap();
    let error = SqliteStore::open(&path).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("notes.txt"), "{error}");
    assert!(
        error.to_string().contains("not an SQLite database"),
        "{error}"
    );

    let nowhere = directory.path().join("no/such/directory/app.db");
    let error = SqliteStore::open(&nowhere).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_damaged_row_is_an_error_that_shows_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let store = SqliteStore::open(&path).await.unwrap();
    let fence = lead(&store).await;
    enqueue(&store, &key("a", "1"), create("1"), 1).await;
    let conn = Connection::open(&path).unwrap();
    conn.execute(
        "UPDATE sync_store_entries SET details = '{\"again\":\"a secret\"}'",
        [],
    )
    .unwrap();
    let error = store.take(taking(fence, 1)).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Corrupt);
    assert!(
        !format!("{error} {error:?}").contains("secret"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_lock_that_is_held_for_too_long_is_busy_and_the_call_can_be_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let patience = std::time::Duration::from_millis(20);
    let store = SqliteStore::builder(&path)
        .busy_timeout(patience)
        .open()
        .await
        .unwrap();
    lead(&store).await;
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let request = enqueueing(vec![crate::support::edit(&key("a", "1"), create("1"))], 1);
    let error = store.enqueue(request.clone()).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Busy);
    assert!(error.is_transient());
    assert_eq!(store.get(key("a", "1")).await.unwrap(), None);
    other.execute_batch("ROLLBACK").unwrap();
    store.enqueue(request).await.unwrap();
}

#[tokio::test]
async fn a_closed_store_is_unavailable_and_its_file_can_be_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let store = SqliteStore::open(&path).await.unwrap();
    lead(&store).await;
    enqueue(&store, &key("a", "1"), create("1"), 1).await;
    let clone = store.clone();
    store.close().await;
    assert_eq!(kind_of(clone.revoked().await), StoreErrorKind::Unavailable);
    assert_eq!(
        kind_of(clone.bind(account()).await),
        StoreErrorKind::Unavailable
    );
    // The last connection takes the log with it.
    assert!(!path.with_extension("db-wal").exists());
    let store = SqliteStore::open(&path).await.unwrap();
    assert_eq!(list(&store, "a").await.len(), 1);
}

#[tokio::test]
async fn many_stores_may_make_one_new_file_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let opened = futures::future::join_all((0..8).map(|_| SqliteStore::open(&path))).await;
    for store in opened {
        store.unwrap().bind(account()).await.unwrap();
    }
}
