//! Tables of the app's own, kept in step with the records.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use sync_core::{
    error::StoreErrorKind,
    model::{RecordKey, Scope},
    store::{ChangeApplier, Outbox, RecordRow, Records, Settlement},
    time::Timestamp,
    transport::Verdict,
};
use sync_sqlite::{
    Projection, ProjectionError, SqliteStore,
    rusqlite::{Connection, params},
};

use crate::support::{
    create, enqueue, json, key, lead, list, page, pull, put, removed, settling, taking, update,
};

#[derive(Debug, serde::Deserialize)]
struct Baby {
    name: String,
}

/// `baby` records as rows that others refer to.
#[derive(Debug)]
struct Babies;

impl Projection for Babies {
    fn version(&self) -> u32 {
        1
    }

    fn prepare(&self, tables: &Connection) -> Result<(), ProjectionError> {
        tables.execute_batch(
            "DROP TABLE IF EXISTS babies; CREATE TABLE babies (id TEXT PRIMARY KEY, name TEXT NOT NULL)",
        )?;
        Ok(())
    }

    fn put(&self, tables: &Connection, record: &RecordRow) -> Result<(), ProjectionError> {
        let baby: Baby = record.payload.decode()?;
        tables.execute(
            "INSERT INTO babies VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET name = excluded.name",
            params![record.key.entity_id.as_str(), baby.name],
        )?;
        Ok(())
    }

    fn remove(&self, tables: &Connection, key: &RecordKey) -> Result<(), ProjectionError> {
        tables.execute("DELETE FROM babies WHERE id = ?1", [key.entity_id.as_str()])?;
        Ok(())
    }
}

#[derive(Debug, serde::Deserialize)]
struct Feed {
    baby: String,
    ml: i64,
}

/// `feed_log` records, each of a baby; its version and the failures that it feigns are the test's.
#[derive(Debug)]
struct Feeds {
    version: u32,
    puts: Arc<AtomicU32>,
}

impl Feeds {
    fn new(version: u32) -> Self {
        Self {
            version,
            puts: Arc::default(),
        }
    }
}

impl Projection for Feeds {
    fn version(&self) -> u32 {
        self.version
    }

    fn prepare(&self, tables: &Connection) -> Result<(), ProjectionError> {
        tables.execute_batch(
            "DROP TABLE IF EXISTS feeds;
             DROP TABLE IF EXISTS feed_audit;
             CREATE TABLE feeds (
                 id TEXT PRIMARY KEY, baby TEXT NOT NULL REFERENCES babies (id), ml INTEGER NOT NULL,
                 pending INTEGER NOT NULL
             );
             CREATE TABLE feed_audit (id TEXT)",
        )?;
        Ok(())
    }

    fn put(&self, tables: &Connection, record: &RecordRow) -> Result<(), ProjectionError> {
        self.puts.fetch_add(1, Ordering::Relaxed);
        let id = record.key.entity_id.as_str();
        // Written first, so that what a failure leaves behind would be seen.
        tables.execute("INSERT INTO feed_audit VALUES (?1)", [id])?;
        let feed: Feed = record.payload.decode()?;
        if feed.ml < 0 {
            return Err("nobody drinks less than nothing".into());
        }
        let pending = record.marks.contains(sync_core::store::Marks::PENDING);
        tables.execute(
            "INSERT INTO feeds VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO UPDATE SET \
             baby = excluded.baby, ml = excluded.ml, pending = excluded.pending",
            params![id, feed.baby, feed.ml, pending],
        )?;
        Ok(())
    }

    fn remove(&self, tables: &Connection, key: &RecordKey) -> Result<(), ProjectionError> {
        tables.execute("DELETE FROM feeds WHERE id = ?1", [key.entity_id.as_str()])?;
        Ok(())
    }
}

struct App {
    directory: tempfile::TempDir,
    store: SqliteStore,
}

impl App {
    async fn open() -> Self {
        Self::open_with(Feeds::new(1)).await
    }

