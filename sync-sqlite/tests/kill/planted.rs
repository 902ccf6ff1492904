//! The oracle itself: it tells what is wrong with a file that is.

use std::path::Path;

use futures::executor::block_on;
use sync_core::store::Fence;
use sync_sqlite::{SqliteStore, rusqlite::Connection};
use sync_testing::store_suite::History;

use crate::{
    act::{Act, Report, Rows},
    child::digest,
    oracle::{Fault, Oracle},
    round::hold,
};

/// Its last step, an edit, has another effect when it is made twice.
const STEPS: u64 = 22;

/// Makes the last act as often as this, and reports that it was made once.
fn leave(path: &Path, times: usize) -> Vec<Report> {
    block_on(async {
        let store = SqliteStore::builder(path).inline().open().await.unwrap();
        let mut fence = Fence(0);
        let mut reports = vec![Report::Opened];
        for act in [Act::Begin].into_iter().chain((0..=STEPS).map(Act::Step)) {
            let times = if act == Act::Step(STEPS) { times } else { 1 };
            let mut answer = None;
            for _ in 0..times {
                let again = act.perform(history(), &store, &mut fence).await;
                answer.get_or_insert(again);
            }
            reports.push(Report::Begun(act));
            reports.extend(answer.map(|answer| Report::Done(act, answer)));
        }
        reports
    })
}

fn history() -> History {
    History::new(2).with_sweeps_of(2)
}

/// What the oracle says of a file, after these reports.
fn judge(path: &Path, reports: &[Report]) -> Result<Option<Fault>, String> {
    let mut oracle = Oracle::new(history());
    let outcome = oracle
        .follow(reports)
        .and_then(|_| oracle.compare(&hold(path)?));
    Ok(outcome.err().map(|(fault, _)| fault))
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}: {found:?}, and not {expected:?}")),
    }
}

pub(crate) fn what_is_wrong_with_a_file_is_told() -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);

    let reports = leave(&at("right"), 1);
    expect(
        "a file as it should be",
        judge(&at("right"), &reports)?,
        None,
    )?;
    // Reported to have begun, and no more: either is right.
    let begun = &reports[..reports.len() - 1];
    expect(
        "a call that came through",
        judge(&at("right"), begun)?,
        None,
    )?;
    let never = &begun[..begun.len() - 1];
    let outcome = judge(&at("right"), never)?;
    expect("a call that nobody made", outcome, Some(Fault::Torn))?;

    let mut lost = leave(&at("lost"), 0);
    expect("a call that did not", judge(&at("lost"), &lost)?, None)?;
    lost.extend(reports.last().cloned());
    let outcome = judge(&at("lost"), &lost)?;
    expect("a call that is gone", outcome, Some(Fault::Lost))?;

    leave(&at("twice"), 2);
    let outcome = judge(&at("twice"), &reports)?;
    expect("a call made twice", outcome, Some(Fault::Repeated))?;

    let conn = Connection::open(at("right")).unwrap();
    conn.execute("UPDATE sync_store_records SET payload = '1'", [])
        .unwrap();
    drop(conn);
    let outcome = judge(&at("right"), &reports)?;
    expect("half a call", outcome, Some(Fault::Torn))
}

pub(crate) fn what_a_reader_must_not_see_is_told() -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    let reports = leave(&path, 1);
    let mut oracle = Oracle::new(history());
    oracle.follow(&reports).map_err(|(_, words)| words)?;
    let last = block_on(async {
        let store = SqliteStore::open(&path).await.unwrap();
        digest(&store, Rows::Entries).await
    });
    let first = block_on(async {
        let store = SqliteStore::in_memory().inline().open().await.unwrap();
        digest(&store, Rows::Entries).await
    });
    let judge = |digests: &[u64]| {
        let seen = digests.iter().map(|d| Report::Seen(Rows::Entries, *d));
        let outcome = oracle.compare_seen(&seen.collect::<Vec<_>>());
        outcome.map_err(|(fault, _)| fault)
    };
    expect("in order", judge(&[first, first, last, last]), Ok(4))?;
    expect("backwards", judge(&[last, first]), Err(Fault::Torn))?;
    expect("never there", judge(&[first, 1, last]), Err(Fault::Torn))
}
