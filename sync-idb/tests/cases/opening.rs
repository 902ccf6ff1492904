//! Opening, and what tabs with other versions of the app do to each other.

use std::time::Duration;

use futures::{FutureExt, StreamExt};
use sync_core::{
    engine::{DriverState, Event, SyncEngine},
    error::StoreErrorKind,
    store::{CursorStore, Outbox, Records},
};
use sync_idb::{Closed, Declared, IdbStore};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{
    browser::{Changed, millis, run},
    create, fresh, key, leading, list,
    server::{Counting, eventually, feed, running},
};

fn feeds() -> Declared {
    Declared::new("feed_log", "feeds").index("by_amount", "payload.ml")
}

/// Does something with a database without the store.
async fn raw(database: &str, script: &str) -> JsValue {
    let script = format!(
        "return new Promise((done, fail) => {{
            const opening = indexedDB.open({database:?});
            opening.onerror = () => fail(opening.error);
            opening.onsuccess = () => {{ const db = opening.result; {script} }};
        }})"
    );
    let promise: js_sys::Promise = run(&script).unchecked_into();
    JsFuture::from(promise).await.unwrap()
}

#[wasm_bindgen_test]
async fn a_tab_of_an_older_app_closes_its_handle_and_says_so() {
    let name = fresh("older");
    let (old, _) = leading(IdbStore::open(&name).await.unwrap()).await;
    old.enqueue(create("a", r#"{"ml":1}"#)).await.unwrap();
    let closed = old.closed();
    let new = IdbStore::builder(&name)
        .declare(feeds())
        .open()
        .await
        .unwrap();
    assert_eq!(closed.await, Closed::Upgraded);
    let error = old.get(key("a")).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::NewerFormat);
    assert!(error.to_string().contains("reload"), "{error}");
    let error = old.enqueue(create("b", "{}")).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::NewerFormat);
    assert_eq!(list(&new).await.len(), 1);
}

#[wasm_bindgen_test]
async fn a_tab_of_an_older_app_leaves_the_lead_to_the_newer_one() {
    let name = fresh("outdated");
    let old = running(&name, Counting::default()).await;
    eventually("the older one leads", async || {
        old.status().await.unwrap().driver == DriverState::Leading
    })
    .await;
    let mut events = old.events();
    let store = IdbStore::builder(&name).declare(feeds());
    let store = store.open().await.unwrap();
    let builder = SyncEngine::builder(store, Counting::default()).account("ann");
    let (new, driver) = builder.open().await.unwrap();
    wasm_bindgen_futures::spawn_local(driver.run());
    let baby = new.scope("baby");
    baby.create(&feed("f1", 120)).await.unwrap();
    eventually("the edit is pushed", async || {
        new.status().await.unwrap().counts.pending == 0
    })
    .await;
    // The older one says so once, and has ended: it does not ask for the lead for ever.
    let mut said = 0;
    millis(2_500).await;
    while let Some(Some(event)) = events.next().now_or_never() {
        said += usize::from(matches!(event, Ok(Event::Error { .. })));
    }
    assert_eq!(said, 1);
    new.shutdown().await;
}

#[wasm_bindgen_test]
async fn an_index_whose_path_is_none_is_the_apps_mistake() {
    let broken = Declared::new("feed_log", "feeds").index("by_bad", "payload.");
    let opening = IdbStore::builder(fresh("path")).declare(broken).open();
    let error = opening.await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("path of an index"), "{error}");
    // One that would never hold anything is told, too.
    let feeds = Declared::new("feed_log", "feeds").index("by_time", ["scope", "startedAt"]);
    let opened = IdbStore::builder(fresh("path")).declare(feeds).open();
    let error = opened.await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Invalid, "{error}");
    assert!(error.to_string().contains("payload.startedAt"), "{error}");
}

