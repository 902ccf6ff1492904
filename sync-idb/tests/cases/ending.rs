//! Transactions that end otherwise than they should: a full quota, a lost connection.

use std::sync::Arc;

use sync_core::{
    error::StoreErrorKind,
    model::{Op, Payload},
    policy::NoUpgrade,
    store::{ChangeApplier, Counts, CursorStore, EntryFilter, Outbox, Pick, Records, TakeRequest},
    time::Timestamp,
    transport::ServerTraits,
};
use sync_idb::{IdbStore, storage};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{
    browser::{Changed, run},
    create, fresh, key, leading, list, page, pull,
};

/// The next transaction that writes is found to be too large when it commits.
const FULL_AT_COMMIT: &str = "
    const its = IDBTransaction.prototype, commit = its.commit;
    const error = Object.getOwnPropertyDescriptor(its, 'error');
    let full;
    its.commit = function () {
        if (full || this.mode !== 'readwrite') return commit.call(this);
        full = this;
        this.abort();
    };
    Object.defineProperty(its, 'error', { configurable: true, get() {
        return this === full ? new DOMException('no room', 'QuotaExceededError') : error.get.call(this);
    } });
    return () => { its.commit = commit; Object.defineProperty(its, 'error', error); };
";

/// The second put from now on finds no room.
const FULL_AT_PUT: &str = "
    const its = IDBObjectStore.prototype, put = its.put;
    let n = 0;
    its.put = function (...all) {
        if (++n === 2) throw new DOMException('no room', 'QuotaExceededError');
        return put.apply(this, all);
    };
    return () => { its.put = put; };
";

