//! Running the suite from a program.

use std::fmt;

use super::{Case, Failure, Subject, all};

/// What became of each case.
#[derive(Debug)]
pub struct Report {
    /// The cases in their order, each with its failure if it has failed.
    pub results: Vec<(&'static Case, Option<Failure>)>,
}

/// Runs all cases, one after another.
pub async fn check(subject: &dyn Subject) -> Report {
    let mut results = Vec::new();
    for case in all() {
        results.push((case, case.run(subject).await.err()));
    }
    Report { results }
}

impl Report {
    /// How many cases have failed.
    #[must_use]
    pub fn failed(&self) -> usize {
        let failed = self.results.iter().filter(|(_, failure)| failure.is_some());
        failed.count()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        for (case, failure) in &self.results {
            if case.group() != group {
                group = case.group();
                writeln!(f, "{group}")?;
            }
            match failure {
                None => writeln!(f, "  ok      {}", case.name())?,
                Some(failure) => writeln!(f, "  FAILED  {}: {failure}", case.name())?,
            }
        }
        let (all, failed) = (self.results.len(), self.failed());
        write!(f, "{all} cases, {failed} failed")
    }
}
