//! Counts of what passed, failed and was skipped.

use std::fmt;
use std::ops::AddAssign;

use crate::Result;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Tally {
    /// Counts one result. Of a failure it prints the reason.
    pub(crate) fn of_one(result: Result) -> Self {
        match result {
            Ok(()) => Self {
                passed: 1,
                ..Self::default()
            },
            Err(error) => {
                println!("error: {error}");
                Self {
                    failed: 1,
                    ..Self::default()
                }
            }
        }
    }

    /// The counts of libtest's closing line; `None` for any other line.
    pub(crate) fn of_result_line(line: &str) -> Option<Self> {
        let (_verdict, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self::default();
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else {
                continue;
            };
            let counter = match what {
                "passed" => &mut tally.passed,
                "failed" => &mut tally.failed,
                "ignored" => &mut tally.skipped,
                _ => continue,
            };
            *counter = number.parse().ok()?;
        }
        Some(tally)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_closing_line_of_a_test_binary() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s";
        let tally = Tally {
            passed: 12,
            failed: 0,
            skipped: 1,
        };
        assert_eq!(Tally::of_result_line(line), Some(tally));
    }

    #[test]
    fn reads_the_closing_line_of_a_failure() {
        let line = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        let tally = Tally {
            passed: 1,
            failed: 2,
            skipped: 0,
        };
        assert_eq!(Tally::of_result_line(line), Some(tally));
    }

    #[test]
    fn other_lines_have_no_counts() {
        assert_eq!(Tally::of_result_line("running 3 tests"), None);
        assert_eq!(Tally::of_result_line("test a_test_result ... ok"), None);
        assert_eq!(Tally::of_result_line(""), None);
    }

    #[test]
    fn prints_the_totals_that_a_run_ends_with() {
        let mut total = Tally {
            passed: 3,
            failed: 0,
            skipped: 2,
        };
        total += Tally::of_one(Ok(()));
        total += Tally::of_one(Err("why".into()));
        assert_eq!(total.to_string(), "4 passed, 1 failed, 2 skipped");
    }
}
