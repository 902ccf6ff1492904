//! What a browser says of its page, to an engine in a window.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` for a test")]
#![allow(dead_code, reason = "what the tests share is more than these need")]

mod common;

use std::{sync::Arc, time::Duration};

use sync_core::{
    engine::{EngineSettings, SyncEngine},
    platform::BrowserClock,
    store::Coordination,
};
use sync_idb::{IdbStore, Signals};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

use common::{
    browser::{Changed, millis, run},
    fresh,
    server::{Counting, eventually, feed, running, running_with},
};

wasm_bindgen_test_configure!(run_in_browser);

/// Long enough for whatever an event sets off.
const A_WHILE: u32 = 700;

/// A document that says it is hidden, until this is dropped.
fn hidden() -> Changed {
    Changed::by(
        "Object.defineProperty(document, 'hidden', { value: true, configurable: true });
         return () => { delete document.hidden }",
    )
}

fn of_document(event: &str) {
    run(&format!("document.dispatchEvent(new Event('{event}'))"));
}

fn of_window(event: &str) {
    run(&format!("dispatchEvent(new Event('{event}'))"));
}

async fn is_visible(engine: &SyncEngine) -> bool {
    engine.status().await.unwrap().visible
}

async fn is_online(engine: &SyncEngine) -> bool {
    engine.status().await.unwrap().online
}

/// An engine that has pulled its scope once, with nothing left to do.
async fn settled(server: &Counting) -> SyncEngine {
    let engine = running(&fresh("signals"), server.clone()).await;
    engine.sync_now(["baby".into()]).await;
    engine
}

