//! Histories on real files of SQLite.

use std::sync::Arc;

use async_trait::async_trait;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    store::Store,
};
use sync_sqlite::{Durability, SqliteStore};
use sync_testing::store_suite::Subject;
use tempfile::TempDir;

/// The databases of one history, in a folder that goes with it.
pub(crate) struct SqliteFiles(Result<TempDir, std::io::Error>);

impl SqliteFiles {
    pub(crate) fn new(_seed: u64) -> Self {
        Self(TempDir::new())
    }
}

#[async_trait]
impl Subject for SqliteFiles {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let folder = self.0.as_ref().map_err(|error| {
            StoreError::new(
                StoreErrorKind::Unavailable,
                format!("a folder for a history: {error}"),
            )
        })?;
        // A history ends with its process: what a power cut would do is not its subject.
        let store = SqliteStore::builder(folder.path().join(name))
            .durability(Durability::Process)
            .inline()
            .open()
            .await?;
        Ok(Arc::new(store))
    }
}
