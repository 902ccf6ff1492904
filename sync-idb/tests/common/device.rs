//! Engines against the real example server on another port, over HTTP with CORS.
//!
//! `cargo xtask test --only browser` starts the server and names it. A browser has no environment: the address is
//! compiled in.
#![allow(dead_code, reason = "each test program needs some of it")]

use std::time::Duration;

use sync_core::{
    engine::{Driver, EngineSettings, SyncEngine},
    transport::Transport,
};
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
    let (engine, driver) = opened(account, database, transport.unwrap(), settings).await;
    wasm_bindgen_futures::spawn_local(driver.run());
    engine
}

/// An engine, and its driver, which does not run yet.
pub(crate) async fn opened(
    account: &str,
    database: &str,
    transport: impl Transport + 'static,
    settings: EngineSettings,
) -> (SyncEngine, Driver) {
    let store = IdbStore::open(database).await.unwrap();
    let builder = SyncEngine::builder(store, transport)
        .account(account)
        .settings(settings);
    builder.open().await.unwrap()
}

pub(crate) async fn pushed(engine: &SyncEngine) {
    eventually("everything is pushed", async || {
        engine.status().await.unwrap().counts.pending == 0
    })
    .await;
}
