//! The settings under which each side works, as its own connection states them.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use rusqlite::Connection;
use sync_core::{model::RecordKey, store::RecordRow};
use sync_sqlite::{Projection, ProjectionError, SqliteStore};

use crate::{
    baseline::Baseline,
    ours::Ours,
    workload::{ENTITY_TYPE, Operation, Workload},
};

const PRAGMAS: [&str; 7] = [
    "journal_mode",
    "synchronous",
    "page_size",
    "cache_size",
    "mmap_size",
    "wal_autocheckpoint",
    "temp_store",
];

pub(crate) fn print(folder: &Path) {
    println!("store:   {}", of_the_store(&folder.join("store.db")));
    let baseline = Baseline::open(&folder.join("baseline.db"));
    println!("by hand: {}", pragmas(&baseline.conn).unwrap());
}

/// Inside the transaction that applies a page: a projection is given the connection that does.
fn of_the_store(file: &Path) -> String {
    let seen = Seen::default();
    let builder = SqliteStore::builder(file).projection(ENTITY_TYPE, seen.clone());
    let mut ours = Ours::open_with(builder);
    for page in Workload::new(1, 1, 1, 0).pages(Operation::Insert) {
        ours.apply(page);
    }
    ours.close();
    let seen = seen.0.lock().unwrap();
    seen.clone()
}

fn pragmas(conn: &Connection) -> rusqlite::Result<String> {
    let mut all = Vec::new();
    for pragma in PRAGMAS {
        let value = conn.query_row(&format!("PRAGMA {pragma}"), [], |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                value => value.as_str()?.to_owned(),
            })
        })?;
        all.push(format!("{pragma}={value}"));
    }
    Ok(all.join(" "))
}

#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<String>>);

impl Projection for Seen {
    fn version(&self) -> u32 {
        1
    }

    fn prepare(&self, _: &Connection) -> Result<(), ProjectionError> {
        Ok(())
    }

    fn put(&self, tables: &Connection, _: &RecordRow) -> Result<(), ProjectionError> {
        *self.0.lock().unwrap() = pragmas(tables)?;
        Ok(())
    }

    fn remove(&self, _: &Connection, _: &RecordKey) -> Result<(), ProjectionError> {
        Ok(())
    }
}
