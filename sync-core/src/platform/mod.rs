//! What differs between targets: whether futures are `Send`, and where time and randomness come from.

use std::sync::Arc;

use futures::Stream;

use crate::time::{Clock, Entropy};

/// A boxed future that is `Send` wherever threads are.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type Task<T> = futures::future::BoxFuture<'static, T>;
/// A boxed future that is `Send` wherever threads are.
#[cfg(target_arch = "wasm32")]
pub(crate) type Task<T> = futures::future::LocalBoxFuture<'static, T>;

/// A boxed stream that is `Send` wherever threads are.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type EngineStream<T> = futures::stream::BoxStream<'static, T>;
/// A boxed stream that is `Send` wherever threads are.
#[cfg(target_arch = "wasm32")]
pub(crate) type EngineStream<T> = futures::stream::LocalBoxStream<'static, T>;

#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn boxed_stream<T>(stream: impl Stream<Item = T> + Send + 'static) -> EngineStream<T> {
    futures::StreamExt::boxed(stream)
}

#[cfg(target_arch = "wasm32")]
pub(crate) fn boxed_stream<T>(stream: impl Stream<Item = T> + 'static) -> EngineStream<T> {
    futures::StreamExt::boxed_local(stream)
}

#[cfg(all(feature = "tokio", not(target_arch = "wasm32")))]
mod native;

#[cfg(all(feature = "tokio", not(target_arch = "wasm32")))]
pub use native::{OsEntropy, TokioClock};

#[cfg(all(feature = "browser", target_arch = "wasm32"))]
mod browser;

#[cfg(all(feature = "browser", target_arch = "wasm32"))]
pub use browser::{BrowserClock, BrowserEntropy, Sleep};

/// The clock that an engine takes where the app names none.
#[cfg(all(feature = "tokio", not(target_arch = "wasm32")))]
pub(crate) fn default_clock() -> Option<Arc<dyn Clock>> {
    Some(Arc::new(TokioClock::new()))
}

/// The randomness that an engine takes where the app names none.
#[cfg(all(feature = "tokio", not(target_arch = "wasm32")))]
pub(crate) fn default_entropy() -> Option<Arc<dyn Entropy>> {
    Some(Arc::new(OsEntropy))
}

/// The clock that an engine takes where the app names none.
#[cfg(all(feature = "browser", target_arch = "wasm32"))]
pub(crate) fn default_clock() -> Option<Arc<dyn Clock>> {
    Some(Arc::new(BrowserClock::new()))
}

/// The randomness that an engine takes where the app names none.
#[cfg(all(feature = "browser", target_arch = "wasm32"))]
pub(crate) fn default_entropy() -> Option<Arc<dyn Entropy>> {
    Some(Arc::new(BrowserEntropy))
}

/// The clock that an engine takes where the app names none.
#[cfg(not(any(
    all(feature = "tokio", not(target_arch = "wasm32")),
    all(feature = "browser", target_arch = "wasm32")
)))]
pub(crate) fn default_clock() -> Option<Arc<dyn Clock>> {
    None
}

/// The randomness that an engine takes where the app names none.
#[cfg(not(any(
    all(feature = "tokio", not(target_arch = "wasm32")),
    all(feature = "browser", target_arch = "wasm32")
)))]
pub(crate) fn default_entropy() -> Option<Arc<dyn Entropy>> {
    None
}
