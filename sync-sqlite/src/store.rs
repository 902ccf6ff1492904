//! The roles: each method runs one call of [`Database`] where it belongs.

use std::{fmt, path::Path, sync::Arc};

use async_trait::async_trait;
use sync_core::{
    coordination::{Leadership, Local, Peers},
    error::StoreError,
    model::{Account, EntityType, MutationId, RecordKey, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, Coordination, Counts,
        CursorStore, EnqueueRequest, Enqueued, Entry, EntryFilter, Fence, ListRequest, Outbox,
        Purged, RecordRow, Records, Revoked, ScopeRow, SettleReport, SettleRequest, Stamp,
        SweepOutcome, TakeRequest, Taken, Tick, Touched,
    },
    time::Timestamp,
};

use crate::{
    builder::Builder,
    database::{Database, Rows},
    error::Attempt,
    lease::FileLeadership,
    peers::FilePeers,
    projection::Unprojected,
    worker::Worker,
};

/// A store on an SQLite database.
///
/// Clones share one database and its connections: one that writes, and one that reads and never waits for it.
/// The connections close when the last clone goes, or with [`SqliteStore::close`]. Other stores, in this process
/// or another, may have the same file open.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) writer: Worker,
    pub(crate) reader: Option<Worker>,
    pub(crate) settings: Builder,
    pub(crate) local: Local,
    /// What names this store among all those on its database.
    pub(crate) instance: Arc<str>,
}

impl SqliteStore {
    /// The settings of a store on a file, which need not exist yet; its directory must.
    pub fn builder(path: impl AsRef<Path>) -> Builder {
        Builder::file(path.as_ref())
    }

    /// The settings of a store in memory. It goes with the last clone.
    pub fn in_memory() -> Builder {
        Builder::memory()
    }

    /// Opens a store on a file with the default settings.
    ///
    /// # Errors
    /// Those of [`Builder::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::builder(path).open().await
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// A connection of the app's own to the same file, to query the views with plain SQL. It cannot write, and it
    /// never waits for the store; a read transaction that stays open keeps the log from being shortened.
    ///
    /// # Errors
    /// `Invalid` for a store in memory, `Unavailable`.
    pub fn read_only(&self) -> Result<rusqlite::Connection, StoreError> {
        self.shared.settings.open_read_only()
    }

    /// The records that the app's tables do not show as they are, those that were tried longest ago first.
    ///
    /// # Errors
    /// Those of reading.
    pub async fn unprojected(&self) -> Result<Vec<Unprojected>, StoreError> {
        self.read("listing records left out", |rows| rows.unprojected(-1))
            .await
    }

    /// Closes the database for all clones, after the calls under way, and returns when its files are released.
    /// Calls made later fail as `Unavailable`.
    pub async fn close(self) {
        if let Some(reader) = &self.shared.reader {
            reader.close().await;
        }
        self.shared.writer.close().await;
    }