    async fn open_with(feeds: Feeds) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Self::store(&directory, feeds).await;
        Self { directory, store }
    }

    async fn store(directory: &tempfile::TempDir, feeds: Feeds) -> SqliteStore {
        let builder = SqliteStore::builder(directory.path().join("app.db"));
        let builder = builder
            .projection("baby", Babies)
            .projection("feed_log", feeds);
        builder.open().await.unwrap()
    }

    async fn reopen_with(self, feeds: Feeds) -> Self {
        self.store.close().await;
        let store = Self::store(&self.directory, feeds).await;
        Self {
            directory: self.directory,
            store,
        }
    }

    fn rows(&self, sql: &str) -> Vec<String> {
        let conn = self.store.read_only().unwrap();
        let mut query = conn.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    fn feeds(&self) -> Vec<String> {
        self.rows("SELECT id || ' ' || baby || ' ' || ml || ' ' || pending FROM feeds ORDER BY id")
    }

    async fn left_out(&self) -> Vec<String> {
        let left_out = self.store.unprojected().await.unwrap();
        left_out
            .into_iter()
            .map(|u| u.key.entity_id.to_string())
            .collect()
    }
}

fn feed(baby: &str, ml: i64) -> String {
    format!(r#"{{"baby":"{baby}","ml":{ml}}}"#)
}

const ANNA: &str = r#"{"name":"Anna"}"#;

#[tokio::test]
async fn pulled_changes_and_local_edits_are_in_the_tables_when_their_call_returns() {
    let app = App::open().await;
    let store = &app.store;
    let fence = lead(store).await;
    let changes = vec![
        // The child comes before its parent in the page.
        put("feed_log", "f1", &feed("b1", 100), 1),
        put("baby", "b1", ANNA, 2),
    ];
    let applied = pull(store, fence, "a", page(changes, "c1", false)).await;
    assert_eq!(applied.unprojected, []);
    assert_eq!(app.feeds(), ["f1 b1 100 0"]);

    let id = enqueue(store, &key("a", "f1"), update(&feed("b1", 150)), 1).await;
    enqueue(store, &key("a", "f2"), create(&feed("b1", 20)), 2).await;
    assert_eq!(app.feeds(), ["f1 b1 150 1", "f2 b1 20 1"]);

    // A refused edit that the app discards is undone here too.
    store.take(taking(fence, 1)).await.unwrap();
    let refused = Settlement::Answer(id, Verdict::Forbidden);
    store.settle(settling(fence, vec![refused])).await.unwrap();
    assert_eq!(app.feeds(), ["f1 b1 150 0", "f2 b1 20 1"]);
    store.discard(key("a", "f1")).await.unwrap();
    assert_eq!(app.feeds(), ["f1 b1 100 0", "f2 b1 20 1"]);

    pull(
        store,
        fence,
        "a",
        page(vec![removed("feed_log", "f1", 3)], "c2", false),
    )
    .await;
    assert_eq!(app.feeds(), ["f2 b1 20 1"]);
    store
        .purge(Scope::from("a"), Timestamp::from_millis(1), fence)
        .await
        .unwrap();
    assert_eq!(app.feeds(), [""; 0]);
    assert_eq!(app.rows("SELECT name FROM babies"), [""; 0]);
    assert_eq!(app.left_out().await, [""; 0]);
}

#[tokio::test]
async fn a_record_that_cannot_be_projected_is_left_out_alone_and_synced_all_the_same() {
    let app = App::open().await;
    let store = &app.store;
    let fence = lead(store).await;
    let changes = vec![
        put("baby", "b1", ANNA, 1),
        put("feed_log", "bad", &feed("b1", -1), 2),
        put("feed_log", "good", &feed("b1", 1), 3),
        put("feed_log", "odd", r#"{"another":"shape"}"#, 4),
    ];
    let applied = pull(store, fence, "a", page(changes, "c1", false)).await;
    assert_eq!(applied.unprojected, [key("a", "bad"), key("a", "odd")]);
    assert_eq!(app.feeds(), ["good b1 1 0"]);
    // What its projection had done before it failed is undone.
    assert_eq!(app.rows("SELECT id FROM feed_audit"), ["good"]);
    assert_eq!(list(store, "a").await.len(), 3);
    let left_out = store.unprojected().await.unwrap();
    assert!(left_out[0].error.contains("less than nothing"));

    // It is told once, and tried again with each page.
    let changes = vec![put("feed_log", "next", &feed("b1", 2), 5)];
    let applied = pull(store, fence, "a", page(changes, "c2", false)).await;
    assert_eq!(applied.unprojected, []);
    assert_eq!(app.left_out().await, ["bad", "odd"]);
    let changes = vec![put("feed_log", "bad", &feed("b1", 3), 6)];
    pull(store, fence, "a", page(changes, "c3", false)).await;
    assert_eq!(app.left_out().await, ["odd"]);
    assert_eq!(app.feeds(), ["bad b1 3 0", "good b1 1 0", "next b1 2 0"]);
}

#[tokio::test]
async fn a_local_edit_that_cannot_be_projected_is_not_lost() {
    let app = App::open().await;
    lead(&app.store).await;
    enqueue(&app.store, &key("a", "f1"), create(&feed("nobody", 1)), 1).await;
    enqueue(&app.store, &key("a", "f2"), create("\"odd\""), 2).await;
    assert_eq!(app.feeds(), [""; 0]);
    assert_eq!(app.left_out().await, ["f1", "f2"]);
    assert_eq!(app.store.counts(None).await.unwrap().pending, 2);
    assert_eq!(
        json(&app.store, &key("a", "f2")).await.as_deref(),
        Some("\"odd\"")
    );
}

#[tokio::test]
async fn a_child_whose_parent_comes_with_a_later_page_waits_for_it() {
    let app = App::open().await;
    let fence = lead(&app.store).await;
    let mut changes = vec![
        put("feed_log", "orphan", &feed("b2", 7), 1),
        put("baby", "b1", ANNA, 2),
    ];
    changes.extend((0..50).map(|n| put("feed_log", &format!("f{n:02}"), &feed("b1", n), 3)));
    let applied = pull(&app.store, fence, "a", page(changes, "c1", true)).await;
    // Only the one at fault is left out of a page.
    assert_eq!(applied.unprojected, [key("a", "orphan")]);
    assert_eq!(app.feeds().len(), 50);

    let changes = vec![put("baby", "b2", ANNA, 60)];
    let applied = pull(&app.store, fence, "a", page(changes, "c2", false)).await;
    assert_eq!(applied.unprojected, []);
    assert_eq!(app.left_out().await, [""; 0]);
    assert!(app.feeds().contains(&"orphan b2 7 0".to_owned()));
}

#[tokio::test]
async fn a_parent_that_goes_before_its_children_stays_in_the_tables_until_they_are_gone() {
    let app = App::open().await;
    let fence = lead(&app.store).await;
    let changes = vec![
        put("baby", "b1", ANNA, 1),
        put("feed_log", "f1", &feed("b1", 1), 2),
    ];
    pull(&app.store, fence, "a", page(changes, "c1", false)).await;
    let applied = pull(
        &app.store,
        fence,
        "a",
        page(vec![removed("baby", "b1", 3)], "c2", true),
    )
    .await;
    assert_eq!(applied.unprojected.len(), 1);
    assert_eq!(app.rows("SELECT id FROM babies"), ["b1"]);
    assert_eq!(
        app.store
            .get(RecordKey::new("a", "baby", "b1"))
            .await
            .unwrap(),
        None
    );
    pull(
        &app.store,
        fence,
        "a",
        page(vec![removed("feed_log", "f1", 4)], "c3", false),
    )
    .await;
    assert_eq!(app.rows("SELECT id FROM babies"), [""; 0]);
    assert_eq!(app.left_out().await, [""; 0]);
}

#[tokio::test]
async fn registering_and_bumping_a_projection_puts_the_stored_records_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("app.db"))
        .await
        .unwrap();
    let fence = lead(&store).await;
    // More than one page of a replay, and children stored before their parents.
    let mut changes: Vec<_> = (0..2_500)
        .map(|n| put("feed_log", &format!("f{n:04}"), &feed("b1", n), 1))
        .collect();
    changes.push(put("baby", "b1", ANNA, 2));
    pull(&store, fence, "a", page(changes, "c1", false)).await;
    store.close().await;

    let store = App::store(&directory, Feeds::new(1)).await;
    let app = App { directory, store };
    assert_eq!(app.feeds().len(), 2_500);
    assert_eq!(app.left_out().await, [""; 0]);

    let same = Feeds::new(1);
    let puts = Arc::clone(&same.puts);
    let app = app.reopen_with(same).await;
    assert_eq!(puts.load(Ordering::Relaxed), 0);
    assert_eq!(app.feeds().len(), 2_500);

    let newer = Feeds::new(2);
    let puts = Arc::clone(&newer.puts);
    let app = app.reopen_with(newer).await;
    assert_eq!(puts.load(Ordering::Relaxed), 2_500);
    assert_eq!(app.feeds().len(), 2_500);

    // What happened while it was not registered is made up for.
    app.store.close().await;
    let plain = SqliteStore::open(app.directory.path().join("app.db"))
        .await
        .unwrap();
    let fence = plain.lead_again().await;
    pull(
        &plain,
        fence,
        "a",
        page(vec![removed("feed_log", "f0000", 9)], "c2", false),
    )
    .await;
    plain.close().await;
    let store = App::store(&app.directory, Feeds::new(2)).await;
    let app = App {
        directory: app.directory,
        store,
    };
    assert_eq!(app.feeds().len(), 2_499);
}

