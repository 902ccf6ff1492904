//! The core of a sync engine: an app reads and writes a local database, and this keeps it and a server in step.
//!
//! Local edits become **mutations** in a durable outbox and are pushed in order; what others have changed is pulled
//! scope by scope from a **cursor**. The core knows no database and no network: a [`store`] and a [`transport`] come
//! from other crates, or from the app. It has no threads, spawns nothing, and reads no clock of its own.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use sync_core::{engine::{Entity, SyncEngine}, store::MemoryStore};
//!
//! #[derive(Serialize, Deserialize)]
//! struct FeedLog {
//!     id: String,
//!     amount_ml: u32,
//! }
//!
//! impl Entity for FeedLog {
//!     const TYPE: &'static str = "feed_log";
//!
//!     fn id(&self) -> String {
//!         self.id.clone()
//!     }
//! }
//!
//! # use std::sync::{Arc, Mutex};
//! # use async_trait::async_trait;
//! # use sync_core::{model::{MutationId, Page}, transport::*};
//! # #[derive(Clone, Debug, Default)]
//! # struct TakesEverything(Arc<Mutex<Vec<MutationId>>>);
//! # #[async_trait]
//! # impl Transport for TakesEverything {
//! #     async fn pull(&self, _: PullRequest) -> Result<Page, TransportError> {
//! #         Ok(Page {
//! #             changes: Vec::new(),
//! #             next: "0".into(),
//! #             has_more: false,
//! #             through: None,
//! #             epoch: None,
//! #             verdict_retention: None,
//! #         })
//! #     }
//! #     async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
//! #         let mut held = self.0.lock().unwrap();
//! #         let answers = request.mutations.iter().map(|sent| {
//! #             held.push(sent.mutation.id);
//! #             let verdict = Verdict::Applied { version: None, record: None };
//! #             Answer { id: sent.mutation.id, verdict }
//! #         });
//! #         Ok(PushAnswer { answers: answers.collect(), verdict_retention: None })
//! #     }
//! #     fn traits(&self) -> ServerTraits {
//! #         ServerTraits::default()
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A transport to the server: the one of `sync-http`, or any other. This one takes everything.
//! let server = TakesEverything::default();
//! let (engine, driver) = SyncEngine::builder(MemoryStore::new(), server.clone())
//!     .account("alice")
//!     .open()
//!     .await?;
//!
//! // Edits are durable and visible at once, whether or not a driver is running.
//! let baby = engine.scope("baby-1");
//! baby.create(&FeedLog { id: "f1".into(), amount_ml: 120 }).await?;
//! baby.update_with("f1", |feed: &mut FeedLog| feed.amount_ml += 30).await?;
//! assert_eq!(baby.get::<FeedLog>("f1").await?.unwrap().amount_ml, 150);
//! assert_eq!(engine.status().await?.counts.pending, 1);
//!
//! // The app gives the driver a task; from there on it pushes and pulls by itself.
//! tokio::spawn(driver.run());
//! engine.sync_now([baby.scope().clone()]).await;
//! assert_eq!(server.0.lock().unwrap().len(), 1, "the update was merged into the unsent create");
//! assert_eq!(engine.status().await?.counts.pending, 0);
//! # Ok(())
//! # }
//! ```
//!
//! # Where things are
//!
//! | module | what is in it | for |
//! | --- | --- | --- |
//! | [`engine`] | the handle ([`SyncEngine`](engine::SyncEngine), [`ScopeHandle`](engine::ScopeHandle)), live lists, events, status, and the driver | apps |
//! | [`model`] | scopes, records, payloads, mutations, changes, pages, cursors, versions | all |
//! | [`policy`] | what an app decides: how conflicts end, how old payloads are upgraded | apps |
//! | [`store`] | the roles of a database, their rows, and [`MemoryStore`](store::MemoryStore) | stores |
//! | [`overlay`] | the rules of folding, rebasing and settling, as pure functions that every store calls | stores |
//! | [`coordination`] | which of several engines on one database leads, and what they tell each other | stores |
//! | [`transport`] | the seam to the server, and the kinds of failure | transports |
//! | [`scheduler`] | when to push, what to pull, what a failure means: a state machine without I/O, and its settings | apps, for the settings |
//! | [`time`] | the clock and the randomness that come from outside | platforms |
//! | [`platform`] | both of these, for native programs and for browsers | apps |
//! | [`error`] | the errors of stores | all |
//! | [`text`] | text that shares a buffer | transports |
//! | [`ordered`] | maps and sets that take little code | all |
//! | [`json`] | reading JSON in which structs are objects | stores, transports |
//!
//! # Dropping futures
//!
//! Every future of this crate may be dropped at any moment (by a timeout, a `select`, a closed screen). What that
//! means is the same everywhere:
//!
//! - **A store's method**, once polled, either completes or is rolled back. A dropped future leaves one of these two
//!   outcomes, never half of one; which of them, the caller does not learn. One that was never polled does nothing.
//! - **A transport's call** is abandoned: the server may or may not have handled it. The engine then takes the
//!   outcome as unknown, and sends again.
//! - **An edit by the handle**, a retry, a discard or an acknowledgement is made whole or not at all. If it is made,
//!   live lists show it and the driver pushes it all the same.
//! - **A wait** ([`sync_now`](engine::SyncEngine::sync_now), [`idle`](engine::SyncEngine::idle),
//!   [`shutdown`](engine::SyncEngine::shutdown)) is given up; what was asked for goes on.
//! - **A stream** that is dropped ends for its reader alone. Dropping the future of *one item* loses no item.
//! - **The driver's future** stops everything that is in flight; the next driver on the database takes it up again.
//!   The lead is given up at once, or where a platform has no way to do so, when its lease runs out.
//!
//! # Features and targets
//!
//! | feature | |
//! | --- | --- |
//! | `tokio` (default) | [`platform::TokioClock`] and [`platform::OsEntropy`], which an engine then takes by itself. Native targets only; elsewhere it does nothing |
//! | `browser` (default) | the same in a browser: `platform::BrowserClock` and `platform::BrowserEntropy`. On wasm32 only; elsewhere it does nothing |
//! | `testing` | mockall mocks of `Transport`, `Clock` and `Entropy` |
//!
//! Without them, give the builder a [`Clock`](time::Clock) and an [`Entropy`](time::Entropy). The core compiles for `wasm32-unknown-unknown`. There its futures and the streams of live lists are not `Send`;
//! handles and seam objects are `Send + Sync` on every target, so that an adapter keeps JavaScript handles in a
//! wrapper. An implementation of a seam carries the same pair of lines as the trait:
//!
//! ```text
//! #[cfg_attr(not(target_arch = "wasm32"), async_trait)]
//! #[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
//! ```

pub mod coordination;
pub mod engine;
pub mod error;
pub mod json;
pub mod model;
pub mod ordered;
pub mod overlay;
pub mod platform;
pub mod policy;
pub mod scheduler;
pub mod store;
pub mod text;
pub mod time;
pub mod transport;

/// The code of the guide for authors of stores compiles.
#[cfg(doctest)]
#[doc = include_str!("../../docs/writing-a-store.md")]
struct WritingAStore;
