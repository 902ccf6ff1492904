//! Engines against the real example server on another port, over HTTP with CORS.
//!
//! `cargo xtask test --only browser` starts the server and names it. A browser has no environment: the address is
//! compiled in.
#![allow(dead_code, reason = "each test program needs some of it")]

use std::time::Duration;

use sync_core::engine::{EngineSettings, SyncEngine};
use sync_http::{Credentials, HttpTransport, TokenSource};
use sync_idb::IdbStore;

use super::{fresh, server::eventually};

pub(crate) fn server() -> &'static str {
    let address = option_env!("SYNC_SERVER");
    address.unwrap_or_else(|| panic!("`cargo xtask test --only browser` starts the server"))
}

/// A device of an account: a database of its own.
pub(crate) async fn device(account: &str) -> SyncEngine {
    tab(account, &fresh(account)).await
}

/// One of the tabs on a database.
pub(crate) async fn tab(account: &str, database: &str) -> SyncEngine {
    let credentials = Credentials::new(account, format!("{account}-token"));
    tab_with(account, database, credentials, settings()).await
}

/// Settings of an app that does not wait for its first round.
pub(crate) fn settings() -> EngineSettings {
    let mut settings = EngineSettings::default();
    settings.scheduler.initial_delay = Duration::from_millis(10);
    settings
}

pub(crate) async fn tab_with(
    account: &str,
    database: &str,
    tokens: impl TokenSource + 'static,
    settings: EngineSettings,
) -> SyncEngine {
    let transport = HttpTransport::builder(server(), tokens).build();
    let store = IdbStore::open(database).await.unwrap();
    let (engine, driver) = SyncEngine::builder(store, transport.unwrap())
        .account(account)
        .settings(settings)
        .open()
        .await
        .unwrap();
    wasm_bindgen_futures::spawn_local(driver.run());
    engine
}

pub(crate) async fn pushed(engine: &SyncEngine) {
    eventually("everything is pushed", async || {
        engine.status().await.unwrap().counts.pending == 0
    })
    .await;
}
