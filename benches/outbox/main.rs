//! The outbox: what an edit costs that is kept and queued, and what its pushing costs, however many wait.
//!
//! `RATIO outbox/enqueue` is an update of a record that was pulled before, one a call and one a commit, over the same
//! by hand; creates and deletes are printed beside it. Each commit waits for the disk on both sides, which is most of
//! the wall time and little of the processor's.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has failed"
)]

mod baseline;
mod by_hand;
mod edits;
mod long_queue;
mod ours;
mod together;

use std::time::Duration;

use benches::{Mode, measure::Series};
use tempfile::TempDir;

/// The scope of all records.
const SCOPE: &str = "baby-1";
/// How many records a page brings that fills a database.
const PAGE: usize = 1_000;

fn main() {
    let mode = Mode::asked();
    let folder = TempDir::new().unwrap();
    by_hand::run(folder.path(), mode);
    long_queue::run(folder.path(), mode);
    together::run(folder.path(), mode);
}

/// What one of so many cost: `61.3 us (280.1)`, the processor's time and the wall's.
fn each(series: &Series, count: usize) -> String {
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    format!(
        "{:.1} us ({:.1})",
        micros(series.cpu()),
        micros(series.wall())
    )
}
