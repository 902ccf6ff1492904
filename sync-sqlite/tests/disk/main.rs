//! Disks as they are: full ones, files with a size limit, and what may only be read. A call fails with an error that
//! says so, nothing of it is written, nothing else is lost, and the store goes on when the disk does.
//!
//! Each case runs in a child process that has the file system to itself: a small tmpfs, a limit on the size of files,
//! or a mount that is read-only, which holds for root too. Mounting takes a namespace of the child's own: as root, as a
//! user to whom the system grants user namespaces, or with a `sudo` that asks for no password. Where there is none of
//! these the tests fail and say so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

mod cases;
mod edits;
mod spaces;

use std::{env, path::PathBuf, process::ExitCode};

use libtest_mimic::{Arguments, Trial};

/// The variables that make this program a child: which case, and where.
const CASE: &str = "SYNC_DISK_CASE";
const FOLDER: &str = "SYNC_DISK_FOLDER";

fn main() -> ExitCode {
    if let Ok(name) = env::var(CASE) {
        let folder = PathBuf::from(env::var(FOLDER).expect("a folder"));
        let case = cases::ALL.iter().find(|case| case.name == name);
        (case.expect("a case").run)(&folder);
        println!("{}", spaces::THROUGH);
        return ExitCode::SUCCESS;
    }
    // Mounts and limits are Linux's here; what the store does about them is the same everywhere.
    let cases = if cfg!(target_os = "linux") {
        cases::ALL
    } else {
        &[]
    };
    let trials = cases
        .iter()
        .map(|case| Trial::test(case.name, || spaces::run(case)))
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
