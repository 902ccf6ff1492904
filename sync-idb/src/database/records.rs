//! Records as the app reads them.

use std::{borrow::Cow, fmt, sync::Arc};

use idb::{KeyRange, Query};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use serde_json::value::RawValue;
use sync_core::{
    error::StoreErrorKind,
    json,
    model::{EntityType, Generation, Payload, RecordKey, Schema, Scope},
    store::{ListRequest, Marks, RecordRow},
};
use wasm_bindgen::{JsCast, JsValue};

use crate::{
    error::{Attempt, Failure},
    keys,
    schema::Place,
    transaction::Tx,
    values,
};

const WHAT: &str = "a record";

/// How many records are read at a time. It bounds how long the thread is held.
const PIECE: u32 = 500;

/// A record's value, as JSON text.
#[derive(Deserialize)]
struct Stored<'a> {
    #[serde(borrow)]
    scope: Cow<'a, str>,
    #[serde(borrow, default, rename = "type")]
    entity_type: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "present")]
    payload: Option<&'a RawValue>,
    #[serde(default)]
    text: Option<String>,
    schema: Schema,
    generation: Number,
    #[serde(default)]
    seq: Option<Number>,
    #[serde(default)]
    marks: u8,
}

/// A payload of `null` is one, too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// A number; stored as its digits where a double would not hold it.
struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyNumber)
    }
}

struct AnyNumber;

impl Visitor<'_> for AnyNumber {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or its digits")
    }

    fn visit_u64<E>(self, n: u64) -> Result<Number, E> {
        Ok(Number(n))
    }

    fn visit_str<E: de::Error>(self, digits: &str) -> Result<Number, E> {
        let n = digits.parse().map_err(|_| E::custom("no digits"))?;
        Ok(Number(n))
    }
}

impl Stored<'_> {
    fn row(self, text: &Arc<str>, entity_type: &EntityType) -> Attempt<RecordRow> {
        let payload = match (self.text, self.payload) {
            (Some(text), _) => Payload::parse(text)
                .map_err(|_| Failure::unreadable(format!("{WHAT}: its text is no JSON")))?,
            (None, Some(raw)) => Payload::from_raw(text, raw).detached(),
            (None, None) => {
                return Err(Failure::unreadable(format!("{WHAT}: it has no payload")));
            }
        };
        let entity_type = match self.entity_type {
            Some(entity_type) => EntityType::from(&*entity_type),
            None => entity_type.clone(),
        };
        Ok(RecordRow {
            key: RecordKey::new(&*self.scope, entity_type, &*self.id),
            payload,
            schema: self.schema,
            seq: self.seq.map(|Number(seq)| seq),
            generation: Generation(self.generation.0),
            marks: Marks::from_bits(self.marks),
        })
    }
}

/// The record that a stored value stands for; none where there is nothing.
pub(super) fn record_in(value: &JsValue, entity_type: &EntityType) -> Attempt<Option<RecordRow>> {
    if value.is_undefined() {
        return Ok(None);
    }
    let text: Arc<str> = values::text(value)?.into();
    let stored: Stored<'_> =
        json::from_str(&text).map_err(|error| Failure::undecodable(WHAT, &error))?;
    stored.row(&text, entity_type).map(Some)
}

/// The records of an array that the browser has returned.
fn records_in(array: &JsValue, entity_type: &EntityType) -> Attempt<Vec<RecordRow>> {
    let text: Arc<str> = values::text(array)?.into();
    let stored: Vec<Stored<'_>> =
        json::from_str(&text).map_err(|error| Failure::undecodable(WHAT, &error))?;
    let rows = stored.into_iter().map(|one| one.row(&text, entity_type));
    rows.collect()
}

/// The generation of a stored record.
pub(super) fn generation_in(value: &JsValue) -> Attempt<Generation> {
    let stored = values::property(value, "generation");
    let digits = || stored.as_string().and_then(|digits| digits.parse().ok());
    let number = stored.as_f64().map(|n| n as u64);
    number
        .or_else(digits)
        .map(Generation)
        .ok_or_else(|| Failure::unreadable(format!("{WHAT}: it has no generation")))
}

