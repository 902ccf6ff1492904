//! For apps, adapters and backends: what makes tests of syncing quick, repeatable and short.
//!
//! | for | there is |
//! | --- | --- |
//! | apps | `TestServer`: the real server's logic and any number of devices in one process, on a clock of their own |
//! | transports, and whoever must decide each answer | [`ScriptedTransport`] |
//! | backends | `backend`, with the feature of this name: drives any server over HTTP and says what it keeps and what not |
//! | stores | [`mod@store_suite`]: the cases that decide whether a store is right; [`FaultyStore`]: fails or stops at the call that a test names |
//! | engines, stores and servers together | `simulator`: whole histories of devices, users and faults, decided by a seed |
//! | all | [`VirtualClock`] and [`SeededEntropy`]: time and randomness that a test owns |
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use sync_core::engine::Entity;
//! # #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! # struct Feed { id: String, ml: u32 }
//! # impl Entity for Feed {
//! #     const TYPE: &'static str = "feed_log";
//! #     fn id(&self) -> String { self.id.clone() }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sync_testing::TestServer;
//!
//! let server = TestServer::new();
//! let phone = server.device("alice").await?;
//! let tablet = server.device("alice").await?;
//! let _watching = tablet.scope("baby-1").activate();
//!
//! phone.scope("baby-1").create(&Feed { id: "f1".into(), ml: 120 }).await?;
//! server.settle().await;
//!
//! let seen: Vec<Feed> = tablet.scope("baby-1").list().await?;
//! assert_eq!(seen, [Feed { id: "f1".into(), ml: 120 }]);
//! # Ok(())
//! # }
//! ```
//!
//! `docs/testing-your-app.md` in the repository goes on from here: edits offline, conflicts, faults, an app's own rules.
//!
//! # Features
//!
//! `server` (default) brings the server's logic along, for `TestServer` and the `simulator`. Without it the crate needs nothing but
//! the core, and compiles for wasm32.
//!
//! `backend` brings the HTTP client along, and no server. Native only.

#[cfg(feature = "backend")]
pub mod backend;
mod clock;
mod entropy;
mod faulty;
mod layered;
mod scripted;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
pub mod simulator;
pub mod store_suite;

pub use clock::VirtualClock;
pub use entropy::SeededEntropy;
pub use faulty::{FaultyStore, StoreFault};
pub use layered::StoreCall;
pub use scripted::{Call, ScriptedTransport};
#[cfg(feature = "server")]
pub use server::{Fault, TestDevice, TestServer};
#[cfg(feature = "server")]
pub use sync_server::{
    Limits, Server,
    access::Role,
    decide::{Concurrent, ConflictPolicy, KnownTypes, Merge, Rules, Validate},
};
