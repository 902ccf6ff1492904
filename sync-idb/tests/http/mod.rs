//! Whole engines in a browser, against the real example server on another port, over HTTP with CORS.

mod refusals;

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use js_sys::{Array, Reflect};
use sync_core::{engine::Event, scheduler::SyncEnd};
use sync_http::Credentials;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{
    browser::{Changed, run},
    device::{device, pushed, settings, tab, tab_with},
    fresh,
    server::{Feed, eventually, feed, soon},
};

/// Notes what `fetch` is called with, and lets it go on.
fn watched() -> Changed {
    Changed::by(
        "const fetch = globalThis.fetch; globalThis.fetched = [];
         globalThis.fetch = (url, init) => { globalThis.fetched.push(init); return fetch(url, init) };
         return () => { globalThis.fetch = fetch }",
    )
}

/// The pushes that were made since.
fn pushes() -> Vec<JsValue> {
    let fetched = Array::from(&run("return globalThis.fetched")).to_vec();
    let is_push = |init: &JsValue| Reflect::get(init, &"method".into()).unwrap() == "POST";
    fetched.into_iter().filter(is_push).collect()
}

#[wasm_bindgen_test]
async fn what_one_device_creates_another_pulls() {
    let scope = fresh("baby");
    let (phone, tablet) = (device("alice").await, device("alice").await);
    let created = phone.scope(&*scope);
    created.create(&feed("f1", 120)).await.unwrap();
    pushed(&phone).await;
    let report = tablet.sync_now([(&*scope).into()]).await;
    assert_eq!(report.scopes.values().next(), Some(&SyncEnd::Synced));
    let pulled = tablet.scope(&*scope).get("f1").await.unwrap();
    assert_eq!(pulled, Some(feed("f1", 120)));
    phone.shutdown().await;
    tablet.shutdown().await;
}

#[wasm_bindgen_test]
async fn two_edits_of_a_record_end_in_one_on_both_devices_and_the_loser_is_told() {
    let scope = fresh("baby");
    let (phone, tablet) = (device("alice").await, device("alice").await);
    let (here, there) = (phone.scope(&*scope), tablet.scope(&*scope));
    here.create(&feed("f1", 1)).await.unwrap();
    pushed(&phone).await;
    tablet.sync_now([(&*scope).into()]).await;
    tablet.set_online(false);
    there.update(&feed("f1", 2)).await.unwrap();
    here.update(&feed("f1", 3)).await.unwrap();
    pushed(&phone).await;
    tablet.set_online(true);
    pushed(&tablet).await;
    eventually("both hold the same", async || {
        phone.sync_now([(&*scope).into()]).await;
        tablet.sync_now([(&*scope).into()]).await;
        let mine = here.get::<Feed>("f1").await.unwrap();
        mine == there.get("f1").await.unwrap()
    })
    .await;
    // Both devices are of the author of the edit that lost: one of them is told, or both are.
    let mut told = BTreeSet::new();
    for engine in [&phone, &tablet] {
        let conflicts = engine.conflicts(None).await.unwrap();
        told.extend(conflicts.into_iter().map(|conflict| conflict.mutation_id));
    }
    assert_eq!(told.len(), 1);
    phone.shutdown().await;
    tablet.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_stranger_gets_nothing_of_a_scope_and_loses_nothing() {
    let scope = fresh("baby");
    let alice = device("alice").await;
    alice.scope(&*scope).create(&feed("f1", 1)).await.unwrap();
    pushed(&alice).await;
    let mut settings = settings();
    settings.scheduler.confirm_after = Duration::from_millis(300);
    let credentials = Credentials::new("bob", "bob-token");
    let bob = tab_with("bob", &fresh("bob"), credentials, settings).await;
    let mut events = bob.events();
    let his = bob.scope(&*scope);
    his.create(&feed("f2", 2)).await.unwrap();
    let failed = async {
        while let Some(event) = events.next().await {
            if matches!(event, Ok(Event::Failed { .. })) {
                return true;
            }
        }
        false
    };
    assert!(soon("it has failed", failed).await);
    assert_eq!(his.get("f1").await.unwrap(), None::<Feed>);
    assert_eq!(his.get("f2").await.unwrap(), Some(feed("f2", 2)));
    assert_eq!(bob.status().await.unwrap().counts.failed, 1);
    alice.shutdown().await;
    bob.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_first_sync_of_many_pages_arrives_whole() {
    let scope = fresh("baby");
    let phone = device("alice").await;
    let mut settings = settings();
    settings.page_size = 50;
    let credentials = Credentials::new("alice", "alice-token");
    let tablet = tab_with("alice", &fresh("alice"), credentials, settings).await;
    let baby = phone.scope(&*scope);
    for n in 0..300 {
        baby.create(&feed(&format!("f{n}"), n)).await.unwrap();
    }
    eventually("everything is pushed", async || {
        phone.sync_now([]).await;
        phone.status().await.unwrap().counts.pending == 0
    })
    .await;
    let watched = watched();
    tablet.sync_now([(&*scope).into()]).await;
    let pages = Array::from(&run("return globalThis.fetched")).length();
    drop(watched);
    assert!(pages >= 6, "{pages}");
    let pulled = tablet.scope(&*scope).list::<Feed>().await.unwrap();
    assert_eq!(pulled.len(), 300);
    phone.shutdown().await;
    tablet.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_push_outlives_its_page_where_it_is_small_enough() {
    let engine = device("alice").await;
    let scope = fresh("baby");
    let baby = engine.scope(&*scope);
    let watched = watched();
    baby.create(&feed("f1", 1)).await.unwrap();
    pushed(&engine).await;
    baby.create(&feed(&"x".repeat(60_000), 1)).await.unwrap();
    eventually("the large one was tried", async || pushes().len() >= 2).await;
    let kept = |init: &JsValue| Reflect::get(init, &"keepalive".into()).unwrap().is_truthy();
    let kept: Vec<bool> = pushes().iter().map(kept).collect();
    assert_eq!(kept[..2], [true, false]);
    drop(watched);
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn tabs_work_as_one() {
    let (scope, database) = (fresh("baby"), fresh("tabs"));
    let leader = tab("alice", &database).await;
    leader.sync_now([(&*scope).into()]).await;
    let follower = tab("alice", &database).await;
    let mut shown = leader.scope(&*scope).live::<Feed>();
    assert_eq!(shown.next().await.unwrap().unwrap().len(), 0);
    let began = js_sys::Date::now();
    follower
        .scope(&*scope)
        .create(&feed("f1", 1))
        .await
        .unwrap();
    let grown = soon("it is shown", shown.next()).await;
    assert_eq!(grown.unwrap().unwrap().len(), 1);
    pushed(&follower).await;
    let took = js_sys::Date::now() - began;
    assert!(
        took < 1_000.0,
        "{took} ms for an edit of a tab that does not lead"
    );
    let began = js_sys::Date::now();
    leader.shutdown().await;
    drop(leader);
    follower
        .scope(&*scope)
        .create(&feed("f2", 2))
        .await
        .unwrap();
    pushed(&follower).await;
    let took = js_sys::Date::now() - began;
    assert!(
        took < 1_000.0,
        "{took} ms until the other leads and has pushed"
    );
    follower.shutdown().await;
}
