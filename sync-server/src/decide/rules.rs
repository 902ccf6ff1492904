//! What the server's owner decides: which mutations make sense, and how concurrent edits end.

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use sync_core::model::{Account, EntityType, MutationId, Op, Payload, RecordKey};

use crate::log::Retention;

/// How mutations are decided.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How concurrent edits end.
    pub conflicts: ConflictPolicy,
    /// How long things are kept.
    pub retention: Retention,
}

impl Rules {
    pub(crate) fn tombstones(&self) -> Duration {
        self.retention.tombstones()
    }
}

/// How two edits of a record end that were made without knowledge of each other.
#[derive(Clone, Debug, Default)]
pub enum ConflictPolicy {
    /// The one that was made later wins, by its age when it was received and not by a device's clock. On a tie
    /// the one that arrived first stays.
    #[default]
    LaterEditWins,
    /// The one that arrived first wins.
    FirstWins,
    /// A function makes one record of the two; where it does not, the later edit wins.
    Merge(Arc<dyn Merge>),
}

/// Makes one record of two concurrent edits. It runs inside the log's transaction: it must be quick and must not
/// wait. What both were based on is not known.
pub trait Merge: Send + Sync + fmt::Debug {
    /// The record that takes both edits in; `None` to let the later edit win.
    ///
    /// It is asked only where both sides hold a record: a delete is always decided by the later edit.
    fn merge(&self, edits: &Concurrent<'_>) -> Option<Payload>;
}

/// Two concurrent edits of a record.
#[derive(Clone, Copy, Debug)]
pub struct Concurrent<'a> {
    /// The record.
    pub key: &'a RecordKey,
    /// What the server holds: the edit that arrived first.
    pub current: &'a Payload,
    /// The edit that has just arrived.
    pub incoming: &'a Payload,
    /// Its id.
    pub mutation_id: MutationId,
}

/// Refuses what makes no sense, whoever writes it.
pub trait Validate: Send + Sync + fmt::Debug {
    /// Whether the mutation may be applied, as far as it can be told from itself.
    ///
    /// # Errors
    /// Why not, for people: the author of the mutation gets to read it. The mutation is rejected for ever.
    fn validate(&self, account: &Account, key: &RecordKey, op: &Op) -> Result<(), String>;
}

/// Lets mutations of these entity types through, and no others.
#[derive(Clone, Debug, Default)]
pub struct KnownTypes(BTreeSet<EntityType>);

impl<T: Into<EntityType>> FromIterator<T> for KnownTypes {
    fn from_iter<I: IntoIterator<Item = T>>(types: I) -> Self {
        Self(types.into_iter().map(Into::into).collect())
    }
}

impl Validate for KnownTypes {
    fn validate(&self, _: &Account, key: &RecordKey, _: &Op) -> Result<(), String> {
        if self.0.contains(&key.entity_type) {
            Ok(())
        } else {
            Err(format!("Unknown entity type: {}", key.entity_type))
        }
    }
}

/// Lets every mutation through.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnyMutation;

impl Validate for AnyMutation {
    fn validate(&self, _: &Account, _: &RecordKey, _: &Op) -> Result<(), String> {
        Ok(())
    }
}
