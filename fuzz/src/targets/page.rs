//! The page in the body of a pull's answer, in each dialect.

use std::sync::Arc;

use serde_json::Value;
use sync_core::model::{Change, Page};
use sync_http::{
    dialect::{ChangeNote, Feed},
    wire::PageBody,
};

use crate::{memory::bounded, named, text, words::assert_names_a_place};

/// Decodes the input as a page.
pub fn run(input: &[u8]) {
    let Some(body) = text(input) else { return };
    own(&body);
    feed(&body, &Feed::since());
    feed(&body, &Feed::cursor());
}

fn own(body: &Arc<str>) {
    let page = match bounded(body, || PageBody::decode(body)) {
        Ok(page) => page,
        Err(error) => return assert_names_a_place(&error),
    };
    let encoded = PageBody::encode(&page).unwrap().into();
    assert_eq!(PageBody::decode(&encoded).unwrap(), page);

    let Some(json) = named(body) else {
        return assert_shared(body, &page);
    };
    assert_eq!(json["next"], page.next.as_str());
    assert_changes(body, &page, &json["changes"], ["type", "id", "payload"]);
    for (change, json) in changes(&page, &json["changes"]) {
        assert_eq!(json["seq"].as_u64(), change.seq);
        for (at, lost) in change.overwritten.iter().enumerate() {
            assert_eq!(json["overwritten"][at]["account"], lost.account.as_str());
        }
    }
}

fn feed(body: &Arc<str>, feed: &Feed) {
    let page = match bounded(body, || feed.decode_page(body)) {
        Ok(page) => page,
        Err(error) => return assert_names_a_place(&error),
    };
    let note = ChangeNote {
        made_at: Default::default(),
        is_new: false,
    };
    let encoded = feed.encode_page(&page, |_| note).unwrap().into();
    let again = feed.decode_page(&encoded).unwrap();
    assert_eq!(again, page);

    let Some(json) = named(body) else {
        return assert_shared(body, &page);
    };
    let names = &feed.pull;
    let fields = [&*names.entity_type, &*names.entity_id, &*names.payload];
    assert_changes(body, &page, &json[&names.changes], fields);
}

fn changes<'a>(page: &'a Page, json: &'a Value) -> impl Iterator<Item = (&'a Change, &'a Value)> {
    let json = json.as_array().unwrap();
    assert_eq!(page.changes.len(), json.len());
    page.changes.iter().zip(json)
}

/// The changes hold what the JSON says, and share its text.
fn assert_changes(body: &Arc<str>, page: &Page, json: &Value, [kind, id, payload]: [&str; 3]) {
    for (change, json) in changes(page, json) {
        assert_text(change.entity_type.as_str(), &json[kind]);
        assert_text(change.entity_id.as_str(), &json[id]);
        if let Some(decoded) = change.op.payload() {
            assert_eq!(decoded.decode::<Value>().unwrap(), json[payload]);
        }
    }
    assert_shared(body, page);
}

/// A text is what a string holds, or a number as it is spelt.
fn assert_text(text: &str, json: &Value) {
    match json {
        Value::String(string) => assert_eq!(text, string),
        number => assert_eq!(serde_json::from_str::<Value>(text).unwrap(), *number),
    }
}

/// Payloads are always slices of the body, and ids are where nothing in them is escaped.
fn assert_shared(body: &Arc<str>, page: &Page) {
    let is_escaped = body.contains('\\');
    for change in &page.changes {
        let payload = change.op.payload().map(|payload| payload.as_str());
        assert!(payload.is_none_or(|payload| lies_in(body, payload)));
        for id in [change.entity_type.as_str(), change.entity_id.as_str()] {
            assert!(is_escaped || lies_in(body, id));
        }
    }
}

fn lies_in(body: &str, part: &str) -> bool {
    body.as_bytes().as_ptr_range().contains(&part.as_ptr())
}
