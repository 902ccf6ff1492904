//! A first sync: a million changes through the whole engine, from the text of each page to the file, while others read.
//!
//! `MEM` is the resident memory of the process at its peak, above what it was before the store was opened. The readers
//! are part of it. `MAX` is the longest call of any reader; what the machine makes of the same readers while nothing
//! is synced is printed before it.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has failed"
)]

mod readers;
mod server;

use std::{path::Path, thread, time::Duration};

use benches::{Mode, lines, measure::cost, memory, records::ENTITY_TYPE};
use futures::executor::block_on;
use sync_core::{
    engine::SyncEngine,
    model::{RecordKey, Scope},
    scheduler::SyncEnd,
    store::{ListRequest, Records},
};
use sync_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::runtime;

use readers::Readers;
use server::Server;

const SMALL: &str = "baby-1";
const LARGE: &str = "baby-2";
/// How many records the scope has that is read meanwhile.
const READ: u64 = 50;

fn main() {
    let mode = Mode::asked();
    let changes = mode.pick(1_000_000, 20_000);
    let runtime = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("app.db");
    memory::forget_peak();
    let start = memory::resident();

    let store = block_on(SqliteStore::open(&file)).unwrap();
    let server = Server {
        small: (Scope::from(SMALL), READ),
        large: (Scope::from(LARGE), changes),
    };
    let builder = SyncEngine::builder(store.clone(), server).account("ann");
    let (engine, driver) = block_on(builder.open()).unwrap();
    let driver = runtime.spawn(driver.run());
    sync(&engine, SMALL);

    println!("readers while nothing is synced:");
    let readers = read_all_along(&engine, &store, &file);
    thread::sleep(mode.pick(Duration::from_secs(10), Duration::from_millis(200)));
    readers.end();

    println!("readers during the first sync:");
    let readers = read_all_along(&engine, &store, &file);
    let (_, cost) = cost(|| sync(&engine, LARGE));
    let longest = readers.end();
    let peak = memory::peak();

    let count = block_on(store.count(Scope::from(LARGE), Some(ENTITY_TYPE.into())));
    assert_eq!(count.unwrap(), changes);
    let rate = |time: Duration| changes as f64 / time.as_secs_f64();
    println!(
        "{changes} changes in {:.1} s, {:.0} a second; {:.1} s of the processor's time, the server's and the readers' included",
        cost.wall.as_secs_f64(),
        rate(cost.wall),
        cost.cpu.as_secs_f64(),
    );
    println!(
        "file {} MiB, resident before {} MiB, at the peak {} MiB",
        file.metadata().unwrap().len() >> 20,
        start >> 20,
        peak >> 20,
    );
    lines::mem("first_sync", peak.saturating_sub(start));
    lines::max("first_sync/read_blocked", longest);
    block_on(engine.shutdown());
    block_on(driver).unwrap();
    block_on(store.close());
}

fn sync(engine: &SyncEngine, scope: &str) {
    let report = block_on(engine.sync_now([Scope::from(scope)]));
    assert_eq!(report.scopes[&Scope::from(scope)], SyncEnd::Synced);
}

/// Reads the small scope through the engine, through a store of another process, as it were, and through the app's own
/// connection.
fn read_all_along(engine: &SyncEngine, store: &SqliteStore, file: &Path) -> Readers {
    let mut readers = Readers::new();
    let scope = Scope::from(SMALL);
    let list = ListRequest {
        scope: scope.clone(),
        entity_type: ENTITY_TYPE.into(),
        after: None,
        limit: None,
    };
    let rows = block_on(store.list(list.clone())).unwrap();
    assert_eq!(rows.len() as u64, READ);
    let key: RecordKey = rows[0].key.clone();

    let handle = engine.scope(scope);
    let id = key.entity_id.clone();
    readers.add("engine get", {
        let handle = handle.clone();
        move || {
            let record = block_on(handle.get_untyped(ENTITY_TYPE, id.clone()));
            assert!(record.unwrap().is_some());
        }
    });
    readers.add("engine list", move || {
        let records = block_on(handle.list_untyped(ENTITY_TYPE)).unwrap();
        assert_eq!(records.len() as u64, READ);
    });
    let other = block_on(SqliteStore::open(file)).unwrap();
    readers.add("other store", move || {
        let records = block_on(other.list(list.clone())).unwrap();
        assert_eq!(records.len() as u64, READ);
    });
    let conn = store.read_only().unwrap();
    readers.add("own SQL", move || {
        let sql = "SELECT count(*), max(payload) FROM sync_records WHERE scope = ?1";
        let mut query = conn.prepare_cached(sql).unwrap();
        let count: i64 = query.query_row([SMALL], |row| row.get(0)).unwrap();
        assert_eq!(count.cast_unsigned(), READ);
    });
    readers
}
