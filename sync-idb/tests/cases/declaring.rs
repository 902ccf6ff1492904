//! Types with an object store and indexes of their own.

use idb::{KeyRange, Query};
use sync_core::{
    error::StoreErrorKind,
    model::Scope,
    store::{ChangeApplier, EntryFilter, Marks, Outbox, Records},
};
use sync_idb::{Declared, IdbStore};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{create, fresh, key, leading, list, page, pull, shown};

fn feeds() -> Declared {
    Declared::new("feed_log", "feeds")
        .index("by_amount", ["scope", "payload.ml"])
        .index_each("by_tag", "payload.tags")
}

fn ids(rows: &[sync_core::store::RecordRow]) -> Vec<&str> {
    rows.iter().map(|row| row.key.entity_id.as_str()).collect()
}

fn of_baby(from: f64, to: f64) -> Query {
    let end = |ml: f64| js_sys::Array::of2(&"baby".into(), &ml.into()).into();
    let range: Result<KeyRange, _> = KeyRange::bound(&end(from), &end(to), None, None);
    range.unwrap().into()
}

#[wasm_bindgen_test]
async fn an_app_queries_an_index_over_its_payloads() {
    let store = IdbStore::builder(fresh("indexed")).declare(feeds()).open();
    let (store, fence) = leading(store.await.unwrap()).await;
    let records = [
        ("a", r#"{"ml":120,"tags":["left","night"]}"#),
        ("b", r#"{"ml":60,"tags":[]}"#),
        ("c", r#"{"ml":90,"tags":["night"]}"#),
        ("d", r#"{"other":true}"#),
        ("e", "null"),
    ];
    pull(&store, fence, "1", &records).await;
    store.enqueue(create("f", r#"{"ml":100}"#)).await.unwrap();
    let found = store.query("feed_log", "by_amount", Some(of_baby(80.0, 110.0)), None);
    let found = found.await.unwrap();
    assert_eq!(ids(&found), ["c", "f"]);
    assert_eq!(shown(&found[0]).1, records[2].1);
    assert!(found[1].marks.contains(Marks::PENDING));
    let night = Some(Query::from(JsValue::from("night")));
    let found = store
        .query("feed_log", "by_tag", night, Some(1))
        .await
        .unwrap();
    assert_eq!(ids(&found), ["a"]);
    for (entity_type, index) in [("feed_log", "by_none"), ("sleep_log", "by_amount")] {
        let error = store
            .query(entity_type, index, None, None)
            .await
            .unwrap_err();
        assert_eq!(*error.kind(), StoreErrorKind::Invalid, "{error}");
    }
}

#[wasm_bindgen_test]
async fn records_move_over_when_their_type_becomes_declared() {
    let name = fresh("moving");
    let (store, fence) = leading(IdbStore::open(&name).await.unwrap()).await;
    let texts: Vec<_> = (0..1_234)
        .map(|n| (format!("r{n:04}"), format!(r#"{{"ml":{n}}}"#)))
        .collect();
    let records: Vec<_> = texts
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    pull(&store, fence, "1", &records).await;
    let exact = r#"{"ml":9007199254740993}"#;
    store.enqueue(create("r0003", exact)).await.unwrap();
    let before = list(&store).await;
    store.close().await;

    let store = IdbStore::builder(&name)
        .declare(feeds())
        .open()
        .await
        .unwrap();
    assert_eq!(list(&store).await, before);
    assert_eq!(
        store.entries(EntryFilter::default()).await.unwrap().len(),
        1
    );
    let row = store.get(key("r0003")).await.unwrap().unwrap();
    assert_eq!(row.payload.as_str(), exact);
    assert_eq!(row.seq, Some(4));
    let found = store.query("feed_log", "by_amount", Some(of_baby(10.0, 11.0)), None);
    assert_eq!(ids(&found.await.unwrap()), ["r0010", "r0011"]);
    assert_eq!(store.count("baby".into(), None).await.unwrap(), 1_234);

    // An index more, and another name.
    let other = Declared::new("feed_log", "meals").index("by_ml", "payload.ml");
    let moved = IdbStore::builder(&name)
        .declare(other)
        .open()
        .await
        .unwrap();
    assert_eq!(list(&moved).await, before);
    let found = moved.query("feed_log", "by_ml", Some(JsValue::from(7).into()), None);
    assert_eq!(ids(&found.await.unwrap()), ["r0007"]);
    assert_eq!(moved.count("baby".into(), None).await.unwrap(), 1_234);
}

#[wasm_bindgen_test]
async fn a_sweep_that_is_under_way_when_records_move_misses_none() {
    let name = fresh("sweeping");
    let (store, fence) = leading(IdbStore::open(&name).await.unwrap()).await;
    let scope = || Scope::from("baby");
    let mut both = page(&store, fence, "1", &[("a", "1"), ("z", "2")]).await;
    both.page.changes[1].entity_type = "sleep_log".into();
    store.apply(both).await.unwrap();
    // The next pull from the start brings neither of them.
    store.resync(scope(), false, fence).await.unwrap();
    let mut nothing = page(&store, fence, "2", &[]).await;
    nothing.page.has_more = false;
    store.apply(nothing).await.unwrap();
    assert!(!store.sweep(scope(), 1, fence).await.unwrap().done);
    assert_eq!(store.count(scope(), None).await.unwrap(), 1);

    let store = IdbStore::builder(&name)
        .declare(feeds())
        .open()
        .await
        .unwrap();
    while !store.sweep(scope(), 1, fence).await.unwrap().done {}
    assert_eq!(store.count(scope(), None).await.unwrap(), 0);
}

#[wasm_bindgen_test]
async fn an_index_that_is_declared_otherwise_is_made_anew() {
    let name = fresh("changed");
    let by = |path: &str| Declared::new("feed_log", "feeds").index("by", path);
    let store = IdbStore::builder(&name).declare(by("payload.a")).open();
    let (store, fence) = leading(store.await.unwrap()).await;
    pull(&store, fence, "1", &[("x", r#"{"a":1,"b":2}"#)]).await;
    let store = IdbStore::builder(&name)
        .declare(by("payload.b"))
        .open()
        .await
        .unwrap();
    let found = async |key: u32| {
        let key = Some(JsValue::from(key).into());
        store
            .query("feed_log", "by", key, None)
            .await
            .unwrap()
            .len()
    };
    assert_eq!((found(1).await, found(2).await), (0, 1));
}

#[wasm_bindgen_test]
async fn declarations_that_contradict_one_another_are_refused() {
    let feeds = || Declared::new("feed_log", "feeds");
    for declared in [
        [feeds(), feeds()],
        [feeds(), Declared::new("sleep_log", "feeds")],
        [feeds(), Declared::new("sleep_log", "sync_records")],
    ] {
        let mut builder = IdbStore::builder(fresh("refused"));
        for declared in declared {
            builder = builder.declare(declared);
        }
        let error = builder.open().await.unwrap_err();
        assert_eq!(*error.kind(), StoreErrorKind::Invalid, "{error}");
    }
}

#[wasm_bindgen_test]
async fn what_a_number_of_javascript_cannot_hold_is_kept_beside_the_object() {
    let store = IdbStore::builder(fresh("exact")).declare(feeds()).open();
    let (store, fence) = leading(store.await.unwrap()).await;
    let deep = format!("{}1{}", "[".repeat(2_000), "]".repeat(2_000));
    let records = [
        ("a", r#"{"ml":50,"n":9007199254740993}"#),
        ("b", r#"{ "ml" : 60, "z":-0 }"#),
        ("c", r#"{"ml":70,"s":"zo\u00eb \ud83d"}"#),
        ("d", deep.as_str()),
    ];
    pull(&store, fence, "1", &records).await;
    let expected: Vec<_> = records.map(|(a, b)| (a.to_owned(), b.to_owned())).into();
    assert_eq!(list(&store).await, expected);
    let found = store.query("feed_log", "by_amount", Some(of_baby(50.0, 70.0)), None);
    assert_eq!(ids(&found.await.unwrap()), ["a", "b", "c"]);
}
