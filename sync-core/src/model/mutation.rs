//! Mutations: local writes on their way to the server.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Payload, RecordKey, Schema, Version};
use crate::time::Timestamp;

/// The id of a mutation and its idempotency key: a UUIDv7, ascending within one database.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MutationId(Uuid);

impl MutationId {
    /// The id that follows `last` at this wall-clock time.
    ///
    /// It is larger than `last` even when the clock stepped back: the time part then stays where it was.
    /// `random` fills the rest.
    #[must_use]
    pub fn following(last: Option<Self>, now: Timestamp, random: u128) -> Self {
        // 48 bits of milliseconds, then version, variant and 74 bits of randomness.
        let compose = |millis: u64, rest: u128| {
            let rest = rest & ((1 << 74) - 1);
            let millis = u128::from(millis & ((1 << 48) - 1));
            let (high, low) = (rest >> 62, rest & ((1 << 62) - 1));
            Self(Uuid::from_u128(
                millis << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low,
            ))
        };
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        let fresh = compose(millis, random);
        match last {
            Some(last) if fresh <= last => {
                let bits = last.0.as_u128();
                let millis = u64::try_from(bits >> 80).unwrap_or(u64::MAX);
                let rest = (bits >> 64 & 0xfff) << 62 | bits & ((1 << 62) - 1);
                // A step of up to 2^32 keeps ids unguessable from one another and leaves room.
                let step = (random & 0xffff_ffff) + 1;
                match rest.checked_add(step) {
                    Some(rest) if rest < 1 << 74 => compose(millis, rest),
                    _ => compose(millis + 1, random),
                }
            }
            _ => fresh,
        }
    }

    /// The id as a UUID.
    #[must_use]
    pub fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for MutationId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl FromStr for MutationId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::from_str(text).map(Self)
    }
}

impl fmt::Display for MutationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for MutationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MutationId({})", self.0)
    }
}

/// What a mutation does to its record. Create and update carry the whole record, never a patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The record comes into being.
    Create(Payload),
    /// The record is replaced as a whole.
    Update(Payload),
    /// The record goes.
    Delete,
}

impl Op {
    /// The record that the operation leaves behind; none after a delete.
    #[must_use]
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Create(payload) | Self::Update(payload) => Some(payload),
            Self::Delete => None,
        }
    }

    /// The operation's name: `create`, `update` or `delete`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Update(_) => "update",
            Self::Delete => "delete",
        }
    }

    /// The operation with its name and its payload; `None` when they do not fit together.
    #[must_use]
    pub fn from_parts(name: &str, payload: Option<Payload>) -> Option<Self> {
        match (name, payload) {
            ("create", Some(payload)) => Some(Self::Create(payload)),
            ("update", Some(payload)) => Some(Self::Update(payload)),
            ("delete", _) => Some(Self::Delete),
            _ => None,
        }
    }
}

/// A local create, update or delete on its way to the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mutation {
    /// The id, which makes the server apply it once however often it arrives.
    pub id: MutationId,
    /// The record that it changes.
    pub key: RecordKey,
    /// What it does.
    pub op: Op,
    /// The format version of the payload.
    pub schema: Schema,
    /// The version of what the user saw when editing; none where the server has no versions, or where the
    /// scope had never been pulled.
    pub base_version: Option<Version>,
    /// The own mutation of the same record that the user saw, if any.
    pub after: Option<MutationId>,
    /// When the user made the edit, by the device's wall clock. It leaves the device only as an age.
    pub edited_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_even_when_the_clock_steps_back() {
        let mut last = None;
        for (now, random) in [
            (1_000, 7),
            (1_000, u128::MAX),
            (1_000, u128::MAX),
            (500, 3),
            (0, 0),
            (2_000, 0),
        ] {
            let id = MutationId::following(last, Timestamp::from_millis(now), random);
            assert!(Some(id) > last, "{id} after {last:?}");
            assert_eq!(id.as_uuid().get_version_num(), 7);
            assert_eq!(id.as_uuid().get_variant(), uuid::Variant::RFC4122);
            last = Some(id);
        }
    }
}
