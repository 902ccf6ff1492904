//! How the suite gets at the store under test.

use std::sync::Arc;

use async_trait::async_trait;
use sync_core::{error::StoreError, store::Store};

/// The store under test: how its databases are opened.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Subject: Send + Sync {
    /// Opens the database of this name, and makes it if there is none.
    ///
    /// A subject starts with no databases. A case opens one or several, names them with ASCII letters, digits, `_`
    /// and `-`, and may open one again: while handles on it are open, as a second tab would, and after they were
    /// dropped without a farewell, as after a crash. A database that cannot outlive its handle is kept open by the
    /// subject, and each call returns a clone of it.
    ///
    /// # Errors
    /// Those of the store; they fail the case.
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError>;
}
