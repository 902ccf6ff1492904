//! Several handles on one database, as tabs are, and who of them leads.

use std::{future::poll_fn, sync::Arc, task::Poll};

use sync_core::{
    coordination::{Notice, PeerId},
    error::StoreErrorKind,
    store::{ChangeApplier, Coordination, CursorStore, Outbox},
    time::Clock,
};
use sync_idb::IdbStore;
use sync_testing::VirtualClock;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{
    browser::{millis, run},
    create, fresh, leading, list, page,
};

fn clock() -> Arc<dyn Clock> {
    Arc::new(VirtualClock::new())
}

/// What a future has after some time, if it has ended by then.
async fn soon<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    for _ in 0..50 {
        let mut polled = None;
        poll_fn(|context| {
            if let Poll::Ready(value) = std::pin::Pin::new(&mut *future).poll(context) {
                polled = Some(value);
            }
            Poll::Ready(())
        })
        .await;
        if polled.is_some() {
            return polled;
        }
        millis(10).await;
    }
    None
}

async fn wait_for(script: &str) {
    let promise: js_sys::Promise = run(script).unchecked_into();
    JsFuture::from(promise).await.unwrap();
}

#[wasm_bindgen_test]
async fn two_handles_see_what_the_other_writes() {
    let name = fresh("two");
    let (one, _) = leading(IdbStore::open(&name).await.unwrap()).await;
    let two = IdbStore::open(&name).await.unwrap();
    one.enqueue(create("a", "1")).await.unwrap();
    two.enqueue(create("b", "2")).await.unwrap();
    assert_eq!(list(&one).await, list(&two).await);
    assert_eq!(one.counts(None).await.unwrap().pending, 2);
}

#[wasm_bindgen_test]
async fn the_lead_passes_within_a_second_when_the_leaders_tab_goes() {
    let name = fresh("crash");
    let store = IdbStore::open(&name).await.unwrap();
    // A tab that is closed, or crashes, says no farewell; nor does a worker.
    wait_for(&format!(
        "return new Promise(done => {{
            const script = `navigator.locks.request('sync-idb:{name}', () => {{
                postMessage(0); return new Promise(() => {{}}); }})`;
            const worker = new Worker(URL.createObjectURL(new Blob([script])));
            worker.onmessage = done;
            globalThis.leader = worker;
        }})"
    ))
    .await;
    let leadership = store.leadership();
    let mut acquiring = leadership.acquire(clock());
    assert!(soon(&mut acquiring).await.is_none());
    run("globalThis.leader.terminate()");
    let lease = soon(&mut acquiring).await;
    lease.expect("half a second is enough").unwrap();
}

#[wasm_bindgen_test]
async fn a_lead_that_is_stolen_is_lost() {
    let name = fresh("stolen");
    let store = IdbStore::open(&name).await.unwrap();
    let mut lease = store.leadership().acquire(clock()).await.unwrap();
    assert!(soon(&mut lease.lost()).await.is_none());
    wait_for(&format!(
        "return new Promise(done => navigator.locks.request('sync-idb:{name}', {{ steal: true }}, done))"
    ))
    .await;
    assert!(soon(&mut lease.lost()).await.is_some());
}

#[wasm_bindgen_test]
async fn a_tab_that_thaws_after_another_has_led_changes_nothing() {
    let name = fresh("thaw");
    let (frozen, fence) = leading(IdbStore::open(&name).await.unwrap()).await;
    let request = page(&frozen, fence, "1", &[("a", "1")]).await;
    let (other, _) = leading(IdbStore::open(&name).await.unwrap()).await;
    let error = frozen.apply(request).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Fenced);
    assert_eq!(list(&other).await, []);
}

#[wasm_bindgen_test]
async fn a_fence_is_raised_by_each_leader_in_turn() {
    let name = fresh("fence");
    let mut last = None;
    for _ in 0..3 {
        let store = IdbStore::open(&name).await.unwrap();
        let lease = store.leadership().acquire(clock()).await.unwrap();
        store.bind("ann".into()).await.unwrap();
        let fence = store.lead("ann".into()).await.unwrap();
        assert!(last < Some(fence));
        last = Some(fence);
        drop(lease);
    }
}

#[wasm_bindgen_test]
async fn a_notice_reaches_other_tabs_and_not_its_sender() {
    let name = fresh("notice");
    let (one, two) = (
        IdbStore::open(&name).await.unwrap(),
        IdbStore::open(&name).await.unwrap(),
    );
    let mut own = one.peers().listen(PeerId(1), clock());
    let mut others = two.peers().listen(PeerId(2), clock());
    one.peers().send(PeerId(1), &Notice::Enqueued);
    assert_eq!(soon(&mut others.next()).await, Some(Notice::Enqueued));
    assert_eq!(soon(&mut own.next()).await, None);
}

#[wasm_bindgen_test]
async fn a_listener_that_falls_behind_learns_that_something_has_changed() {
    let name = fresh("behind");
    let store = IdbStore::open(&name).await.unwrap();
    let mut notices = store.peers().listen(PeerId(2), clock());
    let peers = store.peers();
    for _ in 0..2_000 {
        peers.send(PeerId(1), &Notice::Enqueued);
    }
    millis(300).await;
    let mut heard = 0;
    let mut changed = false;
    while let Some(notice) = soon(&mut notices.next()).await {
        heard += 1;
        changed |= notice == Notice::Changed;
    }
    assert!(changed && heard < 300, "{heard}, {changed}");
}
