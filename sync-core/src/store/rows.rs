//! The rows that a store keeps. The rules in [`crate::overlay`] read and return them; an adapter stores them.
//!
//! A store may keep them as columns of its own, or as the JSON that serde_json makes of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::EntryKind;
use crate::{
    model::{
        Account, Cursor, Epoch, Generation, Mutation, MutationId, Payload, RecordKey, Schema,
        Scope, Version, present,
    },
    ordered::OrderedSet,
    time::Timestamp,
    transport::ServerRecord,
};

/// The format of what a store of this version writes. A store refuses a database of a newer one.
pub const FORMAT: u32 = 1;

/// What there is once in a database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The account that the database is bound to; none before the first engine, and after a wipe.
    pub account: Option<Account>,
    /// The sequence number of the newest overlay entry.
    pub last_seq: Seq,
    /// Counts settlements; see [`Tick`].
    pub tick: Tick,
    /// The newest mutation id that was given out.
    pub last_mutation: Option<MutationId>,
    /// The token of the engine that leads.
    pub fence: Fence,
    /// The generation of a scope that has no row; a wipe raises it above every generation there was.
    pub first_generation: Generation,
}

impl Default for Meta {
    /// That of a new database.
    fn default() -> Self {
        Self {
            account: None,
            last_seq: Seq::default(),
            tick: Tick::default(),
            last_mutation: None,
            fence: Fence::default(),
            first_generation: Generation(1),
        }
    }
}

/// The place of an overlay entry in the order of the store: ascending, never used twice.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

/// A counter in the database that tells whether a pull began after a mutation was settled: settling raises it
/// and stamps the entry, a pull remembers it at its start.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Tick(pub u64);

/// The token of a leading engine. A store refuses to take, settle or apply for an older one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Fence(pub u64);

/// What is kept about a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeRow {
    /// The scope.
    pub scope: Scope,
    /// Its generation; a page of another one is void.
    pub generation: Generation,
    /// Where the next pull goes on; none from the start.
    pub cursor: Option<Cursor>,
    /// The epoch of its pulls, by the generation in which it was first seen; the newest last.
    pub epochs: Vec<(Generation, Epoch)>,
    /// The position scanned by the newest page.
    pub through: Option<u64>,
    /// The position scanned by the newest page that had no more after it.
    pub drained: Option<u64>,
    /// Overwrites at or before this version have been reported.
    pub told: Option<Version>,
    /// Mutations of which it was reported since that they were overwritten: those of the pull under way, whose
    /// later pages may name them again.
    pub told_since: OrderedSet<MutationId>,
    /// Own mutations that have left the overlay since the first pull began: its later pages may say that they were
    /// overwritten. Empty once that pull has come to its end.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub left_since: OrderedSet<MutationId>,
    /// Whether a pull has ever succeeded, since the scope was last purged.
    pub pulled: bool,
    /// The resync that is under way.
    pub resync: Option<Resync>,
    /// How long the server keeps verdicts, if it said so.
    pub verdict_retention: Option<Duration>,
    /// When a pull last came to its end.
    pub synced_at: Option<Timestamp>,
}

impl ScopeRow {
    /// The row of a scope of which nothing is known yet.
    #[must_use]
    pub fn new(scope: Scope, generation: Generation) -> Self {
        Self {
            scope,
            generation,
            cursor: None,
            epochs: Vec::new(),
            through: None,
            drained: None,
            told: None,
            told_since: OrderedSet::new(),
            left_since: OrderedSet::new(),
            pulled: false,
            resync: None,
            verdict_retention: None,
            synced_at: None,
        }
    }

    /// The epoch of the newest pull.
    #[must_use]
    pub fn epoch(&self) -> Option<&Epoch> {
        self.epochs.last().map(|(_, epoch)| epoch)
    }

    /// Whether the scope's history is another one now, and no page has shown yet which.
    #[must_use]
    pub fn awaits_epoch(&self) -> bool {
        let entered = self
            .epochs
            .last()
            .is_some_and(|(g, _)| *g == self.generation);
        self.resync.as_ref().is_some_and(|resync| resync.new_epoch) && !entered
    }

    /// The epoch in which a row of this generation was pulled.
    #[must_use]
    pub fn epoch_of(&self, generation: Generation) -> Option<&Epoch> {
        self.epochs
            .iter()
            .rev()
            .find(|(from, _)| *from <= generation)
            .map(|(_, epoch)| epoch)
    }

    /// The version of a row: its number with the epoch of its generation.
    #[must_use]
    pub fn version_of(&self, seq: Option<u64>, generation: Generation) -> Option<Version> {
        let epoch = self.epoch_of(generation).cloned();
        seq.map(|seq| Version {
            epoch: epoch.unwrap_or_else(|| Epoch::from("")),
            seq,
        })
    }
}

