//! The store suite of sync-testing, as the author of any store runs it, over each way to open this one.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use sync_core::{error::StoreError, store::Store};
use sync_sqlite::{Builder, SqliteStore};
use sync_testing::store_suite::Subject;
use tempfile::TempDir;

/// Databases as files of a directory, which goes with this.
struct Files {
    directory: TempDir,
    settings: fn(Builder) -> Builder,
}

impl Files {
    fn new(settings: fn(Builder) -> Builder) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            settings,
        }
    }
}

#[async_trait]
impl Subject for Files {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let path = self.directory.path().join(name);
        let store = (self.settings)(SqliteStore::builder(path)).open().await?;
        Ok(Arc::new(store))
    }
}

/// Databases in memory: each is kept, since it goes with its last handle.
#[derive(Default)]
struct Memory {
    stores: Mutex<HashMap<String, SqliteStore>>,
}

#[async_trait]
impl Subject for Memory {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let kept = self.stores.lock().unwrap().get(name).cloned();
        let store = match kept {
            Some(store) => store,
            None => SqliteStore::in_memory().open().await?,
        };
        let mut stores = self.stores.lock().unwrap();
        stores.insert(name.to_owned(), store.clone());
        Ok(Arc::new(store))
    }
}

mod file {
    sync_testing::store_suite!(super::Files::new(|settings| settings));
}

mod file_inline {
    sync_testing::store_suite!(super::Files::new(|settings| settings.inline()));
}

mod memory {
    sync_testing::store_suite!(super::Memory::default());
}
