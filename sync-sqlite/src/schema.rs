//! The tables, and how a database of an older version becomes one of this.
//!
//! Tables of the store begin with `sync_store_`; the views that an app may read begin with `sync_` alone, but for
//! `sync_store_records`, which the documentation offers for indexes. The version lies in a table of its own:
//! `PRAGMA user_version` is left to the app, whose tables may be in the same file.

use rusqlite::{Connection, OptionalExtension};
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::Generation,
    store::Meta,
};

use crate::{
    database::{begin_write, encode},
    error::Attempt,
};

/// Each brings a database forward by one version; the first makes it from nothing. What has been released is
/// never changed: a change is a new migration at the end.
const MIGRATIONS: &[&str] = &[V1];

/// The version of a database that this library writes.
pub(crate) const VERSION: usize = MIGRATIONS.len();

/// Creates or migrates the tables. Safe against another process that does the same.
pub(crate) fn migrate(conn: &Connection) -> Attempt<()> {
    if stored_version(conn)? == VERSION {
        return Ok(());
    }
    let transaction = begin_write(conn)?;
    let from = stored_version(conn)?;
    let Some(missing) = MIGRATIONS.get(from..) else {
        return Err(StoreError::new(
            StoreErrorKind::NewerFormat,
            format!("it has version {from}, this library knows version {VERSION}"),
        )
        .into());
    };
    for migration in missing {
        conn.execute_batch(migration)?;
    }
    if from == 0 {
        put_first_state(conn)?;
    }
    conn.execute_batch(VIEWS)?;
    conn.execute(
        "UPDATE sync_store_version SET version = ?1",
        [VERSION as i64],
    )?;
    transaction.commit()
}

fn put_first_state(conn: &Connection) -> Attempt<()> {
    let meta = Meta {
        first_generation: Generation(1),
        ..Meta::default()
    };
    conn.execute(
        "INSERT INTO sync_store_state (id, state) VALUES (0, ?1)",
        [encode(&meta)?],
    )?;
    Ok(())
}

fn stored_version(conn: &Connection) -> Attempt<usize> {
    let exists = conn
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'sync_store_version'",
            [],
            |_| Ok(()),
        )
        .optional()?;
    if exists.is_none() {
        return Ok(0);
    }
    let version: i64 = conn.query_row("SELECT version FROM sync_store_version", [], |row| {
        row.get(0)
    })?;
    Ok(usize::try_from(version).unwrap_or(usize::MAX))
}

/// What enqueueing one edit writes is what a user waits for, and it costs by the pages that it touches. So there are
/// three: the record's, the last of the entries, and the one that holds the scope's counters.
///
/// - `sync_store_state`: row 0 is the database itself, with the meta row as its state; every other is a scope. A scope's
///   counters are kept by triggers on its entries, so that no statement can forget them and reading them does not
///   depend on how many entries there are: how many stand where, the newest sequence number and mutation id, and how
///   much was written. The last three hold for the database as the largest and the sum over its rows.
/// - `sync_store_records` has the records that the app sees. It is a rowid table: with random ids and payloads of this
///   size, one that is ordered by its key costs three times as much to fill. `entries` names what lies over a record.
/// - `sync_store_hidden` has that for the records that the app does not see, as their delete is pending.
/// - `sync_store_entries` is ordered by scope and sequence, both in one number: a scope's queue is read from its start,
///   and appending to the last scope costs no balancing. Its indexes leave out what was never sent, so that enqueueing
///   writes to none of them. The oldest entry of each record also holds the record's base, which is thereby written
///   where a page is written anyway.
///
/// Numbers that are unsigned in the core are stored as the signed integer with the same bits.
const V1: &str = "
CREATE TABLE sync_store_version (version INTEGER NOT NULL);
INSERT INTO sync_store_version VALUES (0);

CREATE TABLE sync_store_state (
    id INTEGER PRIMARY KEY,
    scope TEXT UNIQUE,
    pending INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    written INTEGER NOT NULL DEFAULT 0,
    last_seq INTEGER NOT NULL DEFAULT 0,
    last_mutation BLOB NOT NULL DEFAULT x'',
    state TEXT NOT NULL
);

CREATE TABLE sync_store_types (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);

CREATE TABLE sync_store_records (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    type INTEGER NOT NULL,
    entity_id BLOB NOT NULL,
    schema INTEGER NOT NULL,
    seq INTEGER,
    generation INTEGER NOT NULL,
    marks INTEGER NOT NULL,
    payload TEXT NOT NULL,
    entries ANY
);
CREATE UNIQUE INDEX sync_store_records_key ON sync_store_records (scope, type, entity_id);

CREATE TABLE sync_store_hidden (
    scope INTEGER NOT NULL,
    type INTEGER NOT NULL,
    entity_id BLOB NOT NULL,
    entries ANY NOT NULL,
    PRIMARY KEY (scope, type, entity_id)
) WITHOUT ROWID;

CREATE TABLE sync_store_entries (
    id INTEGER PRIMARY KEY,
    type INTEGER NOT NULL,
    state INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    doubted INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    edited_at INTEGER NOT NULL,
    mutation BLOB NOT NULL,
    entity_id BLOB NOT NULL,
    op TEXT NOT NULL,
    details TEXT NOT NULL,
    payload TEXT,
    base_schema INTEGER,
    base_seq INTEGER,
    base_generation INTEGER,
    base TEXT
);
CREATE INDEX sync_store_entries_mutation ON sync_store_entries (mutation) WHERE sent;
CREATE INDEX sync_store_entries_acknowledged ON sync_store_entries (type, entity_id) WHERE state = 3;
CREATE INDEX sync_store_entries_doubted ON sync_store_entries (type, entity_id) WHERE doubted;