#[wasm_bindgen_test]
async fn an_older_app_needs_no_more_than_there_is_and_changes_nothing() {
    let name = fresh("older");
    let new = IdbStore::builder(&name)
        .declare(feeds())
        .open()
        .await
        .unwrap();
    let (new, _) = leading(new).await;
    let old = IdbStore::open(&name).await.unwrap();
    old.enqueue(create("a", r#"{"ml":1}"#)).await.unwrap();
    // It was not closed, and finds by its index what the older one has written.
    assert_eq!(list(&new).await.len(), 1);
    let found = new
        .query("feed_log", "by_amount", None, None)
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
}

#[wasm_bindgen_test]
async fn a_database_that_is_deleted_is_not_made_again_behind_the_apps_back() {
    let name = fresh("deleted");
    let store = IdbStore::open(&name).await.unwrap();
    run(&format!("indexedDB.deleteDatabase({name:?})"));
    assert_eq!(store.closed().await, Closed::Deleted);
    let error = store.scopes().await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
}

#[wasm_bindgen_test]
async fn a_tab_that_does_not_close_blocks_for_no_longer_than_is_waited() {
    let name = fresh("blocked");
    let store = IdbStore::open(&name).await.unwrap();
    store.close().await;
    raw(&name, "globalThis.stubborn = db; done(0);").await;
    let declared = || {
        let patience = Duration::from_millis(100);
        IdbStore::builder(&name).patience(patience).declare(feeds())
    };
    let error = declared().open().await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Busy, "{error}");
    assert!(error.to_string().contains("another tab"), "{error}");
    // The request that was given up is still there, and its connection is not left open.
    run("globalThis.stubborn.close()");
    let store = declared().open().await.unwrap();
    assert_eq!(list(&store).await, []);
    let other = Declared::new("sleep_log", "sleeps");
    declared().declare(other).open().await.unwrap();
}

#[wasm_bindgen_test]
async fn a_database_of_a_newer_library_is_refused() {
    let name = fresh("newer");
    IdbStore::open(&name).await.unwrap().close().await;
    let script = "
        const tx = db.transaction('sync_meta', 'readwrite');
        tx.objectStore('sync_meta').put(999, 'format');
        tx.oncomplete = () => { db.close(); done(0); };";
    raw(&name, script).await;
    for builder in [
        IdbStore::builder(&name),
        IdbStore::builder(&name).declare(feeds()),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(*error.kind(), StoreErrorKind::NewerFormat, "{error}");
    }
}

#[wasm_bindgen_test]
async fn a_database_of_something_else_is_left_alone() {
    let name = fresh("foreign");
    let script = format!(
        "return new Promise(done => {{
            const opening = indexedDB.open({name:?}, 3);
            opening.onupgradeneeded = () => opening.result.createObjectStore('theirs');
            opening.onsuccess = () => {{ opening.result.close(); done(0); }};
        }})"
    );
    let promise: js_sys::Promise = run(&script).unchecked_into();
    JsFuture::from(promise).await.unwrap();
    let error = IdbStore::open(&name).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Invalid, "{error}");
    let version = raw(
        &name,
        "db.close(); done(db.version + db.objectStoreNames.length);",
    )
    .await;
    assert_eq!(version.as_f64(), Some(4.0));
}

#[wasm_bindgen_test]
async fn a_browser_without_storage_is_a_clear_error() {
    let none = Changed::by(
        "
        const there = Object.getOwnPropertyDescriptor(globalThis, 'indexedDB');
        Object.defineProperty(globalThis, 'indexedDB', { configurable: true, value: undefined });
        return () => { delete globalThis.indexedDB; if (there) Object.defineProperty(globalThis, 'indexedDB', there); };
    ",
    );
    let error = IdbStore::open(fresh("none")).await.unwrap_err();
    drop(none);
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("no IndexedDB"), "{error}");

    let denied = Changed::by(
        "
        const its = IDBFactory.prototype, open = its.open;
        its.open = () => { throw new DOMException('denied', 'SecurityError'); };
        return () => { its.open = open; };
    ",
    );
    let error = IdbStore::open(fresh("denied")).await.unwrap_err();
    drop(denied);
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("private window"), "{error}");
}

#[wasm_bindgen_test]
async fn a_closed_store_says_that_it_was_closed() {
    let store = IdbStore::open(fresh("closed")).await.unwrap();
    let clone = store.clone();
    store.close().await;
    let error = clone.scopes().await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(clone.closed().await, Closed::ByApp);
}
