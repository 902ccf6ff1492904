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

/// One thing that passes or fails.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) run: Run,
}

pub(crate) enum Run {
    /// Counts as one test.
    One(fn(&Project) -> Result),
    /// Counts as the tests that it ran; an error counts as one more failure.
    Many(fn(&Project) -> Result<Tally>),
}

/// Runs the stages, all steps of each, whatever failed before; prints the totals as the last line.
pub(crate) fn run(stages: &[&Stage], project: &Project) -> Tally {
    let mut total = Tally::default();
    let mut failures = Vec::new();
    for stage in stages {
        println!("== {}: set-up", stage.name);
        // What is there counts for nothing: set-up is no test. What cannot be had fails the run.
        let set_up = setup::install(stage.needs);
        if set_up.is_err() {
            total += Tally::of_one(set_up);
            failures.push(format!("{}: set-up", stage.name));
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
                failures.push(title);
            }
        }
    }
    println!();
    for title in failures {
        println!("failed: {title}");
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

impl Step {
    fn tally(&self, project: &Project) -> Tally {
        match self.run {
            Run::One(run) => Tally::of_one(run(project)),
            Run::Many(run) => run(project).unwrap_or_else(|error| Tally::of_one(Err(error))),
        }
    }
}
