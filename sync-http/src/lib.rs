//! The sync protocol over HTTP: its wire types and dialects for both sides, and the client's transport.
//!
//! ```
//! # #[cfg(feature = "client")] {
//! use std::time::Duration;
//! use sync_http::{Credentials, HttpTransport, dialect::Feed};
//!
//! # fn main() -> Result<(), sync_http::BuildError> {
//! // A server that speaks this project's own protocol.
//! let tokens = Credentials::new("alice", "a token");
//! let transport = HttpTransport::builder("http://localhost:8080/", tokens.clone())
//!     .timeout(Duration::from_secs(10))
//!     .build()?;
//!
//! // A backend that has a feed of its own: names and words are settings.
//! let mut feed = Feed::since();
//! feed.pull.path = "api/changes".to_owned();
//! let transport = HttpTransport::builder("http://localhost:8080/", tokens)
//!     .dialect(feed)
//!     .build()?;
//! # Ok(()) }
//! # main().unwrap();
//! # }
//! ```
//!
//! - [`wire`]: the bodies of the project's own protocol, as `docs/protocol.md` describes it.
//! - [`dialect`]: other servers, by settings; each both for a client that asks and for a server that answers.
//! - `HttpTransport` (feature `client`, on by default): a [`sync_core::transport::Transport`] on reqwest, or in a
//!   browser on `fetch`. Its tokens come from a `TokenSource` of the app. Without the feature, as a server wants it,
//!   no HTTP client is built.
//!
//! Features: `client` as above; `openapi` derives schemas for the wire types.

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