/// The keys of a scope's records of one type.
fn of_type(place: Place<'_>, scope: &Scope, entity_type: &EntityType) -> Attempt<KeyRange> {
    match place.declared {
        Some(_) => keys::within(&[scope.as_str()]),
        None => keys::within(&[scope.as_str(), entity_type.as_str()]),
    }
}

/// One record.
pub(crate) async fn get(tx: &Tx, key: &RecordKey) -> Attempt<Option<RecordRow>> {
    let place = tx.place(&key.entity_type);
    let found = tx.get(place.store, place.key(key))?;
    tx.asks_no_more();
    record_in(&found.await?, &key.entity_type)
}

/// The records of a scope and type, by id.
pub(crate) async fn list(tx: &Tx, request: &ListRequest) -> Attempt<Vec<RecordRow>> {
    let ListRequest {
        scope,
        entity_type,
        after,
        limit,
    } = request;
    let place = tx.place(entity_type);
    let mut parts = vec![scope.as_str()];
    if place.declared.is_none() {
        parts.push(entity_type.as_str());
    }
    let mut range = match after {
        Some(after) => keys::within_after(&parts, after.as_str())?,
        None => keys::within(&parts)?,
    };
    let mut rows = Vec::new();
    let mut left = limit.unwrap_or(u32::MAX);
    while left > 0 {
        let asked = left.min(PIECE);
        let found = tx.all(place.store, Some(range), Some(asked))?;
        if asked == left {
            tx.asks_no_more();
        }
        let mut piece = records_in(&found.await?, entity_type)?;
        let got = u32::try_from(piece.len()).unwrap_or(u32::MAX);
        left -= got.min(left);
        rows.append(&mut piece);
        let Some(last) = rows.last().filter(|_| got == asked) else {
            break;
        };
        range = keys::within_past(&parts, &place.key(&last.key))?;
    }
    Ok(rows)
}

/// How many records a scope has, of one type or of all.
pub(crate) async fn count(
    tx: &Tx,
    scope: &Scope,
    entity_type: Option<&EntityType>,
) -> Attempt<u64> {
    if let Some(entity_type) = entity_type {
        let place = tx.place(entity_type);
        let range = of_type(place, scope, entity_type)?;
        let counted = tx.count(place.store, Some(range))?;
        tx.asks_no_more();
        return Ok(values::counted(&counted.await?));
    }
    let mut counts = Vec::new();
    for place in tx.places() {
        let range = keys::within(&[scope.as_str()])?;
        counts.push(tx.count(place.store, Some(range))?);
    }
    tx.asks_no_more();
    let mut total = 0;
    for counted in counts {
        total += values::counted(&counted.await?);
    }
    Ok(total)
}

/// The records that an index of the app's has for a key or a range, in its order.
pub(crate) async fn query(
    tx: &Tx,
    entity_type: &EntityType,
    index: &str,
    query: Option<Query>,
    limit: Option<u32>,
) -> Attempt<Vec<RecordRow>> {
    let place = tx.place(entity_type);
    if place.declared.is_none() {
        return Err(Failure::refused(
            StoreErrorKind::Invalid,
            format!("type {entity_type} is not declared, and has no indexes"),
        ));
    }
    let found = tx.indexed(place.store, index, query, limit);
    let found = found.map_err(|failure| {
        if failure.is("NotFoundError") {
            let context = format!("type {entity_type} has no index {index:?}");
            return Failure::refused(StoreErrorKind::Invalid, context);
        }
        failure
    })?;
    tx.asks_no_more();
    records_in(&found.await?, entity_type)
}

/// The types of which a scope has records, of those that a place holds.
pub(super) async fn types_in(tx: &Tx, place: Place<'_>, scope: &Scope) -> Attempt<Vec<EntityType>> {
    let scope = scope.as_str();
    let mut types = Vec::new();
    let mut range = keys::within(&[scope])?;
    loop {
        let found = tx.all_keys(place.store, Some(range), Some(1))?.await?;
        let Some(key) = values::items(found).next() else {
            return Ok(types);
        };
        if let Some(entity_type) = place.declared {
            return Ok(vec![entity_type.clone()]);
        }
        let key: js_sys::Array = key.unchecked_into();
        let Some(name) = key.get(1).as_string() else {
            return Ok(types);
        };
        range = keys::within_after_all_of(&[scope], &[scope, &name])?;
        types.push(EntityType::from(name));
    }
}
