//! The change log: what the server keeps, and the trait of a database that keeps it.
//!
//! A log decides nothing. It loads the rows that a decision needs, hands them to the pure functions of
//! [`crate::decide`], and stores what these return, all in one transaction.

mod memory;
mod rows;
#[cfg(feature = "sqlite")]
pub mod sqlite;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{Account, Cursor, EntityId, EntityType, Epoch, Page, Scope},
    time::Timestamp,
    transport::Answer,
};

pub use memory::{Backup, MemoryLog};
pub use rows::{IncludedRow, Outcome, OverwrittenRow, PastEpoch, RecordRow, ScopeRow, VerdictRow};

use crate::decide::{Incoming, Rules};

/// Keeps, for each scope, a log with one gap-free sequence in commit order.
///
/// Each call is atomic: it happens whole or leaves no trace, also when its future is dropped. The sequence is
/// taken from the scope's own row inside the transaction that appends, with that row locked, so that a reader
/// can never see a later change before an earlier one.
#[async_trait]
pub trait ChangeLog: Send + Sync + fmt::Debug {
    /// Decides mutations in their order, and returns one answer each once all of them are durable.
    ///
    /// Each mutation is atomic on its own: [`crate::decide::Batch`] says what to store, and when storing that
    /// fails, only this mutation (and the rest of its scope) is answered `retry`. Sending a batch again is safe:
    /// verdicts are stored with what they decide.
    ///
    /// # Errors
    /// Those of the database; nothing is known about any of the mutations then.
    async fn decide(&self, batch: BatchRequest) -> Result<Vec<Answer>, StoreError>;

    /// Reads a page, with the scope's row and its changes seen at one moment.
    ///
    /// # Errors
    /// Those of reading.
    async fn read(&self, request: ReadRequest) -> Result<ReadOutcome, StoreError>;

    /// The row of a scope, if it has one.
    ///
    /// # Errors
    /// Those of reading.
    async fn scope(&self, scope: Scope) -> Result<Option<ScopeRow>, StoreError>;

    /// Makes sure that a scope has a row, and returns it; a new one begins in this epoch. Safe to repeat.
    ///
    /// # Errors
    /// Those of writing.
    async fn open(&self, scope: Scope, epoch: Epoch) -> Result<ScopeRow, StoreError>;

    /// Begins a new epoch. Repeating it begins another.
    ///
    /// # Errors
    /// Those of writing.
    async fn new_epoch(&self, request: NewEpoch) -> Result<(), StoreError>;

    /// Removes tombstones and verdicts that are older than their retention. Safe to repeat.
    ///
    /// # Errors
    /// Those of writing.
    async fn compact(&self, now: Timestamp, retention: Retention) -> Result<Compacted, StoreError>;

    /// The scopes that hold a live record of this type and id: for clients whose deletes do not say it.
    ///
    /// # Errors
    /// Those of reading.
    async fn locate(
        &self,
        entity_type: EntityType,
        entity_id: EntityId,
    ) -> Result<Vec<Scope>, StoreError>;
}

/// Mutations of one push, to be decided.
#[derive(Clone, Debug)]
pub struct BatchRequest {
    /// Whose they are.
    pub account: Account,
    /// When they were received.
    pub received: Timestamp,
    /// The client's cursor of each scope that it named.
    pub cursors: Vec<(Scope, Option<Cursor>)>,
    /// The mutations, in order.
    pub mutations: Vec<Incoming>,
    /// How to decide.
    pub rules: Arc<Rules>,
    /// The epoch of a scope's log that this batch begins.
    pub fresh_epoch: Epoch,
}

/// Which page to read.
#[derive(Clone, Debug)]
pub struct ReadRequest {
    /// The scope.
    pub scope: Scope,
    /// Where the client stands.
    pub cursor: Option<Cursor>,
    /// The most changes; at least 1.
    pub limit: u32,
    /// The most bytes of payload; one change is returned even if it alone is larger.
    pub max_bytes: u64,
}

/// What reading a page came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadOutcome {
    /// A page.
    Page(LogPage),
    /// The scope has no row.
    NoScope,
    /// The cursor is of no use any more.
    Expired,
    /// The cursor is beyond the head of this epoch, which it names.
    Beyond(Epoch),
}

/// A page as it was read: its records, and what they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPage {
    /// The records, in the order of their numbers.
    pub records: Vec<RecordRow>,
    /// The position before them.
    pub after: u64,
    /// The position scanned.
    pub through: u64,
    /// The position after them.
    pub next: Cursor,
    /// Whether there is more after it.
    pub has_more: bool,
    /// The history that the numbers belong to.
    pub epoch: Epoch,
}

impl From<LogPage> for Page {
    fn from(page: LogPage) -> Self {
        Self {
            changes: page
                .records
                .into_iter()
                .map(RecordRow::into_change)
                .collect(),
            next: page.next,
            has_more: page.has_more,
            through: Some(page.through),
            epoch: Some(page.epoch),
            verdict_retention: None,
        }
    }
}

/// A new epoch to begin.
#[derive(Clone, Debug)]
pub struct NewEpoch {
    /// Of which scopes.
    pub of: EpochOf,
    /// Its name, which no scope has had before.
    pub epoch: Epoch,
}

/// Which scopes a new epoch is begun for, and what it shares with the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EpochOf {
    /// All scopes: after a restore, before anything is appended. Everything that is there is shared.
    All,
    /// One scope, if it is still in this epoch: its log turned out to be shorter than its clients know. What has
    /// been appended since it was cut is not known, so nothing is shared.
    Broken(Scope, Epoch),
}

/// How long things are kept that have no use for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    tombstones: Duration,
    verdicts: Duration,
}

impl Retention {
    /// Tombstones (and marks of overwritten edits) are kept for the first, verdicts for the second; or for as
    /// long as tombstones, if that is longer: a verdict forgotten earlier could bring a deleted record back.
    #[must_use]
    pub fn new(tombstones: Duration, verdicts: Duration) -> Self {
        Self {
            tombstones,
            verdicts: verdicts.max(tombstones),
        }
    }

    /// How long tombstones are kept.
    #[must_use]
    pub fn tombstones(&self) -> Duration {
        self.tombstones
    }

    /// How long verdicts are kept.
    #[must_use]
    pub fn verdicts(&self) -> Duration {
        self.verdicts
    }

    /// What was made before this is no longer kept.
    pub(crate) fn cut(now: Timestamp, kept: Duration) -> Timestamp {
        let kept = i64::try_from(kept.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(now.as_millis().saturating_sub(kept))
    }
}

impl Default for Retention {
    /// 90 days for both: a device may be off for a season and still go on from its cursor.
    fn default() -> Self {
        let days_90 = Duration::from_secs(90 * 24 * 60 * 60);
        Self::new(days_90, days_90)
    }
}

/// What a compaction removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Tombstones.
    pub tombstones: u64,
    /// Verdicts.
    pub verdicts: u64,
}
