//! Keys and ranges of keys.
//!
//! All keys of a scope are the range from `[scope]` to `[scope, []]`: an array sorts after every string.

use idb::KeyRange;
use js_sys::Array;
use sync_core::model::RecordKey;
use wasm_bindgen::JsValue;

use crate::error::Attempt;

/// The largest whole number up to which a double holds each.
pub(crate) const EXACT: u64 = 1 << 53;

pub(crate) fn array(parts: &[&str]) -> JsValue {
    parts
        .iter()
        .copied()
        .map(JsValue::from_str)
        .collect::<Array>()
        .into()
}

pub(crate) fn array_of(parts: &[&JsValue]) -> JsValue {
    parts.iter().copied().collect::<Array>().into()
}

pub(crate) fn record(key: &RecordKey) -> JsValue {
    array(&[
        key.scope.as_str(),
        key.entity_type.as_str(),
        key.entity_id.as_str(),
    ])
}

/// A number that counts up, as a key. No store comes near the point where two of them would be the same.
pub(crate) fn number(n: u64) -> JsValue {
    JsValue::from_f64(n as f64)
}

fn past(parts: &[&str]) -> JsValue {
    let end: Array = parts.iter().copied().map(JsValue::from_str).collect();
    end.push(&Array::new());
    end.into()
}

/// All keys that begin with these parts.
pub(crate) fn within(parts: &[&str]) -> Attempt<KeyRange> {
    Ok(KeyRange::bound(&array(parts), &past(parts), None, None)?)
}

/// The keys that begin with these parts and come after the one that has `after` next.
pub(crate) fn within_after(parts: &[&str], after: &str) -> Attempt<KeyRange> {
    let mut all = parts.to_vec();
    all.push(after);
    Ok(KeyRange::bound(
        &array(&all),
        &past(parts),
        Some(true),
        None,
    )?)
}

/// The keys that begin with these parts and come after `after`, itself left out.
pub(crate) fn within_past(parts: &[&str], after: &JsValue) -> Attempt<KeyRange> {
    Ok(KeyRange::bound(after, &past(parts), Some(true), None)?)
}

/// The keys after all that begin with these parts.
pub(crate) fn after_all_of(parts: &[&str]) -> Attempt<KeyRange> {
    after(&past(parts))
}

/// The keys that begin with `parts`, after all those that begin with `first`.
pub(crate) fn within_after_all_of(parts: &[&str], first: &[&str]) -> Attempt<KeyRange> {
    within_past(parts, &past(first))
}

/// The keys after this one.
pub(crate) fn after(key: &JsValue) -> Attempt<KeyRange> {
    Ok(KeyRange::lower_bound(key, Some(true))?)
}

/// The keys from one to another, both included.
pub(crate) fn between(first: &JsValue, last: &JsValue) -> Attempt<KeyRange> {
    Ok(KeyRange::bound(first, last, None, None)?)
}
