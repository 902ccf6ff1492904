//! A store for the sync engine on SQLite.
//!
//! ```
//! use sync_core::{model::RecordKey, store::Records};
//! use sync_sqlite::SqliteStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path().join("app.db");
//! let store = SqliteStore::open(path).await?;
//! assert_eq!(store.get(RecordKey::new("baby-1", "feed_log", "f-1")).await?, None);
//!
//! // Records are rows that the app may query as it likes.
//! let feeds: i64 = store.read_only()?.query_row(
//!     "SELECT count(*) FROM sync_records WHERE entity_type = 'feed_log' AND payload ->> 'ml' > 100",
//!     [],
//!     |row| row.get(0),
//! )?;
//! assert_eq!(feeds, 0);
//! # Ok(())
//! # }
//! ```
//!
//! docs/sqlite.md says what is durable when, how to query, and how an app keeps tables of its own in step.

mod builder;
mod database;
mod error;
mod ids;
mod lease;
mod peers;
mod projection;
mod schema;
mod store;
mod worker;

pub use builder::{Builder, Durability};
pub use projection::{Projection, ProjectionError, Unprojected};
/// The SQLite library that the store is built on, for what an app gets its own hands on.
pub use rusqlite;
pub use store::SqliteStore;
