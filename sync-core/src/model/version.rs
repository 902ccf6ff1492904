//! Positions in a scope's history: cursors, versions, epochs, generations.

use std::{cmp::Ordering, fmt};

use serde::{Deserialize, Serialize};

use super::key::text_newtype;
use crate::text::Text;

text_newtype! {
    /// The server's opaque position in a scope's log.
    ///
    /// It is stored and sent back as it came; two may be tested for equality, never ordered or computed.
    Cursor
}

text_newtype! {
    /// The identity of a log's history. It changes when the server's past does, as after a restore.
    Epoch
}

/// The number that a record's newest change has in its scope's log, with the log's epoch.
///
/// Versions are ordered only within one epoch: comparing across epochs gives `None`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The history that the number belongs to.
    pub epoch: Epoch,
    /// The place in the log, counted from 1.
    pub seq: u64,
}

impl Version {
    /// The version with this number in this epoch.
    #[must_use]
    pub fn new(epoch: impl Into<Epoch>, seq: u64) -> Self {
        Self {
            epoch: epoch.into(),
            seq,
        }
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self.epoch == other.epoch).then(|| self.seq.cmp(&other.seq))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.seq, self.epoch)
    }
}

/// A scope's local counter, raised by purge, resync and wipe. A page pulled under an older one is void.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The generation after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The version of an entity type's payload format, counted from 1; 0 means that nobody said.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Schema(pub u32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_two_epochs_are_not_ordered() {
        let (a, b) = (Version::new("e1", 5), Version::new("e2", 6));
        assert_eq!(a.partial_cmp(&b), None);
        assert!(a < Version::new("e1", 6));
    }
}
