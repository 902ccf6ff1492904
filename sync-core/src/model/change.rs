//! Changes: what the server's log sends to a client, page by page.

use std::time::Duration;

use super::{Account, Cursor, EntityId, EntityType, Epoch, MutationId, Payload, Schema};

/// What a change does to its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeOp {
    /// The record is now this, whether it was there before or not.
    Put(Payload),
    /// The record is gone.
    Remove,
}

impl ChangeOp {
    /// The record that the change leaves behind; none after a remove.
    #[must_use]
    pub fn payload(&self) -> Option<&Payload> {
        match self {
            Self::Put(payload) => Some(payload),
            Self::Remove => None,
        }
    }
}

/// One entry of a scope's log, on its way to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The kind of the record.
    pub entity_type: EntityType,
    /// The id of the record.
    pub entity_id: EntityId,
    /// What happened to it.
    pub op: ChangeOp,
    /// The format version of the payload, where the server keeps one.
    pub schema: Schema,
    /// The number of the change in its scope's log, in the page's epoch; none where the server has no versions.
    pub seq: Option<u64>,
    /// The mutation that made the change, where the server says so.
    pub mutation_id: Option<MutationId>,
    /// Concurrent edits that had arrived first and that this change, or one that it supersedes, has overwritten.
    pub overwritten: Vec<Overwritten>,
}

/// An edit that was applied and then lost to a concurrent one, so that its author can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overwritten {
    /// The mutation that lost.
    pub mutation_id: MutationId,
    /// Whose it was.
    pub account: Account,
    /// What it had written; none if it was a delete.
    pub payload: Option<Payload>,
    /// The number of the change that won.
    pub by: u64,
}

/// One pull response: changes of one scope in log order, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The changes, oldest first.
    pub changes: Vec<Change>,
    /// The position after the last of them.
    pub next: Cursor,
    /// Whether there is more after it now.
    pub has_more: bool,
    /// The position scanned: every change up to this number is in this page, in one before, or superseded by a later one.
    pub through: Option<u64>,
    /// The history that the numbers belong to.
    pub epoch: Option<Epoch>,
    /// How long the server keeps the verdicts of mutations, where it says so.
    pub verdict_retention: Option<Duration>,
}