#[wasm_bindgen_test]
async fn a_hidden_page_does_not_poll_and_one_that_is_back_catches_up_once() {
    let server = Counting::default();
    let mut settings = EngineSettings::default();
    settings.scheduler.poll_interval = Duration::from_secs(2);
    let engine = running_with(&fresh("signals"), server.clone(), settings).await;
    engine.sync_now(["baby".into()]).await;
    let _active = engine.scope("baby").activate();
    let _signals = Signals::attach(&engine);
    let before = {
        let _hidden = hidden();
        of_document("visibilitychange");
        eventually("it is hidden", async || !is_visible(&engine).await).await;
        of_document("freeze");
        // What was in flight ends, and the lead, which a page gives up when it freezes, is back.
        millis(2_000).await;
        let before = server.pulls();
        millis(2_500).await;
        assert_eq!(server.pulls(), before, "a hidden page polls");
        before
    };
    // All that a browser may say when a page is back, some of it twice.
    for event in ["resume", "visibilitychange", "visibilitychange"] {
        of_document(event);
    }
    of_window("pageshow");
    eventually("it is visible", async || is_visible(&engine).await).await;
    millis(A_WHILE).await;
    assert_eq!(server.pulls(), before + 1);
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_page_that_comes_back_from_the_cache_is_visible_again() {
    let engine = settled(&Counting::default()).await;
    let _signals = Signals::attach(&engine);
    of_window("pagehide");
    eventually("it is put aside", async || !is_visible(&engine).await).await;
    of_window("pageshow");
    eventually("it is back", async || is_visible(&engine).await).await;
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_page_that_freezes_is_hidden_until_it_resumes() {
    let engine = settled(&Counting::default()).await;
    let _signals = Signals::attach(&engine);
    of_document("freeze");
    eventually("it is frozen", async || !is_visible(&engine).await).await;
    of_document("resume");
    eventually("it is visible", async || is_visible(&engine).await).await;
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn edits_that_wait_for_a_retry_are_tried_when_the_page_is_hidden() {
    let server = Counting::default();
    // The next attempt by itself is minutes away, as a rule.
    let mut settings = EngineSettings::default();
    settings.scheduler.backoff_base = Duration::from_secs(600);
    settings.scheduler.backoff_cap = Duration::from_secs(600);
    let engine = running_with(&fresh("signals"), server.clone(), settings).await;
    engine.sync_now(["baby".into()]).await;
    let _signals = Signals::attach(&engine);
    server.set_down(true);
    engine.scope("baby").create(&feed("f1", 1)).await.unwrap();
    eventually("an attempt", async || server.pushes() > 0).await;
    millis(A_WHILE).await;
    assert_eq!(engine.status().await.unwrap().counts.pending, 1);
    server.set_down(false);
    of_window("pagehide");
    eventually("it is pushed", async || {
        engine.status().await.unwrap().counts.pending == 0
    })
    .await;
    of_window("pageshow");
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_network_that_comes_back_is_used_at_once() {
    let server = Counting::default();
    let engine = settled(&server).await;
    let _signals = Signals::attach(&engine);
    of_window("offline");
    eventually("it is offline", async || !is_online(&engine).await).await;
    engine.scope("baby").create(&feed("f1", 1)).await.unwrap();
    millis(A_WHILE).await;
    assert_eq!(server.pushes(), 0, "nothing is attempted offline");
    of_window("online");
    eventually("it is pushed", async || server.pushes() == 1).await;
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_browser_that_is_wrong_about_being_offline_stops_nothing_for_ever() {
    let server = Counting::default();
    let engine = settled(&server).await;
    let _signals = Signals::attach_believing(&engine, Duration::from_millis(300));
    of_window("offline");
    eventually("it is offline", async || !is_online(&engine).await).await;
    engine.scope("baby").create(&feed("f1", 1)).await.unwrap();
    eventually("it is pushed", async || server.pushes() == 1).await;
    eventually("it is online", async || is_online(&engine).await).await;
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_browser_that_is_right_about_being_offline_stays_so() {
    let server = Counting::default();
    let engine = settled(&server).await;
    let _signals = Signals::attach_believing(&engine, Duration::from_millis(200));
    server.set_down(true);
    of_window("offline");
    engine.scope("baby").create(&feed("f1", 1)).await.unwrap();
    eventually("it was tried", async || server.pushes() >= 1).await;
    eventually("and is offline", async || !is_online(&engine).await).await;
    of_window("online");
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn what_is_detached_hears_nothing() {
    let engine = settled(&Counting::default()).await;
    drop(Signals::attach(&engine));
    // A listener that is still there is one that nothing stands behind any more, and fails.
    let _watched = Changed::by(
        "globalThis.thrown = [];
         const note = event => { event.preventDefault(); globalThis.thrown.push(event.message) };
         addEventListener('error', note);
         return () => removeEventListener('error', note)",
    );
    for event in ["pagehide", "offline"] {
        of_window(event);
    }
    of_document("freeze");
    millis(A_WHILE).await;
    assert!(is_visible(&engine).await && is_online(&engine).await);
    let thrown = run("return globalThis.thrown.join()");
    assert_eq!(thrown.as_string().unwrap(), "");
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_page_that_freezes_hands_the_lead_over_and_leads_again_later() {
    let name = fresh("freeze");
    let one = Counting::default();
    let frozen = running(&name, one.clone()).await;
    frozen.sync_now([]).await;
    let other = IdbStore::open(&name).await.unwrap().leadership();
    let began = js_sys::Date::now();
    let mut acquiring = other.acquire(Arc::new(BrowserClock::new()));
    // The request for the lock is out before the page freezes.
    assert!(futures::poll!(&mut acquiring).is_pending());
    millis(50).await;
    of_document("freeze");
    let lease = acquiring.await.unwrap();
    let took = js_sys::Date::now() - began;
    assert!(took < 1_000.0, "{took} ms");
    lease.release().await;
    let baby = frozen.scope("baby");
    baby.create(&feed("f1", 1)).await.unwrap();
    eventually("it leads again", async || one.pushes() == 1).await;
    frozen.shutdown().await;
}
