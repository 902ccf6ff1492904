//! Errors that say which call they are from.

use std::{error::Error, fmt, sync::Arc};

use async_trait::async_trait;
use sync_core::{error::StoreError, store::Store};

use crate::layered::{Layer, Next, StoreCall, layered};

/// The store under test; its errors name the call that failed.
pub(crate) struct Named {
    inner: Arc<dyn Store>,
    layer: Names,
}

struct Names;

impl Named {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Self {
        let layer = Names;
        Self { inner, layer }
    }
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

layered! { Named }

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Layer for Names {
    async fn around<T: Send>(&self, _: StoreCall, next: Next<'_, T>) -> Result<T, StoreError> {
        next.await
    }

    fn last<'a, T: Send + 'a>(&'a self, method: &'static str, next: Next<'a, T>) -> Next<'a, T> {
        Box::pin(async move { next.await.map_err(|error| named(method, error)) })
    }
}

/// The error with the name of what has failed; its kind is the same.
pub(crate) fn named(what: &'static str, error: StoreError) -> StoreError {
    let kind = error.kind().clone();
    StoreError::new(kind, what).with_source(Failed { what, error })
}

/// What has failed, and why: with all causes, since nobody but the author of the store reads it.
pub(crate) fn told(error: &StoreError) -> String {
    let failed = error
        .source()
        .and_then(|source| source.downcast_ref::<Failed>());
    let error = failed.map_or(error, |failed| &failed.error);
    let mut text = match failed {
        Some(Failed { what, .. }) => format!("{what} failed: {error}"),
        None => format!("a call failed: {error}"),
    };
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[derive(Debug)]
struct Failed {
    what: &'static str,
    error: StoreError,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.what)
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures::executor::block_on;
    use sync_core::{
        error::StoreErrorKind,
        store::{CursorStore, MemoryStore},
    };

    use super::*;
    use crate::{FaultyStore, StoreFault};

    #[test]
    fn an_error_names_its_call_and_keeps_its_kind() {
        let faulty = FaultyStore::new(MemoryStore::new());
        faulty.fail_next(StoreCall::Bind, StoreFault::Error(StoreErrorKind::Busy));
        let store = Named::new(Arc::new(faulty));
        let error = block_on(store.bind("ann".into())).unwrap_err();
        assert_eq!(error.kind(), &StoreErrorKind::Busy);
        let told = told(&error);
        assert!(
            told.starts_with("bind failed: the database is locked"),
            "{told}"
        );
    }

    #[test]
    fn all_causes_of_an_error_are_told() {
        let cause = io::Error::other("no such table: meta");
        let error = StoreError::new(StoreErrorKind::Corrupt, "the meta row").with_source(cause);
        let error = named("opening the database", error);
        assert_eq!(
            told(&error),
            "opening the database failed: stored data cannot be read: the meta row: no such table: meta"
        );
    }
}
