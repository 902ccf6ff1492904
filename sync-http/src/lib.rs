//! Wire types and dialects of the sync protocol, and the HTTP transport of sync-core.

#[cfg(feature = "client")]
mod client;
pub mod dialect;
mod malformed;
pub mod wire;

#[cfg(feature = "client")]
pub use client::{
    BuildError, Credentials, Fetch, FetchError, HttpTransport, HttpTransportBuilder, Request,
    Response, Token, TokenError, TokenSource,
};
pub use malformed::Malformed;
