//! The server half of the sync protocol: logic without sockets, an axum router, a change log on SQLite.

pub mod access;
mod cursor;
pub mod decide;
mod error;
pub mod log;
#[cfg(feature = "openapi")]
pub mod openapi;
#[cfg(feature = "router")]
pub mod router;
mod server;

pub use error::{ServerError, ServerErrorKind};
pub use server::{Limits, Received, Server};
