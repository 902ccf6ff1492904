//! What goes in comes out: ids, payloads and pages of every kind and size.

use sync_core::{
    model::{EntityId, EntityType, Scope},
    store::{ListRequest, Outbox, Records},
};
use sync_sqlite::SqliteStore;

use crate::support::{
    create, edit, enqueue, enqueueing, json, key, lead, list, page, pull, put, removed, uuid,
};

async fn store() -> (tempfile::TempDir, SqliteStore) {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(directory.path().join("app.db"))
        .await
        .unwrap();
    (directory, store)
}

#[tokio::test]
async fn any_text_is_an_id_and_lists_are_in_the_order_of_the_text() {
    let (_directory, store) = store().await;
    let fence = lead(&store).await;
    let upper = uuid(0xabcd << 100).to_uppercase();
    let mut ids = vec![
        uuid(0xabcd << 100),
        upper,
        uuid(7),
        uuid(u128::MAX),
        "nul \0 inside".to_owned(),
        "\0".to_owned(),
        String::new(),
        "日本語 👶🏽".to_owned(),
        "e\u{301}".to_owned(),
        "é".to_owned(),
        "0".to_owned(),
        "1e3".to_owned(),
        "0000000".to_owned(),
        "x'00'".to_owned(),
        "';--".to_owned(),
    ];
    let scope = "sc\0pe ☃";
    let half = ids.len() / 2;
    for id in &ids[..half] {
        enqueue(
            &store,
            &key(scope, id),
            create(&format!("{:?}", id.len())),
            1,
        )
        .await;
    }
    let changes = ids[half..].iter().zip(1..);
    let changes = changes.map(|(id, seq)| put("feed_log", id, &format!("{:?}", id.len()), seq));
    pull(&store, fence, scope, page(changes.collect(), "c", false)).await;

    ids.sort();
    let found: Vec<String> = list(&store, scope)
        .await
        .into_iter()
        .map(|r| r.key.entity_id.to_string())
        .collect();
    assert_eq!(found, ids);
    for (at, id) in ids.iter().enumerate() {
        let expected = format!("{:?}", id.len());
        assert_eq!(json(&store, &key(scope, id)).await, Some(expected));
        // A list may go on after any id, one that it holds or not.
        let request = ListRequest {
            scope: Scope::from(scope),
            entity_type: EntityType::from("feed_log"),
            after: Some(EntityId::from(id.as_str())),
            limit: Some(3),
        };
        let next: Vec<String> = store
            .list(request)
            .await
            .unwrap()
            .into_iter()
            .map(|r| r.key.entity_id.to_string())
            .collect();
        assert_eq!(
            next,
            ids.iter().skip(at + 1).take(3).cloned().collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn payloads_come_back_letter_by_letter() {
    let (_directory, store) = store().await;
    let fence = lead(&store).await;
    let payloads = [
        r#"{"z":1,"a":2,"m":{"y":1,"b":2}}"#,
        r#"{"big":123456789012345678901234567890,"f":1.0,"e":1E400,"neg":-0.0}"#,
        r#"{"esc":"\u0000\u00e9\ud83d\ude00\/","raw":"é😀","dup":1,"dup":2}"#,
        "[ 1,\t2 ,\n3 ]",
        "null",
        "\"text\"",
        "9007199254740993",
    ];
    for (n, text) in payloads.iter().enumerate() {
        let (pulled, local) = (key("a", &format!("p{n}")), key("a", &format!("l{n}")));
        enqueue(&store, &local, create(text), 1).await;
        let changes = vec![put(
            "feed_log",
            pulled.entity_id.as_ref(),
            text,
            n as u64 + 1,
        )];
        pull(&store, fence, "a", page(changes, &format!("c{n}"), true)).await;
        assert_eq!(json(&store, &pulled).await.as_deref(), Some(*text));
        assert_eq!(json(&store, &local).await.as_deref(), Some(*text));
    }
    let entries = store.entries(Default::default()).await.unwrap();
    for (entry, text) in entries.iter().zip(payloads) {
        assert_eq!(entry.mutation.op.payload().unwrap().as_str(), text);
    }
}

#[tokio::test]
async fn a_payload_of_five_megabytes_is_a_payload() {
    let (_directory, store) = store().await;
    let fence = lead(&store).await;
    let large = format!("{{\"photo\":\"{}\"}}", "a1".repeat(5 << 19));
    let (local, pulled) = (key("a", &uuid(1)), key("a", &uuid(2)));
    enqueue(&store, &local, create(&large), 1).await;
    let change = put("feed_log", pulled.entity_id.as_ref(), &large, 1);
    pull(&store, fence, "a", page(vec![change], "c", false)).await;
    assert_eq!(json(&store, &local).await.as_ref(), Some(&large));
    assert_eq!(json(&store, &pulled).await.as_ref(), Some(&large));
}

#[tokio::test]
async fn a_page_of_ten_thousand_changes_is_one_page() {
    let (_directory, store) = store().await;
    let fence = lead(&store).await;
    let id = |n: u64| uuid(u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    // The same record may come more than once in a page: the later change wins, whatever order they are stored in.
    let mut changes: Vec<_> = (0..10_000)
        .map(|n| put("feed_log", &id(n), &n.to_string(), n + 1))
        .collect();
    for n in (0..1_000).step_by(2) {
        changes.push(removed("feed_log", &id(n), 10_001 + n));
        changes.push(put("feed_log", &id(n + 1), "\"again\"", 10_002 + n));
    }
    pull(&store, fence, "a", page(changes, "c", false)).await;
    let scope = Scope::from("a");
    assert_eq!(store.count(scope.clone(), None).await.unwrap(), 9_500);
    assert_eq!(json(&store, &key("a", &id(0))).await, None);
    assert_eq!(
        json(&store, &key("a", &id(1))).await.as_deref(),
        Some("\"again\"")
    );
    assert_eq!(
        json(&store, &key("a", &id(9_999))).await.as_deref(),
        Some("9999")
    );
}

#[tokio::test]
async fn edits_enqueued_together_are_there_together_or_not_at_all() {
    let (_directory, store) = store().await;
    lead(&store).await;
    let good = edit(&key("a", "1"), create("1"));
    let mut moved = edit(&key("a", "2"), create("1"));
    moved.expect = Some(crate::support::payload("\"something else\""));
    store
        .enqueue(enqueueing(vec![good.clone(), moved], 1))
        .await
        .unwrap_err();
    assert_eq!(list(&store, "a").await, Vec::new());
    assert_eq!(store.counts(None).await.unwrap().pending, 0);
    store.enqueue(enqueueing(vec![good], 1)).await.unwrap();
    assert_eq!(list(&store, "a").await.len(), 1);
}
