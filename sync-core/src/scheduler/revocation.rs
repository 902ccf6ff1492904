//! When a refusal means that access is lost.

use std::time::Duration;

use crate::time::Time;

/// The refusals of a scope's pulls, gathered until there are two that are far enough apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    first: Option<Time>,
}

/// What a refused pull amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing yet: a pull that begins at this time or later can confirm it.
    Unconfirmed(Time),
    /// The second of two, far enough apart.
    Confirmed,
}

impl Evidence {
    /// A pull that began at `began` has been refused now.
    pub(super) fn refused(&mut self, began: Time, now: Time, apart: Duration) -> Refusal {
        let confirm_at = *self.first.get_or_insert(now) + apart;
        if began >= confirm_at {
            Refusal::Confirmed
        } else {
            Refusal::Unconfirmed(confirm_at)
        }
    }

    /// Forgets it all: a pull has succeeded, or nobody knows any more who asked.
    pub(super) fn clear(&mut self) {
        self.first = None;
    }

    pub(super) fn is_some(&self) -> bool {
        self.first.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pull_that_began_late_enough_confirms() {
        let mut evidence = Evidence::default();
        let at = Time::from_millis;
        let apart = Duration::from_secs(5);
        assert_eq!(
            evidence.refused(at(0), at(100), apart),
            Refusal::Unconfirmed(at(5_100))
        );
        assert_eq!(
            evidence.refused(at(5_099), at(9_000), apart),
            Refusal::Unconfirmed(at(5_100))
        );
        assert_eq!(
            evidence.refused(at(5_100), at(5_101), apart),
            Refusal::Confirmed
        );
        evidence.clear();
        assert_eq!(
            evidence.refused(at(6_000), at(6_000), apart),
            Refusal::Unconfirmed(at(11_000))
        );
    }
}
