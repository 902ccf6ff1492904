//! Bodies that are changed in one place and stay, character by character, as they were in all others.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json, value::RawValue};

pub(crate) type Object = BTreeMap<String, Box<RawValue>>;

pub(crate) fn object(body: &[u8]) -> Option<Object> {
    serde_json::from_slice(body).ok()
}

pub(crate) fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap()
}

pub(crate) fn read<T: DeserializeOwned>(object: &Object, field: &str) -> Option<T> {
    serde_json::from_str(object.get(field)?.get()).ok()
}

/// Changes each object of a list, where there is one.
pub(crate) fn each(object: &mut Object, list: &str, mut change: impl FnMut(&mut Object)) {
    if let Some(mut items) = read::<Vec<Object>>(object, list) {
        items.iter_mut().for_each(&mut change);
        object.insert(list.to_owned(), raw(&items));
    }
}

/// Removes objects of a list.
pub(crate) fn retain(object: &mut Object, list: &str, keep: impl Fn(&Object) -> bool) {
    let mut items: Vec<Object> = read(object, list).unwrap();
    items.retain(keep);
    object.insert(list.to_owned(), raw(&items));
}

/// Answers as applied what was rejected only for what came before it in the batch, which it does not name.
pub(crate) fn apply_unnamed(push: &Object, answer: &mut Object) {
    let mutations: Vec<Object> = read(push, "mutations").unwrap_or_default();
    let mut answers: Vec<Object> = read(answer, "answers").unwrap_or_default();
    let mut spoilt: Vec<String> = Vec::new();
    for (mutation, answer) in mutations.iter().zip(&mut answers) {
        let is_rejected = read::<String>(answer, "verdict").as_deref() == Some("rejected");
        let Some(record) = read::<String>(mutation, "entityId").filter(|_| is_rejected) else {
            continue;
        };
        if spoilt.contains(&record) && read::<String>(mutation, "after").is_none() {
            answer.insert("verdict".to_owned(), raw(&"applied"));
            answer.insert("version".to_owned(), raw(&json!({"epoch": "e", "seq": 1})));
        }
        spoilt.push(record);
    }
    if !answers.is_empty() {
        answer.insert("answers".to_owned(), raw(&answers));
    }
}

/// The account that a token is of.
pub(crate) fn account_of(headers: &HeaderMap) -> String {
    let token = headers.get(header::AUTHORIZATION);
    let token = token.and_then(|token| token.to_str().ok());
    let account = token.and_then(|token| token.strip_prefix("Bearer ")?.strip_suffix("-token"));
    account.unwrap_or("nobody").to_owned()
}

pub(crate) fn length(headers: &HeaderMap) -> Option<usize> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

/// Puts something of the right type wherever a push has something of a wrong one.
pub(crate) fn mend(push: &mut Object, account: &str) {
    if read::<String>(push, "account").is_none() {
        push.insert("account".to_owned(), raw(&account));
    }
    let cursors = read::<BTreeMap<String, Option<String>>>(push, "cursors");
    push.insert("cursors".to_owned(), raw(&cursors.unwrap_or_default()));
    each(push, "mutations", |mutation| {
        let mut or = |field: &str, fits: fn(&Value) -> bool, instead: Value| {
            let fitting = read(mutation, field).filter(fits);
            mutation.insert(field.to_owned(), raw(&fitting.unwrap_or(instead)));
        };
        or("ageMs", Value::is_u64, json!(0));
        or("base", is_version, json!(null));
        or("after", is_uuid, json!(null));
        or("scope", Value::is_string, json!("somewhere"));
        or("type", Value::is_string, json!("feed_log"));
        or("entityId", Value::is_string, json!("something"));
        or("op", Value::is_string, json!("create"));
        or("schema", Value::is_u64, json!(0));
    });
}

fn is_version(value: &Value) -> bool {
    value["epoch"].is_string() && value["seq"].is_u64()
}

fn is_uuid(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.len() == 36)
}
