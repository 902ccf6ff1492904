//! Opening a store, and its settings.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use sync_core::{
    coordination::Local,
    error::{StoreError, StoreErrorKind},
    model::EntityType,
};

use crate::{
    database::Database,
    error::{Attempt, Failure},
    projection::{Projection, Projections},
    schema,
    store::{Shared, SqliteStore},
    worker::Worker,
};

/// Which calls a power cut cannot undo.
///
/// Whatever is chosen: a crash of the process undoes nothing, a call is never half there, and what a power cut
/// undoes is the newest calls, whole, in the order of their age. Taking a batch is always on the disk before it is
/// sent, and so is everything before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Every call waits for the disk. It costs one `fsync` a pulled page.
    Full,
    /// What the user did waits for the disk: enqueue, retry, discard, wipe, and the first binding of an account.
    /// A pulled page or an answer that is lost is asked for again.
    #[default]
    Edits,
    /// Only taking a batch waits for the disk. A power cut may lose the newest edits.
    Process,
}

/// The settings of a store; [`Builder::open`] opens it.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `open`"]
pub struct Builder {
    place: Place,
    inline: bool,
    durability: Durability,
    busy_timeout: Duration,
    cache: u64,
    checkpoint: u32,
    pub(crate) lease: Duration,
    pub(crate) notice_interval: Duration,
    projections: Projections,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Memory,
}

impl Builder {
    pub(crate) fn file(path: &Path) -> Self {
        Self::new(Place::File(path.to_owned()))
    }

    pub(crate) fn memory() -> Self {
        Self::new(Place::Memory)
    }

    fn new(place: Place) -> Self {
        Self {
            place,
            inline: false,
            durability: Durability::default(),
            busy_timeout: Duration::from_secs(5),
            cache: 32 << 20,
            checkpoint: 4_000,
            lease: Duration::from_secs(6),
            notice_interval: Duration::from_millis(250),
            projections: Projections::default(),
        }
    }

    /// Which calls a power cut cannot undo; [`Durability::Edits`] if not set.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How long a call waits for another process to release the write lock before it fails as `Busy`; 5 s if not
    /// set. Within a process nobody waits: the handles of a store share its connections.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// The most memory for the pages that the writing connection keeps, in bytes; 32 MiB if not set. A first sync
    /// with random ids is fastest when the index of the records fits in.
    pub fn cache(mut self, bytes: u64) -> Self {
        self.cache = bytes;
        self
    }

    /// How long the write-ahead log grows before it is copied into the database, in pages of 4 KiB; 4,000 if not
    /// set. The fewer copies, the less writing; the log file may reach about this size.
    pub fn checkpoint(mut self, pages: u32) -> Self {
        self.checkpoint = pages;
        self
    }

    /// For how long an engine leads without renewing its lease; 6 s if not set. It renews every third of this. When
    /// its process is killed, another takes the lead after this time.
    pub fn lease(mut self, term: Duration) -> Self {
        self.lease = term;
        self
    }

    /// How often an engine looks for what other processes have done to the file, and whether it may lead; 250 ms if
    /// not set. Within a store, notices come at once.
    pub fn notice_interval(mut self, interval: Duration) -> Self {
        self.notice_interval = interval;
        self
    }

    /// Keeps tables of the app's own in step with the records of a type. All processes on a file should register
    /// the same.
    pub fn projection(
        mut self,
        entity_type: impl Into<EntityType>,
        projection: impl Projection,
    ) -> Self {
        self.projections
            .add(entity_type.into(), Arc::new(projection));
        self
    }

    /// Runs every call inside the poll that asks for it, on one connection and with no thread: for simulations,
    /// where the order of things must depend on nothing but a seed. A call then blocks its executor.
    pub fn inline(mut self) -> Self {
        self.inline = true;
        self
    }

