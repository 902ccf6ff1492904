//! What a stage is, and how the stages are run.

use std::time::Instant;

use crate::Result;
use crate::project::Project;
use crate::setup::{self, Piece};
use crate::tally::Tally;

/// Steps that need the same things of the machine.
pub(crate) struct Stage {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Piece],
    pub(crate) steps: &'static [Step],
}

/// What is run by itself, and counted.
pub(crate) struct Step {
    name: &'static str,
    run: Run,
}

enum Run {
    One(fn(&Project) -> Result),
    Many(fn(&Project) -> Result<Tally>),
}

impl Step {
    /// A step that counts as one test.
    pub(crate) const fn one(name: &'static str, run: fn(&Project) -> Result) -> Self {
        Self {
            name,
            run: Run::One(run),
        }
    }

    /// A step that counts as the tests that it runs; an error counts as a failed one.
    pub(crate) const fn many(name: &'static str, run: fn(&Project) -> Result<Tally>) -> Self {
        Self {
            name,
            run: Run::Many(run),
        }
    }

    fn tally(&self, project: &Project) -> Tally {
        match self.run {
            Run::One(run) => Tally::of_one(run(project)),
            Run::Many(run) => run(project).unwrap_or_else(|error| Tally::of_one(Err(error))),
        }
    }
}

/// Runs the stages, all steps of each, whatever failed before; prints the totals as the last line.
pub(crate) fn run(stages: &[&Stage], project: &Project) -> Tally {
    let mut total = Tally::default();
    let mut findings = Vec::new();
    for stage in stages {
        println!("== {}: set-up", stage.name);
        // What is there counts for nothing: set-up is no test. What cannot be had fails the run.
        let set_up = setup::install(stage.needs);
        if set_up.is_err() {
            total += Tally::of_one(set_up);
            findings.push(format!("failed: {}: set-up", stage.name));
        }
        for step in stage.steps {
            let title = format!("{}: {}", stage.name, step.name);
            println!("\n== {title}");
            let started = Instant::now();
            let tally = step.tally(project);
            println!(
                "== {title}: {tally} ({:.1} s)",
                started.elapsed().as_secs_f32()
            );
            total += tally;
            if tally.failed > 0 {
                findings.push(format!("failed: {title}"));
            }
            if tally.skipped > 0 {
                findings.push(format!("skipped in: {title}"));
            }
        }
    }
    println!();
    for finding in findings {
        println!("{finding}");
    }
    println!("{total}");
    total
}

/// Prints the stages and their steps.
pub(crate) fn list(stages: &[Stage]) {
    for stage in stages {
        println!("{}", stage.name);
        for step in stage.steps {
            println!("  {}", step.name);
        }
    }
}
