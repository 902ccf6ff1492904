//! What a competent engineer writes by hand to keep an edit and queue it. It stays as it is: it is what the store is
//! measured against, and not tuned.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior, params};

const TABLES: &str = "
CREATE TABLE records (
    entity_type TEXT,
    entity_id TEXT,
    scope TEXT,
    version INTEGER,
    payload TEXT,
    PRIMARY KEY (entity_type, entity_id)
);
CREATE TABLE outbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    mutation_id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    entity_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    op TEXT NOT NULL,
    payload TEXT,
    edited_at INTEGER NOT NULL
);
";

const UPSERT: &str = "
INSERT INTO records (entity_type, entity_id, scope, version, payload) VALUES (?1, ?2, ?3, NULL, ?4)
ON CONFLICT (entity_type, entity_id) DO UPDATE SET payload = excluded.payload";

const DELETE: &str = "DELETE FROM records WHERE entity_type = ?1 AND entity_id = ?2";

const QUEUE: &str = "
INSERT INTO outbox (mutation_id, entity_type, entity_id, scope, op, payload, edited_at)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// An edit, as the app hands it over.
pub(crate) struct Edit<'a> {
    pub(crate) mutation_id: &'a str,
    pub(crate) entity_type: &'a str,
    pub(crate) entity_id: &'a str,
    pub(crate) scope: &'a str,
    pub(crate) op: &'a str,
    pub(crate) payload: Option<&'a str>,
    pub(crate) edited_at: i64,
}

pub(crate) struct Baseline {
    pub(crate) conn: Connection,
}

impl Baseline {
    pub(crate) fn open(file: &Path) -> Self {
        let conn = Connection::open(file).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.pragma_update(None, "synchronous", "FULL").unwrap();
        conn.execute_batch(TABLES).unwrap();
        Self { conn }
    }

    /// Records that are there before.
    pub(crate) fn fill(&mut self, records: &[(String, String)]) {
        let tx = self.conn.transaction().unwrap();
        for (id, payload) in records {
            let mut upsert = tx.prepare_cached(UPSERT).unwrap();
            upsert
                .execute(params!["feed_log", id, "baby-1", payload])
                .unwrap();
        }
        tx.commit().unwrap();
    }

    pub(crate) fn queued(&self) -> u64 {
        self.count("outbox")
    }

    pub(crate) fn records(&self) -> u64 {
        self.count("records")
    }

    fn count(&self, table: &str) -> u64 {
        let sql = format!("SELECT count(*) FROM {table}");
        let count: i64 = self.conn.query_row(&sql, [], |row| row.get(0)).unwrap();
        count.cast_unsigned()
    }

    pub(crate) fn enqueue(&mut self, edit: &Edit<'_>) {
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .unwrap();
        match edit.payload {
            Some(payload) => tx.prepare_cached(UPSERT).unwrap().execute(params![
                edit.entity_type,
                edit.entity_id,
                edit.scope,
                payload
            ]),
            None => tx
                .prepare_cached(DELETE)
                .unwrap()
                .execute([edit.entity_type, edit.entity_id]),
        }
        .unwrap();
        tx.prepare_cached(QUEUE)
            .unwrap()
            .execute(params![
                edit.mutation_id,
                edit.entity_type,
                edit.entity_id,
                edit.scope,
                edit.op,
                edit.payload,
                edit.edited_at
            ])
            .unwrap();
        tx.commit().unwrap();
    }
}