trait LeadAgain {
    async fn lead_again(&self) -> sync_core::store::Fence;
}

impl LeadAgain for SqliteStore {
    async fn lead_again(&self) -> sync_core::store::Fence {
        lead(self).await
    }
}

/// Breaks its contract in one of several ways.
#[derive(Debug)]
struct Broken(&'static str);

impl Projection for Broken {
    fn version(&self) -> u32 {
        1
    }

    fn prepare(&self, _: &Connection) -> Result<(), ProjectionError> {
        match self.0 {
            "prepare" => Err("no room for tables".into()),
            _ => Ok(()),
        }
    }

    fn put(&self, tables: &Connection, _: &RecordRow) -> Result<(), ProjectionError> {
        match self.0 {
            "panic" => panic!("a bug in the app"),
            "commit" => tables.execute_batch("COMMIT")?,
            "rollback" => tables.execute_batch("ROLLBACK")?,
            _ => {}
        }
        Ok(())
    }

    fn remove(&self, _: &Connection, _: &RecordKey) -> Result<(), ProjectionError> {
        Ok(())
    }
}

#[tokio::test]
async fn a_projection_that_breaks_its_contract_is_the_apps_error() {
    for way in ["panic", "rollback", "commit"] {
        let directory = tempfile::tempdir().unwrap();
        let builder = SqliteStore::builder(directory.path().join("app.db"));
        let store = builder
            .projection("feed_log", Broken(way))
            .open()
            .await
            .unwrap();
        lead(&store).await;
        let request =
            crate::support::enqueueing(vec![crate::support::edit(&key("a", "1"), create("1"))], 1);
        let error = store.enqueue(request).await.unwrap_err();
        assert_eq!(*error.kind(), StoreErrorKind::App, "{way}: {error}");
        // The store goes on.
        let other = RecordKey::new("a", "other", "1");
        enqueue(&store, &other, create("1"), 2).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let builder = SqliteStore::builder(directory.path().join("app.db"));
    let error = builder
        .projection("t", Broken("prepare"))
        .open()
        .await
        .unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::App);
}
