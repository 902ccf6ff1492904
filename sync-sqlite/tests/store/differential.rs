//! Any history of calls gives the same answers and the same rows as the store in memory, which is the reference.
//!
//! Each history is decided by its seed. `SYNC_SEED=7` runs that one alone, `SYNC_HISTORIES=5000` that many; with
//! `SYNC_SEED=fresh` they begin at a seed that no run had before. A failure prints its seed and what led to it.

use std::time::UNIX_EPOCH;

use futures::executor::block_on;
use sync_sqlite::SqliteStore;
use sync_testing::store_suite::History;

const STEPS: u64 = 40;

async fn compare(seed: u64) {
    // A store in one thread, whose calls are complete after one poll.
    let sqlite = SqliteStore::in_memory().inline().open().await.unwrap();
    // This store sweeps in the order of the memory store.
    let history = History::new(seed).with_pages_of(50).with_sweeps_of(2);
    if let Err(failure) = history.compare(&sqlite, STEPS).await {
        panic!("{failure}");
    }
}

#[test]
fn any_history_gives_the_same_answers_and_rows_as_the_memory_store() {
    let set = |name| std::env::var(name).ok();
    let seed = set("SYNC_SEED").map(|seed| match seed.as_str() {
        "fresh" => UNIX_EPOCH.elapsed().unwrap().as_secs() * 1_000,
        seed => seed.parse().unwrap(),
    });
    let count = set("SYNC_HISTORIES").map(|count| count.parse().unwrap());
    let count: u64 = count.unwrap_or(if seed.is_some() { 1 } else { 60 });
    let first = seed.unwrap_or(0);
    for seed in first..first + count {
        block_on(compare(seed));
    }
}
