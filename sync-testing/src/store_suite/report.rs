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
    check_with(subject, |_, _| {}).await
}

/// As [`check`], and calls `each` with each case when it has ended, with its failure if it has failed.
pub async fn check_with(
    subject: &dyn Subject,
    mut each: impl FnMut(&'static Case, Option<&Failure>),
) -> Report {
    let mut results = Vec::new();
    for case in all() {
        let failure = case.run(subject).await.err();
        each(case, failure.as_ref());
        results.push((case, failure));
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

/// All cases by their groups, then the failures with what was found.
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
                Some(_) => writeln!(f, "  FAILED  {}", case.name())?,
            }
        }
        for (case, failure) in &self.results {
            if let Some(failure) = failure {
                writeln!(f, "\n{}: {}\n    {failure}", case.group(), case.name())?;
            }
        }
        let (all, failed) = (self.results.len(), self.failed());
        write!(f, "{all} cases, {failed} failed")
    }
}
