//! Disks as they are: full ones, files with a size limit, and what may only be read. A call fails with an error that
//! says so, nothing of it is written, nothing else is lost, and the store goes on when the disk does.
//!
//! Each case runs in a child process that has the file system to itself: a small tmpfs, a limit on the size of files,
//! or a mount that is read-only, which holds for root too. Mounting takes a namespace of the child's own: as root, as a
//! user to whom the system grants user namespaces, or with a `sudo` that asks for no password. Where there is none of
//! these the tests fail and say so.
#![cfg_attr(not(target_os = "linux"), allow(dead_code, unused_imports))]
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
    if let Ok(case) = env::var(CASE) {
        let folder = PathBuf::from(env::var(FOLDER).expect("a folder"));
        cases::run(&case, &folder);
        println!("{}", spaces::THROUGH);
        return ExitCode::SUCCESS;
    }
    let mut trials = Vec::new();
    #[cfg(target_os = "linux")]
    for (name, space) in [
        (cases::FULL, spaces::Space::Small),
        (cases::FULL_FROM_THE_START, spaces::Space::Small),
        (cases::LIMITED, spaces::Space::Limited),
        (cases::READ_ONLY_FOLDER, spaces::Space::ReadOnlyFolder),
        (cases::READ_ONLY_FILE, spaces::Space::ReadOnlyFile),
    ] {
        trials.push(Trial::test(name, move || spaces::run(name, space)));
    }
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
