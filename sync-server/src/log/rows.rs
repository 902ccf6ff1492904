//! The rows that a log keeps.

use serde::{Deserialize, Serialize};
use sync_core::{
    model::{
        Account, Change, ChangeOp, Epoch, MutationId, Overwritten, Payload, RecordKey, Schema,
        Scope, Version,
    },
    time::Timestamp,
    transport::ServerRecord,
};

/// What is kept about a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeRow {
    /// The scope.
    pub scope: Scope,
    /// The number of its newest change; 0 before the first.
    pub head: u64,
    /// When that change was made; receipts in a scope never step back behind it.
    pub made: Timestamp,
    /// The number of the newest tombstone that compaction has removed.
    pub removed: u64,
    /// The history that the numbers belong to now.
    pub epoch: Epoch,
    /// The epochs before, oldest first, each with the last number that its successor shares with it.
    pub past: Vec<PastEpoch>,
}

/// An epoch that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastEpoch {
    /// Its name.
    pub epoch: Epoch,
    /// Up to this number its history and its successor's are the same.
    pub shared: u64,
}

impl ScopeRow {
    /// The row of a scope whose log begins.
    #[must_use]
    pub fn new(scope: Scope, epoch: Epoch) -> Self {
        Self {
            scope: scope.detached(),
            head: 0,
            made: Timestamp::from_millis(i64::MIN),
            removed: 0,
            epoch: epoch.detached(),
            past: Vec::new(),
        }
    }

    /// The version with this number in the current epoch.
    #[must_use]
    pub fn version(&self, seq: u64) -> Version {
        Version {
            epoch: self.epoch.clone(),
            seq,
        }
    }

    /// A version as a number of the current epoch; `None` when it belongs to a history that this log does not
    /// have, or to one that it shares only up to an earlier number.
    #[must_use]
    pub fn resolve(&self, version: &Version) -> Option<u64> {
        let shared = if version.epoch == self.epoch {
            self.head
        } else {
            let at = self
                .past
                .iter()
                .rposition(|past| past.epoch == version.epoch)?;
            self.past[at..].iter().map(|past| past.shared).min()?
        };
        (version.seq <= shared).then_some(version.seq)
    }

    /// Ends the current epoch. Numbers up to `shared` mean the same in the new one.
    pub fn begin_epoch(&mut self, epoch: Epoch, shared: u64) {
        let ended = std::mem::replace(&mut self.epoch, epoch);
        self.past.push(PastEpoch {
            epoch: ended,
            shared,
        });
    }
}

/// A record as the log holds it: its newest change, or the tombstone that is left of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// The record.
    pub key: RecordKey,
    /// Its payload; none when it is deleted.
    pub payload: Option<Payload>,
    /// The format version of the payload.
    pub schema: Schema,
    /// The number of the change.
    pub seq: u64,
    /// The number of the change that brought the record into being; of the remove, if it is gone.
    pub created: u64,
    /// The mutation that made it.
    pub mutation_id: MutationId,
    /// Whose that was.
    pub account: Account,
    /// Whether a merge made the payload something else than what the mutation had sent.
    pub merged: bool,
    /// When the edit was made, by the server's clock; never before its predecessor's.
    pub edited: Timestamp,
    /// When the change was made.
    pub made: Timestamp,
    /// Edits that it, or one that it supersedes, has overwritten; oldest first.
    pub overwritten: Vec<OverwrittenRow>,
    /// Edits of others that a merge has left in the payload, oldest first: whoever overwrites it overwrites them.
    pub included: Vec<IncludedRow>,
}

/// An edit that a record holds merged with a later one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludedRow {
    /// The mutation.
    pub mutation_id: MutationId,
    /// Whose it is.
    pub account: Account,
    /// The number of the change that it was applied as.
    pub seq: u64,
}

/// An edit that was applied and then lost to a concurrent one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OverwrittenRow {
    /// The mutation that lost.
    pub mutation_id: MutationId,
    /// Whose it was.
    pub account: Account,
    /// What the record was by it, with whatever a merge had put to it; none if it was a delete.
    pub payload: Option<Payload>,
    /// The number of the change that won.
    pub by: u64,
    /// When that one was made.
    pub at: Timestamp,
}

impl RecordRow {
    /// The record in an answer.
    #[must_use]
    pub fn to_server_record(&self, scope: &ScopeRow) -> ServerRecord {
        ServerRecord {
            payload: self.payload.clone(),
            schema: self.schema,
            version: Some(scope.version(self.seq)),
        }
    }

    /// The record in a page.
    #[must_use]
    pub fn into_change(self) -> Change {
        Change {
            entity_type: self.key.entity_type,
            entity_id: self.key.entity_id,
            op: self.payload.map_or(ChangeOp::Remove, ChangeOp::Put),
            schema: self.schema,
            seq: Some(self.seq),
            mutation_id: Some(self.mutation_id),
            overwritten: self
                .overwritten
                .into_iter()
                .map(|row| Overwritten {
                    mutation_id: row.mutation_id,
                    account: row.account,
                    payload: row.payload,
                    by: row.by,
                })
                .collect(),
        }
    }

    /// How many bytes of a page the record takes, names aside.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let overwritten = self.overwritten.iter().map(|row| row.payload.as_ref());
        std::iter::once(self.payload.as_ref())
            .chain(overwritten)
            .flatten()
            .map(|payload| payload.len() as u64)
            .sum()
    }
}

/// The final verdict of a mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictRow {
    /// The mutation.
    pub mutation_id: MutationId,
    /// Whose it is.
    pub account: Account,
    /// The record that it names.
    pub key: RecordKey,
    /// What it says, in short; see [`crate::decide::fingerprint`].
    pub fingerprint: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// When that was decided.
    pub at: Timestamp,
}

/// What became of a mutation, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was applied.
    Applied {
        /// The number of the change that it made; the scope's head, if there was nothing to change.
        seq: u64,
        /// Whether a merge made something else of it.
        merged: bool,
    },
    /// It lost to the record of this number; to a record that was gone, if it is the scope's head.
    Conflict {
        /// The number.
        seq: u64,
    },
    /// It will never be accepted.
    Rejected {
        /// Why.
        reason: String,
    },
    /// The account may not write this.
    Forbidden,
}
