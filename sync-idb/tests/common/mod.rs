//! What the tests of a window and of a worker share.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use sync_core::{error::StoreError, store::Store};
use sync_idb::{Builder, IdbStore};
use sync_testing::store_suite::Subject;

/// A name that no other database of this run has.
pub(crate) fn fresh(name: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let run = js_sys::Math::random().to_bits();
    format!("{name}-{run:x}-{n}")
}

/// The store under test: each opening is a tab of its own, as far as IndexedDB can tell.
pub(crate) struct Tabs {
    run: String,
    settings: fn(Builder) -> Builder,
}

impl Tabs {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: fn(Builder) -> Builder) -> Self {
        Self {
            run: fresh("suite"),
            settings,
        }
    }
}

#[async_trait(?Send)]
impl Subject for Tabs {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let builder = IdbStore::builder(format!("{}-{name}", self.run));
        Ok(Arc::new((self.settings)(builder).open().await?))
    }
}
