//! Files in which something was overwritten.

use std::{
    collections::BTreeMap,
    fs,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
};

use futures::{FutureExt, executor::block_on};
use sync_core::{
    error::{StoreError, StoreErrorKind},
    store::{CursorStore, Outbox},
    time::Entropy,
};
use sync_sqlite::{SqliteStore, rusqlite::Connection};
use sync_testing::{
    SeededEntropy,
    store_suite::{Contents, History},
};

use crate::support::{account, create, edit, enqueueing, key, taking};

const PAGE: usize = 4096;
/// What SQLite keeps first of all in a file, such as whether it has a write-ahead log.
const HEADER: usize = 100;

/// A file on which a history has run, closed. It has some hundred records, entries of all states, and conflicts.
fn made(directory: &Path) -> Vec<u8> {
    let path = directory.join("made.db");
    block_on(async {
        let store = SqliteStore::open(&path).await.unwrap();
        let history = History::new(1).with_pages_of(300);
        let mut fence = history.begin(&store).await.unwrap();
        for n in 0..70 {
            history.step(n, &store, &mut fence).await;
        }
        store.close().await;
    });
    // Free pages would take some of the damage.
    let conn = Connection::open(&path).unwrap();
    conn.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(conn);
    fs::read(&path).unwrap()
}

async fn read(path: &Path) -> Result<(), StoreError> {
    let store = SqliteStore::builder(path).inline().open().await?;
    Contents::read(&store).await.map(drop)
}

async fn write(path: &Path) -> Result<(), StoreError> {
    let store = SqliteStore::builder(path).inline().open().await?;
    store.bind(account()).await?;
    let fence = store.lead(account()).await?;
    let edits = vec![edit(&key("a", "new"), create("1"))];
    store.enqueue(enqueueing(edits, 9_000_000)).await?;
    store.take(taking(fence, 100)).await.map(drop)
}

/// What a call on a damaged file comes to; a panic fails the test.
fn outcome(what: &str, call: impl Future<Output = Result<(), StoreError>>) -> Option<StoreError> {
    let outcome = block_on(AssertUnwindSafe(call).catch_unwind());
    let outcome = outcome.unwrap_or_else(|_| panic!("{what} panics"));
    if let Err(error) = &outcome {
        // A length that was overwritten may ask for more memory than there is.
        let memory = error.to_string().contains("more memory than there is");
        assert!(
            *error.kind() == StoreErrorKind::Corrupt || memory,
            "{what}: {error:?}"
        );
    }
    outcome.err()
}

fn store_bytes(directory: &Path, bytes: &[u8]) -> PathBuf {
    let path = directory.join("damaged.db");
    for tail in ["-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{tail}", path.display()));
    }
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_panic_and_reading_leaves_it_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let sound = made(directory.path());
    let mut met = BTreeMap::<&str, u32>::new();
    for seed in 0..150 {
        let dice = SeededEntropy::new(seed);
        let below = |end: usize| usize::try_from(dice.bits() % end as u128).unwrap();
        let mut damaged = sound.clone();
        let length = [1, 16, 300, PAGE][below(4)];
        for _ in 0..=below(3) {
            let from = HEADER + below(damaged.len() - HEADER - length);
            for byte in &mut damaged[from..from + length] {
                *byte = u8::try_from(below(256)).unwrap();
            }
        }
        let path = store_bytes(directory.path(), &damaged);
        let what = |call: &str| format!("{call} the file of seed {seed}");
        if outcome(&what("reading"), read(&path)).is_some() {
            *met.entry("reading fails").or_default() += 1;
        }
        assert!(
            fs::read(&path).unwrap() == damaged,
            "{}",
            what("reading writes to")
        );
        if outcome(&what("writing to"), write(&path)).is_some() {
            *met.entry("writing fails").or_default() += 1;
        }
    }
    // Damage to a payload's text, or where nothing lies, is nobody's error.
    assert!(
        met["reading fails"] > 50 && met["writing fails"] > 20,
        "{met:?}"
    );
}

#[test]
fn a_file_whose_rows_are_gone_is_corrupt_and_no_call_changes_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut damaged = made(directory.path());
    // All but the first page, which holds the schema.
    for (n, byte) in damaged.iter_mut().enumerate().skip(PAGE) {
        *byte = u8::try_from(n * n % 251).unwrap();
    }
    let path = store_bytes(directory.path(), &damaged);
    for _ in 0..2 {
        for error in [
            outcome("reading", read(&path)),
            outcome("writing", write(&path)),
        ] {
            let error = error.expect("an error");
            assert!(error.to_string().contains("damaged"), "{error}");
        }
    }
    assert!(fs::read(&path).unwrap() == damaged, "the file was changed");
}

#[test]
fn a_file_that_is_cut_off_is_corrupt_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let mut damaged = made(directory.path());
    damaged.truncate(damaged.len() / 2 / PAGE * PAGE);
    let path = store_bytes(directory.path(), &damaged);
    let error = outcome("reading", read(&path)).expect("an error");
    assert!(error.to_string().contains("damaged"), "{error}");
    assert!(fs::read(&path).unwrap() == damaged, "the file was changed");
}
