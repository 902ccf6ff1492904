//! Overlay entries as they are stored: what they are searched by, and the rest as JSON text.

use js_sys::Array;
use serde::Serialize;
use sync_core::{
    model::RecordKey,
    ordered::sort_by,
    store::{Entry, EntryKind, EntryState, Seq},
};
use wasm_bindgen::JsValue;

use crate::{
    error::{Attempt, Failure},
    keys,
    schema::ENTRIES,
    transaction::Tx,
    values,
};

const WHAT: &str = "an overlay entry";

/// The names of the last three are those of their indexes.
#[derive(Serialize)]
struct Stored<'a> {
    mutation: String,
    scope: &'a str,
    #[serde(rename = "type")]
    entity_type: &'a str,
    id: &'a str,
    state: u8,
    entry: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    outbox: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    doubted: Option<&'a str>,
}

/// A state as it is stored.
fn number(state: EntryKind) -> u8 {
    match state {
        EntryKind::Pending => 1,
        EntryKind::Failed => 2,
        EntryKind::Acknowledged => 3,
    }
}

/// The key of the index by scope and state.
pub(super) fn in_state(scope: &str, state: EntryKind) -> JsValue {
    keys::array_of(&[&scope.into(), &number(state).into()])
}

pub(super) fn put(tx: &Tx, entry: &Entry) -> Attempt<()> {
    let RecordKey {
        scope,
        entity_type,
        entity_id,
    } = &entry.mutation.key;
    let doubted = match &entry.state {
        EntryState::Pending(pending) => pending.doubt.is_some(),
        EntryState::Acknowledged(_) | EntryState::Failed(_) => false,
    };
    let stored = Stored {
        mutation: entry.mutation.id.to_string(),
        scope: scope.as_str(),
        entity_type: entity_type.as_str(),
        id: entity_id.as_str(),
        state: number(entry.kind()),
        entry: values::encoded(WHAT, entry)?,
        outbox: entry.is_pending().then_some(entry.seq.0),
        failed: entry.is_failed().then_some(entry.seq.0),
        doubted: doubted.then_some(scope.as_str()),
    };
    let value = values::parsed(&values::encoded(WHAT, &stored)?)?;
    tx.put(ENTRIES, &value, Some(&keys::number(entry.seq.0)))
}

pub(super) fn remove(tx: &Tx, seq: Seq) -> Attempt<()> {
    tx.delete(ENTRIES, keys::number(seq.0))
}

fn entry(value: &JsValue) -> Attempt<Entry> {
    let stored = values::decoded(WHAT, &values::property(value, "entry"))?;
    stored.ok_or_else(|| Failure::unreadable(format!("{WHAT}: no text")))
}

/// The entries of an array that the browser has returned.
pub(super) fn all_of(array: JsValue) -> Attempt<Vec<Entry>> {
    values::items(array).map(|value| entry(&value)).collect()
}

/// Puts entries in the order of the store.
pub(super) fn sort(entries: &mut [Entry]) {
    sort_by(entries, |a, b| a.seq.cmp(&b.seq));
}

/// The sequence number that a cursor stands at; none where it has found nothing.
pub(super) fn seq_at(cursor: JsValue) -> Attempt<Option<Seq>> {
    if cursor.is_null() || cursor.is_undefined() {
        return Ok(None);
    }
    let key = values::property(&cursor, "primaryKey");
    Ok(key.as_f64().map(|seq| Seq(seq as u64)))
}

/// The record that a value is about.
pub(super) fn key(value: &JsValue) -> Attempt<RecordKey> {
    let text = |name| {
        let text = values::property(value, name).as_string();
        text.ok_or_else(|| Failure::unreadable(format!("a stored value has no {name}")))
    };
    Ok(RecordKey::new(text("scope")?, text("type")?, text("id")?))
}

/// The record that a key of three parts stands for.
pub(super) fn key_of_parts(parts: &Array) -> Attempt<RecordKey> {
    let text = |n| {
        let text = parts.get(n).as_string();
        text.ok_or_else(|| Failure::unreadable("a stored key has no three parts"))
    };
    Ok(RecordKey::new(text(0)?, text(1)?, text(2)?))
}