    /// Opens the database, makes or migrates its tables, and returns the store.
    ///
    /// # Errors
    /// `NewerFormat`; `Corrupt`, when the file is no SQLite database or is damaged; `Unavailable`, when it cannot
    /// be opened or written; `Busy`.
    pub async fn open(self) -> Result<SqliteStore, StoreError> {
        let settings = self.clone();
        let open = move || settings.open_writer();
        let writer = if self.inline {
            Worker::inline(open)?
        } else {
            Worker::spawn("sync-sqlite", open).await?
        };
        // A database in memory belongs to one connection.
        let reader = match &self.place {
            Place::File(_) if !self.inline => {
                let settings = self.clone();
                let open = move || settings.open_reader();
                Some(Worker::spawn("sync-sqlite-read", open).await?)
            }
            _ => None,
        };
        let instance = writer.run(|database| database.name()).await?;
        Ok(SqliteStore::new(Shared {
            instance,
            writer,
            reader,
            settings: self,
            local: Local::new(),
        }))
    }

    fn open_writer(&self) -> Result<Database, StoreError> {
        let what = self.opening();
        let conn = self.connect(OpenFlags::default());
        let mut database = conn
            .and_then(|conn| {
                self.prepare_writer(&conn)?;
                Ok(self.database(conn))
            })
            .map_err(|failure| failure.during(&what))?;
        database.replay()?;
        Ok(database)
    }

    fn database(&self, conn: Connection) -> Database {
        Database::new(conn, self.durability, self.projections.clone())
    }

    pub(crate) fn is_file(&self) -> bool {
        self.place != Place::Memory
    }

    fn prepare_writer(&self, conn: &Connection) -> Attempt<()> {
        enter_wal(conn)?;
        let cache = i64::try_from(self.cache / 1024).unwrap_or(i64::MAX);
        conn.pragma_update(None, "cache_size", -cache)?;
        conn.pragma_update(None, "wal_autocheckpoint", self.checkpoint)?;
        // A log that one long transaction has made large does not stay so.
        let log = i64::from(self.checkpoint) * 4096 * 2;
        conn.query_row(
            &format!("PRAGMA journal_size_limit = {log}"),
            [],
            |_| Ok(()),
        )?;
        // Where a plain `fsync` leaves data in the drive's cache, as on Apple's systems, ask for more.
        conn.pragma_update(None, "fullfsync", true)?;
        // For the tables of projections; those of the store have none.
        conn.pragma_update(None, "foreign_keys", !self.projections.is_empty())?;
        schema::migrate(conn)
    }

    fn open_reader(&self) -> Result<Database, StoreError> {
        let conn = self.connect(OpenFlags::default());
        conn.and_then(|conn| {
            conn.pragma_update(None, "query_only", true)?;
            Ok(self.database(conn))
        })
        .map_err(|failure| failure.during(&self.opening()))
    }

    /// A connection of the app's own, to read with.
    pub(crate) fn open_read_only(&self) -> Result<Connection, StoreError> {
        if !self.is_file() {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                "a database in memory has no second connection; open a file instead",
            ));
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        self.connect(flags)
            .map_err(|failure| failure.during(&self.opening()))
    }

    fn connect(&self, flags: OpenFlags) -> Attempt<Connection> {
        let conn = match &self.place {
            Place::File(path) => Connection::open_with_flags(path, flags)?,
            Place::Memory => Connection::open_in_memory_with_flags(flags)?,
        };
        conn.busy_timeout(self.busy_timeout)?;
        // Every statement of a call is prepared once; the longest-used set of them fits.
        conn.set_prepared_statement_cache_capacity(96);
        Ok(conn)
    }

    fn opening(&self) -> String {
        match &self.place {
            Place::File(path) => format!("opening {}", path.display()),
            Place::Memory => "opening a database in memory".to_owned(),
        }
    }
}

/// Sets the journal to a write-ahead log, so that readers and the writer do not wait for each other.
fn enter_wal(conn: &Connection) -> Attempt<()> {
    // Two processes that open a new file at once find it locked without the usual wait.
    for _ in 0..100 {
        let mode: Result<String, _> =
            conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0));
        match mode.map_err(Failure::from) {
            Ok(mode) => {
                if mode != "wal" && mode != "memory" {
                    tracing::warn!(%mode, "no write-ahead log here: reads wait for writes");
                }
                return Ok(());
            }
            Err(failure) if failure.is_busy() => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(failure) => return Err(failure),
        }
    }
    Err(StoreError::new(
        StoreErrorKind::Busy,
        "another process keeps the file from being set up",
    )
    .into())
}