/// A resync under way: the scope is pulled from the start beside the live records, then what is left of older
/// generations is swept out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resync {
    /// Whether the scope's history is another one now, so that the next epoch is taken as it comes.
    pub new_epoch: bool,
    /// Whether the pull has come to its end and only the sweep is left.
    pub sweeping: bool,
    /// How far the sweep has come: everything up to this record is done.
    pub swept: Option<RecordKey>,
}

/// A record as the app reads it. A record that has nothing in the overlay is its own base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordRow {
    /// The record.
    pub key: RecordKey,
    /// Its payload.
    pub payload: Payload,
    /// The format version of the payload.
    pub schema: Schema,
    /// The number of its newest pulled change, if it has one; the epoch follows from the generation.
    pub seq: Option<u64>,
    /// The generation of the pull that it comes from.
    pub generation: Generation,
    /// What lies over it.
    pub marks: Marks,
}

/// The newest pulled state of a record that has something in the overlay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseRow {
    /// Its payload and the payload's format version; none when the server has no such record.
    pub payload: Option<(Payload, Schema)>,
    /// The number of its newest pulled change, if it has one.
    pub seq: Option<u64>,
    /// The generation of the pull that it comes from.
    pub generation: Generation,
}

/// What the app should know about a record beside its payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Marks(u8);

impl Marks {
    /// An edit of it waits for the server.
    pub const PENDING: Self = Self(1);
    /// An edit of it was set aside.
    pub const FAILED: Self = Self(2);
    /// The server holds an edit of it that no pull has shown yet.
    pub const ACKNOWLEDGED: Self = Self(4);
    /// An update brought it back after the server had deleted it.
    pub const REVIVED: Self = Self(8);

    /// Whether all of these marks are set.
    #[must_use]
    pub const fn contains(self, marks: Self) -> bool {
        self.0 & marks.0 == marks.0
    }

    /// Both sets of marks.
    #[must_use]
    pub const fn with(self, marks: Self) -> Self {
        Self(self.0 | marks.0)
    }

    /// These marks without those.
    #[must_use]
    pub const fn without(self, marks: Self) -> Self {
        Self(self.0 & !marks.0)
    }

    /// The marks as stored: pending 1, failed 2, acknowledged 4, revived 8.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The marks that were stored as these bits; unknown ones are dropped.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 15)
    }
}

/// One entry of the overlay: a mutation and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its place in the order of the store.
    pub seq: Seq,
    /// The mutation, with the payload as it was (or will be) sent.
    pub mutation: Mutation,
    /// Where it stands.
    pub state: EntryState,
    /// How often this edit has been put again after a conflict.
    pub again: u32,
}

/// Where an overlay entry stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryState {
    /// In the outbox.
    Pending(Pending),
    /// Applied by the server, not yet seen in a pull.
    Acknowledged(Acknowledged),
    /// Set aside.
    Failed(Failed),
}

/// A pending entry: what is known about its sends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// When it was first taken; an entry that was taken is never merged into.
    pub sent_at: Option<Timestamp>,
    /// How often it was taken.
    pub sends: u32,
    /// Whether a pull has brought a change of its record since it was first taken.
    pub echoed: bool,
    /// Whether the base is what its own predecessor had written.
    pub over_own: bool,
    /// Whether it has taken up failed entries, one of which the server may hold: such a create is never cancelled.
    pub took_up: bool,
    /// Which of its sends had an answer of another history than its scope's, so that it was to be sent once more: that
    /// answer counts. 0 if none had.
    #[serde(default)]
    pub answered_elsewhere: u32,
    /// For servers that do not repeat verdicts: a refusal that waits for a pull to tell whether it was meant.
    pub doubt: Option<Doubt>,
}

/// A refusal of a mutation that was sent more than once, from a server that does not repeat its verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// Stamped when the refusal came; a pull that began at or after it judges.
    pub tick: Tick,
    /// The state that the server showed, if it called the refusal a conflict.
    pub theirs: Option<ServerRecord>,
    /// The server's reason.
    pub reason: String,
}

/// An acknowledged entry: when it leaves the overlay, and what it shows until then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledged {
    /// The version that the answer named.
    pub version: Option<Version>,
    /// Stamped when it was settled.
    pub tick: Tick,
    /// When the mutation was first sent.
    pub sent_at: Option<Timestamp>,
    /// The record that the answer carried in the mutation's stead.
    pub carried: Option<ServerRecord>,
    /// Whether the mutation lost a conflict: the server holds the carried record, not the mutation.
    pub lost: bool,
}