CREATE TRIGGER sync_store_entries_added AFTER INSERT ON sync_store_entries BEGIN
    UPDATE sync_store_state SET
        pending = pending + (new.state = 1),
        failed = failed + (new.state = 2),
        acknowledged = acknowledged + (new.state = 3),
        written = written + 1,
        last_seq = max(last_seq, new.id & 0xffffffffff),
        last_mutation = max(last_mutation, new.mutation)
    WHERE id = new.id >> 40;
END;
CREATE TRIGGER sync_store_entries_moved AFTER UPDATE OF state ON sync_store_entries
WHEN old.state <> new.state BEGIN
    UPDATE sync_store_state SET
        pending = pending + (new.state = 1) - (old.state = 1),
        failed = failed + (new.state = 2) - (old.state = 2),
        acknowledged = acknowledged + (new.state = 3) - (old.state = 3)
    WHERE id = new.id >> 40;
END;
CREATE TRIGGER sync_store_entries_removed AFTER DELETE ON sync_store_entries BEGIN
    UPDATE sync_store_state SET
        pending = pending - (old.state = 1),
        failed = failed - (old.state = 2),
        acknowledged = acknowledged - (old.state = 3)
    WHERE id = old.id >> 40;
END;

CREATE TABLE sync_store_conflicts (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    mutation BLOB NOT NULL UNIQUE,
    scope TEXT NOT NULL,
    conflict TEXT NOT NULL
);

CREATE TABLE sync_store_revoked (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    mutation BLOB NOT NULL UNIQUE,
    revoked TEXT NOT NULL
);

CREATE TABLE sync_store_projections (
    type TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    replayed INTEGER
);

CREATE TABLE sync_store_unprojected (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    scope TEXT NOT NULL,
    type TEXT NOT NULL,
    entity_id BLOB NOT NULL,
    error TEXT NOT NULL,
    UNIQUE (scope, type, entity_id)
);

CREATE TABLE sync_store_lease (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    holder TEXT,
    expires INTEGER NOT NULL,
    beat INTEGER NOT NULL
);
INSERT INTO sync_store_lease VALUES (1, NULL, 0, 0);

CREATE TABLE sync_store_requests (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    notice TEXT NOT NULL
);
";

/// What an app reads. Made anew by every migration, so that they always fit the tables.
const VIEWS: &str = "
DROP VIEW IF EXISTS sync_records;
CREATE VIEW sync_records AS
SELECT
    s.scope AS scope,
    t.name AS entity_type,
    CASE typeof(r.entity_id)
        WHEN 'blob' THEN lower(
            substr(hex(r.entity_id), 1, 8) || '-' || substr(hex(r.entity_id), 9, 4) || '-'
            || substr(hex(r.entity_id), 13, 4) || '-' || substr(hex(r.entity_id), 17, 4) || '-'
            || substr(hex(r.entity_id), 21, 12))
        ELSE r.entity_id
    END AS entity_id,
    r.payload AS payload,
    r.schema AS schema,
    r.seq AS version,
    (r.marks & 1) <> 0 AS pending,
    (r.marks & 2) <> 0 AS failed,
    (r.marks & 4) <> 0 AS acknowledged,
    (r.marks & 8) <> 0 AS revived,
    r.entity_id AS stored_id
FROM sync_store_records r
JOIN sync_store_state s ON s.id = r.scope
JOIN sync_store_types t ON t.id = r.type;

DROP VIEW IF EXISTS sync_outbox;
CREATE VIEW sync_outbox AS
SELECT
    e.id & 0xffffffffff AS seq,
    lower(
            substr(hex(e.mutation), 1, 8) || '-' || substr(hex(e.mutation), 9, 4) || '-'
            || substr(hex(e.mutation), 13, 4) || '-' || substr(hex(e.mutation), 17, 4) || '-'
            || substr(hex(e.mutation), 21, 12)) AS mutation_id,
    s.scope AS scope,
    t.name AS entity_type,
    CASE typeof(e.entity_id)
        WHEN 'blob' THEN lower(
            substr(hex(e.entity_id), 1, 8) || '-' || substr(hex(e.entity_id), 9, 4) || '-'
            || substr(hex(e.entity_id), 13, 4) || '-' || substr(hex(e.entity_id), 17, 4) || '-'
            || substr(hex(e.entity_id), 21, 12))
        ELSE e.entity_id
    END AS entity_id,
    CASE e.state WHEN 1 THEN 'pending' WHEN 2 THEN 'failed' ELSE 'acknowledged' END AS state,
    e.edited_at AS edited_at
FROM sync_store_entries e
JOIN sync_store_state s ON s.id = e.id >> 40
JOIN sync_store_types t ON t.id = e.type;

DROP VIEW IF EXISTS sync_scopes;
CREATE VIEW sync_scopes AS
SELECT
    scope,
    pending,
    failed,
    acknowledged,
    json_extract(state, '$.pulled') <> 0 AS pulled,
    json_extract(state, '$.synced_at') AS synced_at
FROM sync_store_state WHERE id > 0;
";
