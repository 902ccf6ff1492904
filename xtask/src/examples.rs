//! Runs every example that ends by itself, and builds the others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::Result;
use crate::command::{run, run_within};
use crate::project::Project;
use crate::tally::Tally;

/// Examples that serve until they are stopped: they are built, not run.
const ENDLESS: &[&str] = &["device", "server"];

/// An example is a demonstration: one that takes longer than this hangs, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn run_all(project: &Project) -> Result<Tally> {
    let examples = find(&project.root.join("examples"))?;
    if examples.is_empty() {
        println!("there are no examples");
        return Ok(Tally::default());
    }
    run(&mut project.cargo("build --package examples --examples --all-features"))?;
    let programs = project.target.join("debug/examples");
    let mut tally = Tally::default();
    for example in examples
        .iter()
        .filter(|example| !ENDLESS.contains(&example.as_str()))
    {
        let mut program = Command::new(programs.join(example));
        tally += Tally::of_one(run_within(LIMIT, program.current_dir(&project.root)));
    }
    Ok(tally)
}

/// Runs histories of the simulator with seeds that no run had before; it prints them.
pub(crate) fn simulate(project: &Project) -> Result {
    let mut simulate = project.cargo("run --release --package simulate --example simulate");
    run(simulate.args(["--", "--from", "fresh", "--seeds", "5000"]))
}

/// The names of the examples: each file beside `lib.rs` is one.
fn find(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && name != "lib"
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}