/// A failed entry: why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The kind of failure.
    pub reason: FailReason,
    /// The server's words, or the engine's.
    pub message: String,
    /// When it was set aside.
    pub at: Timestamp,
}

/// Why an entry was set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailReason {
    /// The server will never accept it.
    Rejected,
    /// The account may not write this.
    Forbidden,
    /// Sent alone, it was refused again and again while others went through.
    Poison,
    /// It is too large for the server, even alone.
    TooLarge,
    /// It was sent, and so long ago that the server has forgotten the verdict; no pull has shown it.
    OutcomeUnknown,
    /// An earlier edit of the same record was set aside.
    Predecessor,
}

/// A conflict, kept until the app acknowledges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conflict {
    /// The own mutation that was concurrent with another's; also the conflict's id.
    pub mutation_id: MutationId,
    /// The record.
    pub key: RecordKey,
    /// What the user had written; none if it was a delete.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub mine: Option<Payload>,
    /// What the server held; none if it was deleted.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub theirs: Option<Payload>,
    /// The newest pulled state that the edit was made over, where it was still known.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub base: Option<Payload>,
    /// How it was resolved.
    pub resolution: Resolution,
    /// When this device learnt of it.
    pub at: Timestamp,
}

/// How a conflict was resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resolution {
    /// The server's record stands.
    Theirs,
    /// The own edit was put again, over the server's record.
    Mine,
    /// The app's merge function made a third.
    Merged,
    /// The own edit had been applied; a concurrent one that came later has replaced it.
    Overwritten,
}

/// A mutation of a scope to which access was lost that no pull had shown to be at the server, kept until the app
/// acknowledges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// The mutation.
    pub mutation: Mutation,
    /// When the scope was purged.
    pub at: Timestamp,
}

impl Entry {
    /// Whether the entry is in the outbox.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(self.state, EntryState::Pending(_))
    }

    /// Whether the entry was set aside.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.state, EntryState::Failed(_))
    }

    /// Whether the server holds the entry and no pull has shown it yet.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        matches!(self.state, EntryState::Acknowledged(_))
    }

    /// Whether the entry was taken at least once.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        match &self.state {
            EntryState::Pending(pending) => pending.sent_at.is_some(),
            EntryState::Acknowledged(_) | EntryState::Failed(_) => true,
        }
    }

    /// The state, without what it holds.
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        match self.state {
            EntryState::Acknowledged(_) => EntryKind::Acknowledged,
            EntryState::Pending(_) => EntryKind::Pending,
            EntryState::Failed(_) => EntryKind::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Op, Payload},
        time::Timestamp,
    };

    #[test]
    fn an_entry_survives_json_with_its_payload_unchanged() {
        let payload = Payload::parse(r#"{"big":123456789012345678901234567890,"f":1.0}"#).unwrap();
        let id = MutationId::following(None, Timestamp::from_millis(1), 1);
        let record = ServerRecord {
            payload: Some(payload.clone()),
            schema: Schema(2),
            version: Some(Version::new("e", 3)),
        };
        let states = [
            EntryState::Pending(Pending {
                doubt: Some(Doubt {
                    tick: Tick(4),
                    theirs: Some(record.clone()),
                    reason: "why".to_owned(),
                }),
                ..Pending::default()
            }),
            EntryState::Acknowledged(Acknowledged {
                version: None,
                tick: Tick(1),
                sent_at: None,
                carried: Some(record),
                lost: true,
            }),
        ];
        for state in states {
            let entry = Entry {
                seq: Seq(7),
                mutation: Mutation {
                    id,
                    key: RecordKey::new("s", "t", "i\0d"),
                    op: Op::Create(payload.clone()),
                    schema: Schema(1),
                    base_version: Some(Version::new("e", 2)),
                    after: Some(id),
                    edited_at: Timestamp::from_millis(5),
                },
                state,
                again: 1,
            };
            let json = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&json).unwrap(), entry);
        }
    }
    #[test]
    fn a_payload_of_null_is_told_from_none_in_json() {
        for payload in [None, Some(Payload::parse("null").unwrap())] {
            let conflict = Conflict {
                mutation_id: MutationId::following(None, Timestamp::from_millis(1), 1),
                key: RecordKey::new("s", "t", "i"),
                mine: payload.clone(),
                theirs: payload.clone(),
                base: payload.clone(),
                resolution: Resolution::Theirs,
                at: Timestamp::from_millis(1),
            };
            let json = serde_json::to_string(&conflict).unwrap();
            assert_eq!(serde_json::from_str::<Conflict>(&json).unwrap(), conflict);
            let record = ServerRecord {
                payload,
                schema: Schema(1),
                version: None,
            };
            let json = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<ServerRecord>(&json).unwrap(), record);
        }
    }
}
