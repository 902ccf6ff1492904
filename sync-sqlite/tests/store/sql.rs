//! Plain SQL over the views that the documentation offers.

use sync_core::error::StoreErrorKind;
use sync_sqlite::{SqliteStore, rusqlite::Connection};

use crate::support::{create, enqueue, key, kind_of, lead, page, pull, put, uuid};

async fn filled() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("app.db"))
        .await
        .unwrap();
    let fence = lead(&store).await;
    let changes = (1..=50).map(|n| {
        put(
            "feed_log",
            &uuid(n),
            &format!(r#"{{"ml":{},"kind":"bottle"}}"#, n * 10),
            n as u64,
        )
    });
    pull(&store, fence, "baby-1", page(changes.collect(), "c", false)).await;
    enqueue(
        &store,
        &key("baby-1", "by hand"),
        create(r#"{"ml":5,"kind":"breast"}"#),
        1,
    )
    .await;
    enqueue(
        &store,
        &key("baby-1", &uuid(7)),
        create(r#"{"ml":7000}"#),
        2,
    )
    .await;
    (directory, store)
}

fn strings(conn: &Connection, sql: &str) -> Vec<String> {
    let mut query = conn.prepare(sql).unwrap();
    let rows = query.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

#[tokio::test]
async fn records_are_rows_with_their_ids_as_text_and_their_json_in_reach() {
    let (_directory, store) = filled().await;
    let conn = store.read_only().unwrap();
    let large = "SELECT entity_id FROM sync_records WHERE scope = 'baby-1' AND entity_type = 'feed_log' \
                 AND payload ->> 'ml' > 490 ORDER BY payload ->> 'ml'";
    assert_eq!(strings(&conn, large), [uuid(50), uuid(7)]);
    let waiting = "SELECT entity_id FROM sync_records WHERE pending ORDER BY entity_id";
    assert_eq!(strings(&conn, waiting), [uuid(7), "by hand".to_owned()]);
    let version = "SELECT CAST(version AS TEXT) FROM sync_records \
                   WHERE stored_id = unhex(replace('00000000-0000-0000-0000-000000000009', '-', ''))";
    assert_eq!(strings(&conn, version), ["9"]);
    let outbox = "SELECT entity_id FROM sync_outbox WHERE state = 'pending' ORDER BY seq";
    assert_eq!(strings(&conn, outbox), ["by hand".to_owned(), uuid(7)]);
    let scopes = "SELECT scope || ' ' || pending || ' ' || pulled FROM sync_scopes";
    assert_eq!(strings(&conn, scopes), ["baby-1 2 1"]);
}

#[tokio::test]
async fn the_apps_connection_reads_and_cannot_write() {
    let (_directory, store) = filled().await;
    let conn = store.read_only().unwrap();
    conn.execute("DELETE FROM sync_store_records", [])
        .unwrap_err();
    let memory = SqliteStore::in_memory().open().await.unwrap();
    assert_eq!(kind_of(memory.read_only()), StoreErrorKind::Invalid);
}

#[tokio::test]
async fn an_index_and_a_table_of_the_app_serve_the_views_and_survive_reopening() {
    let (directory, store) = filled().await;
    let path = directory.path().join("app.db");
    let own = Connection::open(&path).unwrap();
    own.execute_batch(
        "CREATE INDEX app_feeds_by_ml ON sync_store_records (payload ->> 'ml');
         CREATE TABLE app_settings (name TEXT PRIMARY KEY, value TEXT);
         INSERT INTO app_settings VALUES ('theme', 'dark');
         PRAGMA user_version = 42;",
    )
    .unwrap();
    store.close().await;
    drop(own);
    let store = SqliteStore::open(&path).await.unwrap();
    let conn = store.read_only().unwrap();
    let mut explain = conn
        .prepare(
            "EXPLAIN QUERY PLAN SELECT entity_id FROM sync_records WHERE payload ->> 'ml' > 490",
        )
        .unwrap();
    let steps: Vec<String> = explain
        .query_map([], |row| row.get(3))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(
        steps.iter().any(|step| step.contains("app_feeds_by_ml")),
        "{steps:?}"
    );
    assert_eq!(strings(&conn, "SELECT value FROM app_settings"), ["dark"]);
    let version: i64 = conn
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(version, 42);
}
