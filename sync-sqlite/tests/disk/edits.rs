//! Edits of 20 kB, and whether they are there.

use std::path::Path;

use futures::executor::block_on;
use sync_core::{
    error::StoreError,
    model::{Account, Op, Payload, RecordKey, Schema, Scope},
    store::{CursorStore, Edit, EnqueueRequest, EntryFilter, Outbox, Records, Stamp},
    time::Timestamp,
};
use sync_sqlite::SqliteStore;

/// The database in a case's folder.
pub(crate) const FILE: &str = "app.db";

const SCOPE: &str = "baby-1";

pub(crate) fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    let store = block_on(SqliteStore::open(path))?;
    block_on(store.bind(Account::from("ann")))?;
    Ok(store)
}

/// Enqueues the edit of this number.
pub(crate) fn enqueue(store: &SqliteStore, n: u64) -> Result<(), StoreError> {
    let payload = format!("\"{}\"", "x".repeat(20_000));
    let request = EnqueueRequest {
        account: Account::from("ann"),
        stamp: Stamp {
            now: Timestamp::from_millis(1_000),
            random: n.into(),
        },
        edits: vec![Edit {
            key: RecordKey::new(SCOPE, "note", format!("{n:04}")),
            op: Op::Create(Payload::parse(payload).unwrap()),
            schema: Schema(1),
            expect: None,
        }],
    };
    block_on(store.enqueue(request)).map(drop)
}

/// Enqueues from this number on until there is an error; returns how many edits there are now, and the error.
pub(crate) fn enqueue_until_it_fails(store: &SqliteStore, from: u64) -> (u64, StoreError) {
    for n in from..100_000 {
        if let Err(error) = enqueue(store, n) {
            return (n, error);
        }
    }
    panic!("the disk is never full");
}

/// How many edits there are: as many records as entries.
pub(crate) fn count(store: &SqliteStore) -> u64 {
    let entries = block_on(store.entries(EntryFilter::default())).unwrap();
    let records = block_on(store.count(Scope::from(SCOPE), None)).unwrap();
    assert_eq!(entries.len() as u64, records, "half an edit is there");
    records
}

/// A file with ten edits, closed.
pub(crate) fn make(path: &Path) {
    let store = open(path).unwrap();
    for n in 0..10 {
        enqueue(&store, n).unwrap();
    }
    block_on(store.close());
}

/// The child has told how many edits it has made.
pub(crate) fn are_all_there(path: &Path, told: &str) {
    let made = told.lines().find_map(|line| line.strip_prefix("edits "));
    let made: u64 = made.expect("a number of edits").parse().unwrap();
    let store = open(path).unwrap();
    assert_eq!(count(&store), made);
    enqueue(&store, made).unwrap();
    assert_eq!(count(&store), made + 1);
}
