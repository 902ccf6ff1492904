//! What a competent engineer writes by hand to take in pulled pages. It stays as it is: it is what the store is
//! measured against, and not tuned.

use std::path::Path;

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS records (
    entity_type TEXT,
    entity_id TEXT,
    scope TEXT,
    version INTEGER,
    payload TEXT,
    PRIMARY KEY (entity_type, entity_id)
);
CREATE TABLE IF NOT EXISTS cursors (scope TEXT PRIMARY KEY, cursor TEXT);
";

const UPSERT: &str = "
INSERT INTO records (entity_type, entity_id, scope, version, payload) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (entity_type, entity_id) DO UPDATE SET
    scope = excluded.scope, version = excluded.version, payload = excluded.payload";

const DELETE: &str = "DELETE FROM records WHERE entity_type = ?1 AND entity_id = ?2";

const SET_CURSOR: &str = "
INSERT INTO cursors (scope, cursor) VALUES (?1, ?2)
ON CONFLICT (scope) DO UPDATE SET cursor = excluded.cursor";

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    changes: Vec<Change<'a>>,
    next: &'a str,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(rename = "type")]
    entity_type: &'a str,
    id: &'a str,
    op: &'a str,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
    seq: i64,
}

pub(crate) struct Baseline {
    pub(crate) conn: Connection,
}

impl Baseline {
    pub(crate) fn open(file: &Path) -> Self {
        let conn = Connection::open(file).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        conn.pragma_update(None, "synchronous", "NORMAL").unwrap();
        conn.execute_batch(TABLES).unwrap();
        Self { conn }
    }

    pub(crate) fn apply(&mut self, scope: &str, body: &[u8]) {
        let page: Page<'_> = serde_json::from_slice(body).unwrap();
        let tx = self.conn.transaction().unwrap();
        {
            let mut upsert = tx.prepare_cached(UPSERT).unwrap();
            let mut delete = tx.prepare_cached(DELETE).unwrap();
            for change in &page.changes {
                if change.op == "put" {
                    let payload = change.payload.unwrap().get();
                    upsert
                        .execute(params![
                            change.entity_type,
                            change.id,
                            scope,
                            change.seq,
                            payload
                        ])
                        .unwrap();
                } else {
                    delete
                        .execute(params![change.entity_type, change.id])
                        .unwrap();
                }
            }
            let mut set_cursor = tx.prepare_cached(SET_CURSOR).unwrap();
            set_cursor.execute(params![scope, page.next]).unwrap();
        }
        tx.commit().unwrap();
    }
}
