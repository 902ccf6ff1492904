//! Tables of the app's own that follow the records.

use std::{collections::BTreeMap, error::Error, fmt, sync::Arc};

use rusqlite::Connection;
use sync_core::{
    model::{EntityType, RecordKey},
    store::RecordRow,
};

/// Why a projection could not take a record: the app's own words, or an SQLite error.
pub type ProjectionError = Box<dyn Error + Send + Sync>;

/// Keeps tables of the app's own in step with the records of one entity type.
///
/// It runs inside the store's transaction, for pulled changes and local edits alike: what a table holds and what
/// the records hold become visible together. It is given each record's new view, so that it needs no state.
///
/// Foreign keys are checked when the transaction commits: a child may come before its parent in a page. A record
/// whose projection fails, or whose row refers to one that is not there, is left out of the tables (what its
/// projection had done is rolled back), is stored and synced all the same, and is tried again with each later page;
/// see [`crate::SqliteStore::unprojected`].
///
/// Each method must be quick, must not begin or end a transaction, and must write to its own tables only.
///
/// ```
/// use sync_core::{model::RecordKey, store::RecordRow};
/// use sync_sqlite::{
///     Projection, ProjectionError, SqliteStore,
///     rusqlite::{Connection, params},
/// };
///
/// #[derive(Debug)]
/// struct Feeds;
///
/// #[derive(serde::Deserialize)]
/// struct Feed {
///     ml: i64,
/// }
///
/// impl Projection for Feeds {
///     fn version(&self) -> u32 {
///         1
///     }
///
///     fn prepare(&self, tables: &Connection) -> Result<(), ProjectionError> {
///         Ok(tables.execute_batch(
///             "DROP TABLE IF EXISTS feeds;
///              CREATE TABLE feeds (id TEXT PRIMARY KEY, ml INTEGER NOT NULL)",
///         )?)
///     }
///
///     fn put(&self, tables: &Connection, record: &RecordRow) -> Result<(), ProjectionError> {
///         let feed: Feed = record.payload.decode()?;
///         tables
///             .prepare_cached("INSERT OR REPLACE INTO feeds VALUES (?1, ?2)")?
///             .execute(params![record.key.entity_id.as_str(), feed.ml])?;
///         Ok(())
///     }
///
///     fn remove(&self, tables: &Connection, key: &RecordKey) -> Result<(), ProjectionError> {
///         tables.execute("DELETE FROM feeds WHERE id = ?1", [key.entity_id.as_str()])?;
///         Ok(())
///     }
/// }
///
/// let builder = SqliteStore::builder("app.db").projection("feed_log", Feeds);
/// # let _ = builder;
/// ```
pub trait Projection: Send + Sync + fmt::Debug + 'static {
    /// The version of the tables and of what is put in them. When it is another than the one that the database
    /// was left with, [`Projection::prepare`] is called and the stored records are put again.
    fn version(&self) -> u32;

    /// Makes the tables, empty: whatever an older version had made is dropped or emptied here.
    ///
    /// # Errors
    /// The store then does not open.
    fn prepare(&self, tables: &Connection) -> Result<(), ProjectionError>;

    /// Puts a record, whether it was there before or not.
    ///
    /// The payload is as it is stored, in the format version `record.schema`: an entity's `upgrade` is not applied.
    ///
    /// # Errors
    /// The record is then left out.
    fn put(&self, tables: &Connection, record: &RecordRow) -> Result<(), ProjectionError>;

    /// Removes a record; that it is not there is no error.
    ///
    /// # Errors
    /// What the tables hold of it then stays for now.
    fn remove(&self, tables: &Connection, key: &RecordKey) -> Result<(), ProjectionError>;
}

/// A record that the app's tables do not show as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unprojected {
    /// The record.
    pub key: RecordKey,
    /// Why, in the words of the projection or of SQLite.
    pub error: String,
}

/// The projections of a store.
#[derive(Clone, Debug, Default)]
pub(crate) struct Projections {
    by_type: Arc<BTreeMap<EntityType, Arc<dyn Projection>>>,
}

impl Projections {
    pub(crate) fn add(&mut self, entity_type: EntityType, projection: Arc<dyn Projection>) {
        Arc::make_mut(&mut self.by_type).insert(entity_type, projection);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_type.is_empty()
    }

    pub(crate) fn get(&self, entity_type: &EntityType) -> Option<&Arc<dyn Projection>> {
        self.by_type.get(entity_type)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&EntityType, &Arc<dyn Projection>)> {
        self.by_type.iter()
    }
}
