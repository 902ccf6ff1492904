//! Whole engines in workers and in a window, on one database and against a real server: tabs that come and go.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` for a test")]
#![allow(dead_code, reason = "what the tests share is more than these need")]

mod common;

use futures::future::join_all;
use js_sys::{Array, Date, Promise};
use sync_core::{
    engine::{DriverState, SyncEngine},
    store::Outbox,
};
use sync_idb::{IdbStore, Signals};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

use common::{
    browser::{millis, run},
    create,
    device::{device, pushed, server, tab},
    elsewhere::Elsewhere,
    fresh, leading, list,
    server::{Feed, eventually, feed},
};

wasm_bindgen_test_configure!(run_in_browser);

/// How many records the server has of a scope, and the number of the newest entry of its log. Where no record was
/// written twice, the two are equal.
async fn log(scope: &str) -> (usize, usize) {
    let script = format!(
        "const headers = {{ authorization: 'Bearer alice-token', 'sync-account': 'alice' }};
         return fetch('{}/v1/pull?limit=1000&scope={scope}', {{ headers }})
             .then(answer => answer.json())
             .then(page => [page.changes.length, page.through])",
        server()
    );
    let promise: Promise = run(&script).unchecked_into();
    let page: Array = JsFuture::from(promise).await.unwrap().unchecked_into();
    let number = |n| page.get(n).as_f64().unwrap() as usize;
    (number(0), number(1))
}

async fn leads(engine: &SyncEngine) -> bool {
    engine.status().await.unwrap().driver == DriverState::Leading
}

/// Waits for something that has to be within a second, which is what a hand-over of the lead may take; as a rule it
/// takes some hundredths.
async fn within_a_second(what: &str, holds: impl AsyncFn() -> bool) {
    let began = Date::now();
    eventually(what, holds).await;
    let took = Date::now() - began;
    assert!(took < 1_000.0, "{took} ms until {what}");
}

#[wasm_bindgen_test]
async fn a_killed_leader_is_followed_within_a_second_and_nothing_is_lost_or_applied_twice() {
    let (database, scope) = (fresh("killed"), fresh("baby"));
    let leader = Elsewhere::open(&database, &scope).await;
    eventually("the first leads", async || leader.leads().await).await;
    let follower = Elsewhere::open(&database, &scope).await;
    eventually("the second follows", async || follower.follows().await).await;
    for n in 0..5 {
        leader.create(&format!("a{n}")).await;
        follower.create(&format!("b{n}")).await;
    }
    leader.is_idle_with(10).await;
    follower.is_idle_with(10).await;
    assert!(follower.heard().await > 0 && leader.heard().await > 0);
    assert_eq!(follower.asked().await, 0, "who follows asks for nothing");

    // Edits of both are on their way, or about to be, when the leader goes.
    for n in 5..15 {
        leader.create(&format!("a{n}")).await;
        follower.create(&format!("b{n}")).await;
    }
    leader.kill();
    within_a_second("the other leads", async || follower.leads().await).await;
    within_a_second("all is pushed", async || follower.pending().await == 0).await;
    follower.create("last").await;
    within_a_second("an edit is pushed", async || follower.pending().await == 0).await;
    follower.is_idle_with(31).await;
    assert_eq!(log(&scope).await, (31, 31));
    let elsewhere = device("alice").await;
    elsewhere.sync_now([(&*scope).into()]).await;
    let listed = elsewhere.scope(&*scope).list::<Feed>().await.unwrap();
    assert_eq!(listed.len(), 31);
    elsewhere.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_window_and_a_worker_take_turns_in_leading_when_one_freezes_or_closes() {
    let (database, scope) = (fresh("turns"), fresh("baby"));
    let window = tab("alice", &database).await;
    let _signals = Signals::attach(&window);
    eventually("the window leads", async || leads(&window).await).await;
    let worker = Elsewhere::open(&database, &scope).await;
    eventually("the worker follows", async || worker.follows().await).await;

    run("document.dispatchEvent(new Event('freeze'))");
    within_a_second("the worker leads", async || worker.leads().await).await;
    let baby = window.scope(&*scope);
    baby.create(&feed("w1", 1)).await.unwrap();
    within_a_second("the window's edit is pushed", async || {
        window.status().await.unwrap().counts.pending == 0
    })
    .await;
    run("document.dispatchEvent(new Event('resume'))");
    worker.create("t1").await;
    worker.is_idle_with(2).await;
    assert_eq!(baby.list::<Feed>().await.unwrap().len(), 2);

    worker.shutdown().await;
    within_a_second("the window leads again", async || leads(&window).await).await;
    worker.create("t2").await;
    pushed(&window).await;
    assert_eq!(log(&scope).await, (3, 3));
    window.shutdown().await;
}

#[wasm_bindgen_test]
async fn of_six_tabs_one_asks_the_server() {
    let (database, scope) = (fresh("six"), fresh("baby"));
    let tabs = (0..6).map(|_| Elsewhere::open(&database, &scope));
    let tabs = join_all(tabs).await;
    for (n, tab) in tabs.iter().enumerate() {
        tab.create(&n.to_string()).await;
    }
    for tab in &tabs {
        tab.is_idle_with(6).await;
    }
    // Some more rounds of polling.
    millis(1_000).await;
    let asked = join_all(tabs.iter().map(Elsewhere::asked)).await;
    let askers = asked.iter().filter(|asked| **asked > 0).count();
    assert_eq!(askers, 1, "{asked:?}");
    assert!(asked.iter().sum::<usize>() < 20, "{asked:?}");
}

/// A script for a worker whose thread stands still from the end of the turn in which it asks a certain thing of an object
/// store, as in a frozen tab: whatever the browser would have to ask it, it does not answer.
fn frozen_at(method: &str, is_meant: &str) -> String {
    format!(
        "const its = IDBObjectStore.prototype, {{ {method} }} = its, turn = new MessageChannel();
         let frozen = false;
         turn.port1.onmessage = () => {{
             postMessage([answering]);
             const until = Date.now() + 4000;
             while (Date.now() < until);
         }};
         its.{method} = function (what, ...all) {{
             if (!frozen && {is_meant}) turn.port2.postMessage(frozen = true);
             return {method}.call(this, what, ...all);
         }};"
    )
}

#[wasm_bindgen_test]
async fn a_tab_that_freezes_when_it_has_written_holds_nobody_up() {
    let database = fresh("frozen");
    let (store, _) = leading(IdbStore::open(&database).await.unwrap()).await;
    let frozen = Elsewhere::bare(&database, &frozen_at("put", "what.id === 'freeze'")).await;
    frozen.create("freeze").await;
    let began = Date::now();
    store.enqueue(create("b", "2")).await.unwrap();
    let listed = list(&store).await;
    let took = Date::now() - began;
    assert!(took < 1_000.0, "{took} ms to write and read");
    assert_eq!(listed.len(), 2);
}

#[wasm_bindgen_test]
async fn a_tab_that_freezes_when_it_has_asked_for_a_record_holds_nobody_up() {
    let database = fresh("frozen");
    let (store, _) = leading(IdbStore::open(&database).await.unwrap()).await;
    let frozen = Elsewhere::bare(&database, &frozen_at("get", "what.includes('freeze')")).await;
    frozen.read("freeze").await;
    let began = Date::now();
    store.enqueue(create("b", "2")).await.unwrap();
    let took = Date::now() - began;
    assert!(took < 1_000.0, "{took} ms to write");
}