    async fn write<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.shared.writer.run(call).await
    }

    async fn read<T: Send + 'static>(
        &self,
        what: &'static str,
        call: impl FnOnce(&Rows<'_>) -> Attempt<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let worker = self.shared.reader.as_ref().unwrap_or(&self.shared.writer);
        worker.run(move |database| database.read(what, call)).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("settings", &self.shared.settings)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn enqueue(&self, request: EnqueueRequest) -> Result<Vec<Enqueued>, StoreError> {
        self.write(move |db| db.enqueue(&request)).await
    }

    async fn take(&self, request: TakeRequest) -> Result<Taken, StoreError> {
        self.write(move |db| db.take(&request)).await
    }

    async fn settle(&self, request: SettleRequest) -> Result<SettleReport, StoreError> {
        self.write(move |db| db.settle(&request)).await
    }

    async fn entries(&self, filter: EntryFilter) -> Result<Vec<Entry>, StoreError> {
        self.read("listing entries", move |rows| rows.entries(&filter))
            .await
    }

    async fn retry(
        &self,
        key: RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError> {
        self.write(move |db| db.retry(&key, stamp)).await
    }

    async fn discard(&self, key: RecordKey) -> Result<(Vec<Entry>, Touched), StoreError> {
        self.write(move |db| db.discard(&key)).await
    }

    async fn counts(&self, scope: Option<Scope>) -> Result<Counts, StoreError> {
        self.read("counting entries", move |rows| rows.counts(scope.as_ref()))
            .await
    }
}

#[async_trait]
impl CursorStore for SqliteStore {
    async fn bind(&self, account: Account) -> Result<(), StoreError> {
        self.write(move |db| db.bind(&account)).await
    }

    async fn lead(&self, account: Account) -> Result<Fence, StoreError> {
        self.write(move |db| db.lead(&account)).await
    }

    async fn scope(&self, scope: Scope) -> Result<(ScopeRow, Tick), StoreError> {
        self.read("reading a scope", move |rows| {
            Ok((rows.scope(&scope)?, rows.tick()?))
        })
        .await
    }

    async fn scopes(&self) -> Result<Vec<ScopeRow>, StoreError> {
        self.read("listing scopes", |rows| rows.scopes()).await
    }
}

#[async_trait]
impl ChangeApplier for SqliteStore {
    async fn apply(&self, request: ApplyRequest) -> Result<ApplyOutcome, StoreError> {
        self.write(move |db| db.apply(&request)).await
    }

    async fn resync(
        &self,
        scope: Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        self.write(move |db| db.resync(&scope, new_epoch, fence))
            .await
    }

    async fn sweep(
        &self,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        self.write(move |db| db.sweep(&scope, limit, fence)).await
    }

    async fn purge(&self, scope: Scope, at: Timestamp, fence: Fence) -> Result<Purged, StoreError> {
        self.write(move |db| db.purge(&scope, at, fence)).await
    }

    async fn wipe(&self, force: bool) -> Result<Touched, StoreError> {
        self.write(move |db| db.wipe(force)).await
    }
}

#[async_trait]
impl Records for SqliteStore {
    async fn get(&self, key: RecordKey) -> Result<Option<RecordRow>, StoreError> {
        self.read("reading a record", move |rows| rows.get(key))
            .await
    }

    async fn list(&self, request: ListRequest) -> Result<Vec<RecordRow>, StoreError> {
        self.read("listing records", move |rows| rows.list(&request))
            .await
    }

    async fn count(
        &self,
        scope: Scope,
        entity_type: Option<EntityType>,
    ) -> Result<u64, StoreError> {
        self.read("counting records", move |rows| {
            rows.count(&scope, entity_type.as_ref())
        })
        .await
    }
}

#[async_trait]
impl Conflicts for SqliteStore {
    async fn conflicts(&self, scope: Option<Scope>) -> Result<Vec<Conflict>, StoreError> {
        self.read("listing conflicts", move |rows| {
            rows.conflicts(scope.as_ref())
        })
        .await
    }

    async fn acknowledge_conflicts(&self, ids: Vec<MutationId>) -> Result<Touched, StoreError> {
        self.write(move |db| db.acknowledge_conflicts(&ids)).await
    }

    async fn revoked(&self) -> Result<Vec<Revoked>, StoreError> {
        self.read("listing revoked mutations", |rows| rows.revoked())
            .await
    }

    async fn acknowledge_revoked(&self, ids: Vec<MutationId>) -> Result<(), StoreError> {
        self.write(move |db| db.acknowledge_revoked(&ids)).await
    }
}

impl Coordination for SqliteStore {
    fn leadership(&self) -> Arc<dyn Leadership> {
        if self.shared.settings.is_file() {
            Arc::new(FileLeadership::new(Arc::clone(&self.shared)))
        } else {
            Arc::new(self.shared.local.clone())
        }
    }

    fn peers(&self) -> Arc<dyn Peers> {
        if self.shared.settings.is_file() {
            Arc::new(FilePeers::new(Arc::clone(&self.shared)))
        } else {
            Arc::new(self.shared.local.clone())
        }
    }
}
