//! Engines in a service worker, where an app may run one for the length of an event: against the real server, and in
//! a background sync.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` for a test")]
#![allow(dead_code, reason = "what the tests share is more than these need")]

mod common;
mod http;

use std::time::Duration;

use sync_core::{
    engine::{Driver, DriverState, SyncEngine},
    transport::Transport,
};
use sync_http::{Credentials, HttpTransport};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

use common::{
    device::{device, opened, server, settings, tab},
    fresh,
    server::{Counting, Feed, eventually, feed},
};

wasm_bindgen_test_configure!(run_in_service_worker);

/// An engine as the handler of an event opens it: nobody runs its driver beyond that.
async fn in_an_event(database: &str, transport: impl Transport + 'static) -> (SyncEngine, Driver) {
    opened("alice", database, transport, settings()).await
}

#[wasm_bindgen_test]
async fn an_engine_that_runs_for_the_length_of_an_event_pushes_what_waits() {
    let (database, scope) = (fresh("event"), fresh("baby"));
    let credentials = Credentials::new("alice", "alice-token");
    let transport = HttpTransport::builder(server(), credentials).build();
    let (engine, mut driver) = in_an_event(&database, transport.unwrap()).await;
    engine.scope(&*scope).create(&feed("f1", 1)).await.unwrap();
    driver.run_until_idle(Duration::from_secs(5)).await;
    assert_eq!(engine.status().await.unwrap().counts.pending, 0);
    let elsewhere = device("alice").await;
    elsewhere.sync_now([(&*scope).into()]).await;
    let pulled = elsewhere.scope(&*scope).get("f1").await.unwrap();
    assert_eq!(pulled, Some(feed("f1", 1)));
    elsewhere.shutdown().await;
}

#[wasm_bindgen_test]
async fn while_a_tab_leads_an_event_leaves_the_work_to_it() {
    let (database, scope) = (fresh("event"), fresh("baby"));
    let leader = tab("alice", &database).await;
    eventually("the tab leads", async || {
        leader.status().await.unwrap().driver == DriverState::Leading
    })
    .await;
    let its_own = Counting::default();
    its_own.set_down(true);
    let (engine, mut driver) = in_an_event(&database, its_own.clone()).await;
    engine.scope(&*scope).create(&feed("f1", 1)).await.unwrap();
    driver.run_until_idle(Duration::from_secs(5)).await;
    eventually("the tab has pushed it", async || {
        leader.status().await.unwrap().counts.pending == 0
    })
    .await;
    let seen = leader.scope(&*scope).list::<Feed>().await.unwrap();
    assert_eq!(seen, [feed("f1", 1)]);
    assert_eq!((its_own.pushes(), its_own.pulls()), (0, 0));
    leader.shutdown().await;
}
