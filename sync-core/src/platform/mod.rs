//! What differs between targets: whether futures are `Send`.

use futures::Stream;

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
