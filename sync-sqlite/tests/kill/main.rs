//! A process that is killed with SIGKILL at any moment leaves each call whole or absent, and those that had returned
//! there.
//!
//! A child process runs a random [history](sync_testing::store_suite::History) on a file and reports each call before
//! it makes it and after it has returned. The parent kills it, and compares what the file holds with stores in memory
//! that it takes through the same calls: it must be the state after the last call that was reported to have returned,
//! or after the one that had begun. The next child goes on with the same file. In some rounds a second process reads
//! all the while, and may see nothing but states that were committed, in their order.
//!
//! `SYNC_ROUNDS=1000 SYNC_SEED=7 cargo test -p sync-sqlite --release --test kill` runs that many rounds; without the
//! variables it is 100 of seed 0. What SIGKILL cannot show is what a power cut does: the operating system still
//! writes what it was given.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

mod act;
mod child;
mod oracle;
mod planted;
mod process;
mod round;
mod tally;

use std::{env, process::ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

fn main() -> ExitCode {
    if let Ok(orders) = env::var(child::ORDERS) {
        child::obey(&orders);
        return ExitCode::SUCCESS;
    }
    let trials = vec![
        Trial::test("a_killed_process_leaves_what_had_returned", || {
            run(round::a_killed_process_leaves_what_had_returned)
        }),
        Trial::test("what_is_wrong_with_a_file_is_told", || {
            run(planted::what_is_wrong_with_a_file_is_told)
        }),
        Trial::test("what_a_reader_must_not_see_is_told", || {
            run(planted::what_a_reader_must_not_see_is_told)
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn run(trial: fn() -> Result<(), String>) -> Result<(), Failed> {
    trial().map_err(Failed::from)
}