#[wasm_bindgen_test]
async fn a_full_quota_is_told_as_full_and_leaves_nothing_half_written() {
    for full in [FULL_AT_COMMIT, FULL_AT_PUT] {
        let (store, fence) = leading(IdbStore::open(fresh("quota")).await.unwrap()).await;
        pull(&store, fence, "1", &[("a", r#"{"ml":1}"#)]).await;
        let before = store.scope("baby".into()).await.unwrap();

        let changed = Changed::by(full);
        let error = store.enqueue(create("b", "{}")).await.unwrap_err();
        drop(changed);
        assert_eq!(*error.kind(), StoreErrorKind::Full, "{error}");
        assert!(error.is_transient());
        assert_eq!(store.counts(None).await.unwrap(), Counts::default());

        let request = page(&store, fence, "2", &[("c", "1"), ("d", "2"), ("e", "3")]).await;
        let changed = Changed::by(full);
        let error = store.apply(request.clone()).await.unwrap_err();
        drop(changed);
        assert_eq!(*error.kind(), StoreErrorKind::Full, "{error}");
        assert_eq!(store.scope("baby".into()).await.unwrap(), before);
        assert_eq!(list(&store).await.len(), 1);

        // When there is room again, the same calls succeed.
        store.apply(request).await.unwrap();
        store.enqueue(create("b", "{}")).await.unwrap();
        assert_eq!(list(&store).await.len(), 5);
    }
}

#[wasm_bindgen_test]
async fn what_the_browser_has_thrown_is_told_by_name_and_message_and_may_leave_the_thread() {
    fn told(error: impl std::error::Error + Send + Sync + 'static) -> String {
        error.source().unwrap().to_string()
    }
    for (thrown, told_as) in [
        (
            "new DOMException('no room', 'QuotaExceededError')",
            "QuotaExceededError: no room",
        ),
        ("new TypeError('no such thing')", "TypeError: no such thing"),
        ("{ name: 'Odd', message: 'words' }", "Odd: words"),
        ("'a string'", "Error: "),
        ("undefined", "Error: "),
    ] {
        let (store, _) = leading(IdbStore::open(fresh("thrown")).await.unwrap()).await;
        let changed = Changed::by(&format!(
            "const its = IDBObjectStore.prototype, put = its.put;
             its.put = () => {{ throw {thrown} }};
             return () => {{ its.put = put; }};"
        ));
        let error = store.enqueue(create("a", "1")).await.unwrap_err();
        drop(changed);
        assert_eq!(told(error), told_as);
    }
}

#[wasm_bindgen_test]
async fn a_lost_connection_is_opened_again_once() {
    let (store, _) = leading(IdbStore::open(fresh("lost")).await.unwrap()).await;
    let lost = Changed::by(
        "
        const its = IDBDatabase.prototype, begin = its.transaction;
        let dead;
        its.transaction = function (...all) {
            dead = dead || this;
            if (this === dead) throw new DOMException('The database connection is closing.', 'InvalidStateError');
            return begin.apply(this, all);
        };
        return () => { its.transaction = begin; };
    ",
    );
    // The dead one is not asked again, though it goes on failing.
    store.enqueue(create("a", "1")).await.unwrap();
    store.enqueue(create("b", "2")).await.unwrap();
    assert_eq!(list(&store).await.len(), 2);
    drop(lost);
    assert_eq!(list(&store).await.len(), 2);
}

#[wasm_bindgen_test]
async fn a_connection_that_is_lost_within_a_call_makes_it_once() {
    let (store, _) = leading(IdbStore::open(fresh("lost")).await.unwrap()).await;
    let lost = Changed::by(
        "
        const its = IDBObjectStore.prototype, put = its.put;
        let n = 0;
        its.put = function (...all) {
            if (++n === 2) throw new DOMException(
                'Connection to Indexed Database server lost. Refresh the page to try again', 'UnknownError');
            return put.apply(this, all);
        };
        return () => { its.put = put; };
    ",
    );
    store.enqueue(create("a", "1")).await.unwrap();
    drop(lost);
    let entries = store.entries(EntryFilter::default()).await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(list(&store).await.len(), 1);
}

#[wasm_bindgen_test]
async fn a_connection_that_is_lost_in_the_middle_of_a_commit_makes_its_call_once() {
    let (store, _) = leading(IdbStore::open(fresh("lost")).await.unwrap()).await;
    store.enqueue(create("a", "1")).await.unwrap();
    let mut counted = create("a", "2");
    counted.edits[0].op = Op::Update(Payload::parse("2").unwrap());
    counted.edits[0].expect = Some(Payload::parse("1").unwrap());
    let lost = Changed::by(
        "
        const its = IDBTransaction.prototype, commit = its.commit;
        const error = Object.getOwnPropertyDescriptor(its, 'error');
        let lost;
        its.commit = function () {
            commit.call(this);
            if (lost || this.mode !== 'readwrite') return;
            lost = this;
            this.dispatchEvent(new Event('abort'));
        };
        Object.defineProperty(its, 'error', { configurable: true, get() {
            return this !== lost ? error.get.call(this) : new DOMException(
                'Connection to Indexed Database server lost. Refresh the page to try again', 'UnknownError');
        } });
        return () => { its.commit = commit; Object.defineProperty(its, 'error', error); };
    ",
    );
    // Made twice, it would find that the record has moved.
    store.enqueue(counted.clone()).await.unwrap();
    drop(lost);
    let error = store.enqueue(counted).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Moved);
}

#[wasm_bindgen_test]
async fn a_connection_that_is_lost_again_and_again_is_a_clear_error() {
    let (store, _) = leading(IdbStore::open(fresh("lost")).await.unwrap()).await;
    let lost = Changed::by(
        "
        const its = IDBObjectStore.prototype, get = its.get;
        its.get = function (...all) {
            if (this.name === 'sync_records') throw new DOMException(
                'Connection to Indexed Database server lost. Refresh the page to try again', 'UnknownError');
            return get.apply(this, all);
        };
        return () => { its.get = get; };
    ",
    );
    let error = store.get(key("a")).await.unwrap_err();
    assert_eq!(*error.kind(), StoreErrorKind::Unavailable);
    assert!(error.to_string().contains("connection"), "{error}");
    drop(lost);
    assert_eq!(store.get(key("a")).await.unwrap(), None);
}

#[wasm_bindgen_test]
async fn what_is_taken_is_on_the_disk_whatever_the_setting() {
    let (store, fence) = leading(IdbStore::open(fresh("strict")).await.unwrap()).await;
    let seen = Changed::by(
        "
        const its = IDBDatabase.prototype, begin = its.transaction;
        globalThis.durabilities = [];
        its.transaction = function (...all) {
            const tx = begin.apply(this, all);
            globalThis.durabilities.push(tx.durability);
            return tx;
        };
        return () => { its.transaction = begin; };
    ",
    );
    store.enqueue(create("a", "1")).await.unwrap();
    let request = TakeRequest {
        fence,
        now: Timestamp::from_millis(1),
        pick: Pick::default(),
        max_count: 10,
        max_bytes: 1_000,
        traits: ServerTraits::default(),
        upgrade: Arc::new(NoUpgrade),
    };
    assert_eq!(store.take(request).await.unwrap().entries.len(), 1);
    drop(seen);
    let seen = run("return globalThis.durabilities.join(' ')");
    assert_eq!(seen.as_string().unwrap(), "relaxed strict");
}

#[wasm_bindgen_test]
async fn the_puts_of_a_page_are_not_awaited_one_by_one() {
    let (store, fence) = leading(IdbStore::open(fresh("puts")).await.unwrap()).await;
    let ids: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    let records: Vec<_> = ids.iter().map(|id| (id.as_str(), "{}")).collect();
    let request = page(&store, fence, "1", &records).await;
    let seen = Changed::by(
        "
        const its = IDBRequest.prototype, listen = Object.getOwnPropertyDescriptor(its, 'onsuccess');
        globalThis.awaited = 0;
        Object.defineProperty(its, 'onsuccess', { ...listen, set(listener) {
            if (listener) globalThis.awaited++;
            listen.set.call(this, listener);
        } });
        return () => { Object.defineProperty(its, 'onsuccess', listen); };
    ",
    );
    store.apply(request).await.unwrap();
    drop(seen);
    let awaited = run("return globalThis.awaited").as_f64().unwrap();
    // A piece that takes long ends early, after 25 records at the least.
    assert!(awaited < 100.0, "{awaited} requests were awaited");
    assert_eq!(list(&store).await.len(), 2_000);
}

#[wasm_bindgen_test]
async fn the_thread_is_free_between_the_pieces_of_a_page() {
    let (store, fence) = leading(IdbStore::open(fresh("pieces")).await.unwrap()).await;
    let ids: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let records: Vec<_> = ids.iter().map(|id| (id.as_str(), "{}")).collect();
    let request = page(&store, fence, "1", &records).await;
    let seen = Changed::by(
        "
        const its = IDBObjectStore.prototype, put = its.put, channel = new MessageChannel();
        let now = 0;
        globalThis.most = 0;
        its.put = function (...all) {
            globalThis.most = Math.max(globalThis.most, ++now);
            return put.apply(this, all);
        };
        channel.port1.onmessage = () => { now = 0; channel.port2.postMessage(0); };
        channel.port2.postMessage(0);
        return () => { its.put = put; channel.port1.close(); };
    ",
    );
    store.apply(request).await.unwrap();
    drop(seen);
    let most = run("return globalThis.most").as_f64().unwrap();
    assert!(most < 600.0, "{most} puts with no turn of others");
}

#[wasm_bindgen_test]
async fn on_a_slow_machine_fewer_records_are_handed_over_at_a_time() {
    let (store, fence) = leading(IdbStore::open(fresh("slow")).await.unwrap()).await;
    let ids: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let records: Vec<_> = ids.iter().map(|id| (id.as_str(), "{}")).collect();
    let request = page(&store, fence, "1", &records).await;
    let seen = Changed::by(
        "
        const its = IDBObjectStore.prototype, put = its.put, channel = new MessageChannel();
        let now = 0;
        globalThis.most = 0;
        its.put = function (...all) {
            globalThis.most = Math.max(globalThis.most, ++now);
            const until = performance.now() + 1;
            while (performance.now() < until);
            return put.apply(this, all);
        };
        channel.port1.onmessage = () => { now = 0; channel.port2.postMessage(0); };
        channel.port2.postMessage(0);
        return () => { its.put = put; channel.port1.close(); };
    ",
    );
    store.apply(request).await.unwrap();
    drop(seen);
    let most = run("return globalThis.most").as_f64().unwrap();
    // The first two pieces may go out in one turn.
    assert!(
        most < 120.0,
        "{most} puts of a millisecond with no turn of others"
    );
    assert_eq!(list(&store).await.len(), 400);
}

#[wasm_bindgen_test]
async fn a_transaction_that_writes_is_committed_explicitly() {
    let (store, _) = leading(IdbStore::open(fresh("commit")).await.unwrap()).await;
    let seen = Changed::by(
        "
        const its = IDBTransaction.prototype, commit = its.commit;
        globalThis.commits = 0;
        its.commit = function () { globalThis.commits++; return commit.call(this); };
        return () => { its.commit = commit; };
    ",
    );
    store.enqueue(create("a", "1")).await.unwrap();
    drop(seen);
    assert_eq!(run("return globalThis.commits").as_f64(), Some(1.0));
}

#[wasm_bindgen_test]
async fn what_the_browser_says_of_its_storage_is_offered() {
    let estimate = storage::estimate().await.unwrap();
    assert!(estimate.quota > estimate.usage, "{estimate:?}");
    storage::persisted().await.unwrap();
    match storage::persist().await {
        Ok(_) => {}
        // Workers of this browser cannot ask.
        Err(error) => assert_eq!(*error.kind(), StoreErrorKind::Unavailable),
    }
}
