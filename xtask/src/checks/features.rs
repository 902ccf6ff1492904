//! Each library builds as an app may choose its features.
//!
//! The other steps turn on all features at once, which hides an item that is used, or imported, under one of them alone.

use crate::Result;
use crate::command::run;
use crate::project::Project;
use crate::tally::Tally;

const LIBRARIES: &[&str] = &[
    "sync-core",
    "sync-sqlite",
    "sync-http",
    "sync-server",
    "sync-testing",
];

pub(crate) fn check(project: &Project) -> Result<Tally> {
    let mut tally = Tally::default();
    for library in LIBRARIES {
        for features in ["", "--no-default-features"] {
            let lint = format!("clippy --package {library} {features} -- -D warnings");
            tally += Tally::of_one(run(&mut project.cargo(&lint)));
        }
    }
    Ok(tally)
}
