//! What became of each point, as a table and as JSON.

use std::{fmt, time::Duration};

use serde::Serialize;
use sync_http::dialect::Dialect;

use super::{
    cases::{Case, Feeds, Need, all},
    failure::Broken,
    target::{Target, TargetError},
    trial::Trial,
};

/// No point takes longer.
const LIMIT: Duration = Duration::from_secs(120);

/// Why nothing was asked after the first point.
const FIRST_FAILED: &str = "nothing can be said while the first point fails";

/// How a point came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// The server keeps it.
    Passed,
    /// The server should keep it, and does not.
    Failed,
    /// The dialect cannot promise it, and the server does not keep it.
    NotPromised,
    /// Something was missing to find out.
    Skipped,
}

/// One point and how it came out.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Point {
    /// What it is about.
    pub group: &'static str,
    /// The point, as a sentence.
    pub name: &'static str,
    /// How it came out.
    pub finding: Finding,
    /// What a server should do.
    pub expected: &'static str,
    /// What this one did; where it was skipped or is not promised, why.
    pub seen: String,
}

/// All points, in order.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The points.
    pub points: Vec<Point>,
}

/// Drives a server through all points, one after another. To be awaited inside a tokio runtime.
///
/// A server that cannot be reached fails its first point, and the others are skipped.
///
/// # Errors
/// When the target itself is of no use.
pub async fn check(target: &Target) -> Result<Report, TargetError> {
    let trial = Trial::new(target)?;
    let mut points: Vec<Point> = Vec::new();
    for case in all() {
        let basics_failed = points
            .first()
            .is_some_and(|first| first.finding == Finding::Failed);
        points.push(if basics_failed {
            case.point(Finding::Skipped, FIRST_FAILED)
        } else {
            case.try_on(&trial).await
        });
    }
    Ok(Report { points })
}

impl Case {
    async fn try_on(&self, trial: &Trial<'_>) -> Point {
        let promise = match (&trial.target.dialect, self.feeds) {
            (Dialect::Own, _) | (Dialect::Feed(_), Feeds::Promised) => None,
            (Dialect::Feed(_), Feeds::Unpromised(why)) => Some(why),
            (Dialect::Feed(_), Feeds::Inexpressible(why)) => {
                return self.point(Finding::NotPromised, why);
            }
        };
        if let Some((finding, why)) = self.needs.iter().find_map(|need| need.unmet(trial.target)) {
            return self.point(finding, why);
        }
        let run = tokio::time::timeout(LIMIT, (self.run)(trial));
        let outcome = run.await.unwrap_or_else(|_| {
            let seconds = LIMIT.as_secs();
            Err(Broken::new(format!("no end after {seconds} s")))
        });
        match (outcome, promise) {
            (Ok(seen), _) => self.point(Finding::Passed, seen),
            (Err(broken), None) => self.point(Finding::Failed, broken.to_string()),
            (Err(broken), Some(why)) => {
                self.point(Finding::NotPromised, format!("{why}; here: {broken}"))
            }
        }
    }

    fn point(&self, finding: Finding, seen: impl Into<String>) -> Point {
        Point {
            group: self.group,
            name: self.name,
            finding,
            expected: self.expected,
            seen: seen.into(),
        }
    }
}

impl Need {
    /// What is missing, and how the point then comes out.
    fn unmet(self, target: &Target) -> Option<(Finding, &'static str)> {
        let skipped = |missing: bool, why| missing.then_some((Finding::Skipped, why));
        match self {
            Self::OtherAccount => skipped(
                target.other.is_none(),
                "needs a second account: --other-account and --other-token",
            ),
            Self::OtherScope => skipped(
                !target.scopes.is_empty() && target.other_scope.is_none(),
                "needs a scope of the second account: --other-scope",
            ),
            Self::TwoScopes => skipped(
                target.scopes.len() == 1,
                "needs a second scope of the account: another --scope",
            ),
            Self::EmptyScope => skipped(
                target.empty_scope.is_none(),
                "needs a scope in which nothing was ever written: --empty-scope",
            ),
            Self::SharedScope => skipped(
                target.shared_scope.is_none(),
                "needs a scope that both accounts may write: --shared-scope",
            ),
            Self::PageSize => match &target.dialect {
                Dialect::Feed(feed)
                    if feed.pull.limit.is_none() || feed.pull.has_more.is_none() =>
                {
                    Some((
                        Finding::NotPromised,
                        "this feed has no page size: a page is always the last one",
                    ))
                }
                _ => None,
            },
        }
    }
}

impl Report {
    /// Whether every promised point is kept. One that was skipped is none.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.count(Finding::Failed) == 0 && self.count(Finding::Skipped) == 0
    }

    /// How many points came out like this.
    #[must_use]
    pub fn count(&self, finding: Finding) -> usize {
        self.named(finding).len()
    }

    /// The names of the points that came out like this, in order.
    #[must_use]
    pub fn named(&self, finding: Finding) -> Vec<&'static str> {
        let points = self.points.iter();
        points
            .filter(|point| point.finding == finding)
            .map(|point| point.name)
            .collect()
    }

    /// The report for programs: `passed`, the counts, and the points.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::json!({
            "passed": self.passed(),
            "counts": {
                "passed": self.count(Finding::Passed),
                "failed": self.count(Finding::Failed),
                "not_promised": self.count(Finding::NotPromised),
                "skipped": self.count(Finding::Skipped),
            },
            "points": self.points,
        })
        .to_string()
    }
}

impl Finding {
    /// In the table; in JSON the same words.
    fn label(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotPromised => "not promised",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut group = "";
        let asked = |point: &&Point| point.seen != FIRST_FAILED;
        for point in self.points.iter().filter(asked) {
            if point.group != group {
                group = point.group;
                writeln!(f, "{group}")?;
            }
            writeln!(f, "  {:<13} {}", point.finding.label(), point.name)?;
            if point.finding == Finding::Failed {
                writeln!(f, "  {:13}   expected: {}", "", point.expected)?;
            }
            writeln!(f, "  {:13}   seen: {}", "", point.seen)?;
        }
        let unasked = self.points.len() - self.points.iter().filter(asked).count();
        if unasked > 0 {
            writeln!(f, "the other {unasked} points are skipped: {FIRST_FAILED}")?;
        }
        write!(
            f,
            "{} points: {} passed, {} failed, {} not promised, {} skipped",
            self.points.len(),
            self.count(Finding::Passed),
            self.count(Finding::Failed),
            self.count(Finding::NotPromised),
            self.count(Finding::Skipped),
        )
    }
}
