//! A store for the sync engine on IndexedDB, in a window or a worker. Everywhere but on wasm32 this crate is empty.
//!
//! ```no_run
//! # #[cfg(target_arch = "wasm32")]
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use sync_core::{model::RecordKey, store::Records};
//! use sync_idb::{Declared, IdbStore, idb::{KeyRange, Query}};
//!
//! let store = IdbStore::builder("baby-log")
//!     .declare(Declared::new("feed_log", "feeds").index("by_amount", "payload.ml"))
//!     .open()
//!     .await?;
//! assert_eq!(store.get(RecordKey::new("baby-1", "feed_log", "f-1")).await?, None);
//!
//! // Payloads are stored as JavaScript objects, which the app's own indexes reach into.
//! let large = Query::from(KeyRange::lower_bound(&100.into(), None)?);
//! let feeds = store.query("feed_log", "by_amount", Some(large), None).await?;
//! assert!(feeds.is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! An engine on it needs no settings of its own for the platform. Its driver is spawned on the page's own tasks, and
//! `Signals` tell it what the browser says of the page and the network:
//!
//! ```no_run
//! # #[cfg(target_arch = "wasm32")]
//! # async fn example(transport: impl sync_core::transport::Transport + 'static) -> Result<(), Box<dyn std::error::Error>> {
//! use sync_core::engine::SyncEngine;
//! use sync_idb::{IdbStore, Signals};
//!
//! let store = IdbStore::open("baby-log").await?;
//! let (engine, driver) = SyncEngine::builder(store, transport).account("alice").open().await?;
//! wasm_bindgen_futures::spawn_local(driver.run());
//! let signals = Signals::attach(&engine);
//! # drop(signals);
//! # Ok(())
//! # }
//! ```
//!
//! docs/browser.md says what is durable when, how to declare types and indexes, what tabs do to each other, and what
//! browsers do to their storage.
#![cfg(target_arch = "wasm32")]

mod builder;
mod connection;
mod database;
mod declared;
mod error;
mod exact;
mod keys;
mod lease;
mod locks;
mod open;
mod peers;
mod reply;
mod schema;
mod signals;
pub mod storage;
mod store;
mod transaction;
mod values;
mod while_open;

pub use builder::{Builder, Durability};
pub use connection::Closed;
pub use declared::{Declared, IndexPath};
/// The crate that the store is built on, for the queries of an app.
pub use idb;
pub use signals::Signals;
pub use store::IdbStore;

#[cfg(test)]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
