//! The server half of the sync protocol: logic without sockets, an axum router, a change log on SQLite.
//!
//! [`Server`] is the logic: `pull` and `push`, from request to answer. It works over two traits: a
//! [`log::ChangeLog`] keeps the records, and [`access::Access`] decides who may do what. What the rules are is
//! decided in one place, by the pure functions of [`decide`], so that no log implements a rule of its own. The
//! [`router`] puts HTTP around it.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use sync_core::platform::{OsEntropy, TokioClock};
//! use sync_server::{
//!     Server,
//!     access::Role,
//!     log::sqlite::SqliteLog,
//!     router::{BearerTokens, RouterSettings, router, serve},
//! };
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let log = SqliteLog::open("sync.sqlite")?;
//! let members = log.members();
//! members.grant("baby-1", "alice", Role::Owner).await?;
//! members.grant("baby-1", "bob", Role::Viewer).await?;
//!
//! let tokens = BearerTokens::new();
//! tokens.insert("a token of alice", "alice");
//!
//! let server = Server::new(
//!     Arc::new(log),
//!     Arc::new(members),
//!     Arc::new(TokioClock::new()),
//!     Arc::new(OsEntropy),
//! );
//! let router = router(server, Arc::new(tokens), RouterSettings::default());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! serve(listener, router, std::future::pending()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Dropping the future of a call abandons its answer and nothing else: what has begun happens whole.
//!
//! Features: `router` (the HTTP shell) and `sqlite` (log and members in a file) are on by default; without them,
//! the logic and a log in memory are left. `openapi` describes the protocol from its types.

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
