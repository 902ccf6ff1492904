//! The change log and the table of members on embedded SQLite.

mod database;
mod members;
mod rows;
mod runner;
mod schema;
mod statements;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use rusqlite::ErrorCode;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{EntityId, EntityType, Epoch, Scope},
    time::Timestamp,
    transport::Answer,
};

pub use members::SqliteMembers;

use self::{database::Database, runner::Runner};
use super::{
    BatchRequest, ChangeLog, Compacted, NewEpoch, ReadOutcome, ReadRequest, Retention, ScopeRow,
};

/// A change log in a SQLite file. Clones share it.
///
/// It runs on threads of its own, one that writes and some that read; dropping the future of a call does not stop
/// what has begun. Several processes may open the same file.
#[derive(Clone, Debug)]
pub struct SqliteLog {
    runner: Arc<Runner>,
}

/// What a call's return means when the power fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// What was answered is on the disk (`synchronous = full`). Clients forget what they have been told is applied
    /// and have pulled, so that a server which loses it needs a new epoch.
    #[default]
    Full,
    /// What was answered survives a crash of the program; a power failure may take the last moments with it
    /// (`synchronous = normal`). Faster, and for data that can be lost.
    Normal,
}

impl SqliteLog {
    /// Opens the file, makes it where there is none, and brings it to this version of the library.
    ///
    /// # Errors
    /// `NewerFormat`, when a newer version has written it; `Invalid`, when it is something else than a change
    /// log; those of opening.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_with(path, Durability::Full)
    }

    /// As [`SqliteLog::open`], with another durability.
    ///
    /// # Errors
    /// As [`SqliteLog::open`].
    pub fn open_with(path: impl AsRef<Path>, durability: Durability) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let writer = Database::open(path, durability)?;
        let readers = (0..READERS)
            .map(|_| Database::reader(path))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            runner: Arc::new(Runner::threads(writer, readers)?),
        })
    }

    /// A log in memory, on a thread of its own: for tests.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn in_memory() -> Result<Self, StoreError> {
        Ok(Self {
            runner: Arc::new(Runner::threads(Database::in_memory()?, Vec::new())?),
        })
    }

    /// Opens the file for use on the callers' own threads: each call blocks until it is done. For simulations,
    /// which have one thread.
    ///
    /// # Errors
    /// As [`SqliteLog::open`].
    pub fn open_inline(path: impl AsRef<Path>, durability: Durability) -> Result<Self, StoreError> {
        Ok(Self {
            runner: Arc::new(Runner::inline(Database::open(path.as_ref(), durability)?)),
        })
    }

    /// The table of members in the same file.
    #[must_use]
    pub fn members(&self) -> SqliteMembers {
        SqliteMembers::new(Arc::clone(&self.runner))
    }
}

/// Pulls are many and short; more readers than this wait for the disk and not for one another.
const READERS: usize = 4;

#[async_trait]
impl ChangeLog for SqliteLog {
    async fn decide(&self, batch: BatchRequest) -> Result<Vec<Answer>, StoreError> {
        self.runner.write(move |db| db.decide(&batch)).await
    }

    async fn read(&self, request: ReadRequest) -> Result<ReadOutcome, StoreError> {
        self.runner.read(move |db| db.read(&request)).await
    }

    async fn scope(&self, scope: Scope) -> Result<Option<ScopeRow>, StoreError> {
        self.runner.read(move |db| db.scope(&scope)).await
    }

    async fn open(&self, scope: Scope, epoch: Epoch) -> Result<ScopeRow, StoreError> {
        self.runner
            .write(move |db| db.open_scope(scope, epoch))
            .await
    }

    async fn new_epoch(&self, request: NewEpoch) -> Result<(), StoreError> {
        self.runner.write(move |db| db.new_epoch(&request)).await
    }

    async fn compact(&self, now: Timestamp, retention: Retention) -> Result<Compacted, StoreError> {
        self.runner
            .write(move |db| db.compact(now, retention))
            .await
    }

    async fn locate(
        &self,
        entity_type: EntityType,
        entity_id: EntityId,
    ) -> Result<Vec<Scope>, StoreError> {
        let work = move |db: &mut Database| db.locate(&entity_type, &entity_id);
        self.runner.read(work).await
    }
}

/// Sorts SQLite's errors by what they mean for the caller.
fn failed(doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| {
        let kind = match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::Busy,
            Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreErrorKind::Corrupt,
            Some(_) => StoreErrorKind::Unavailable,
            // A value that is not what the table's declaration says.
            None => StoreErrorKind::Corrupt,
        };
        StoreError::new(kind, doing).with_source(error)
    }
}
