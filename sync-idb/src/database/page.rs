//! Writing many records: as one JSON text that the browser parses at once, piece by piece.
//!
//! To build each object property by property across the border to JavaScript takes several times as long as to write
//! its text and let the browser parse it.

use std::mem;

use idb::ObjectStore;
use js_sys::Date;
use sync_core::{
    model::{Generation, Payload, RecordKey, Schema},
    store::{Marks, RecordRow},
};
use wasm_bindgen::JsValue;
use web_sys::IdbRequest;

use crate::{
    error::Attempt,
    exact::{Fate, fate},
    keys::EXACT,
    reply::Reply,
    schema::Place,
    transaction::Tx,
    values,
};

/// How much is handed to the browser at a time. It bounds how long the thread is held.
const PIECE_BYTES: usize = 256 * 1024;
const PIECE_RECORDS: usize = 200;

/// How long the thread is held at a time, on a machine that is slower than the sizes above expect; in milliseconds.
const PIECE_MILLIS: f64 = 8.0;
/// After how many requests the clock is looked at.
const LOOK_EVERY: usize = 25;

/// Writes records in the order in which they are given.
pub(super) struct Batch<'a> {
    tx: &'a Tx,
    stores: Vec<ObjectStore>,
    /// The text of an array of the values that are to be put.
    text: String,
    steps: Vec<Step>,
    /// The last request of the piece before this one.
    before: Option<Reply>,
}

/// One thing to do in an object store, by its place among those in use.
enum Step {
    /// Put the next value.
    Put(usize),
    Delete(usize, JsValue),
}

/// What is stored of a record beside its key and payload.
#[derive(Clone, Copy)]
pub(super) struct Beside {
    pub(super) schema: Schema,
    pub(super) seq: Option<u64>,
    pub(super) generation: Generation,
    pub(super) marks: Marks,
}

impl<'a> Batch<'a> {
    pub(super) fn new(tx: &'a Tx) -> Self {
        Self {
            tx,
            stores: Vec::new(),
            text: String::new(),
            steps: Vec::new(),
            before: None,
        }
    }

    pub(super) async fn put_row(&mut self, row: &RecordRow) -> Attempt<()> {
        let beside = Beside {
            schema: row.schema,
            seq: row.seq,
            generation: row.generation,
            marks: row.marks,
        };
        self.put(&row.key, &row.payload, beside).await
    }

    pub(super) async fn put(
        &mut self,
        key: &RecordKey,
        payload: &Payload,
        beside: Beside,
    ) -> Attempt<()> {
        let place = self.tx.place(&key.entity_type);
        let store = self.store(place)?;
        self.text.push(if self.text.is_empty() { '[' } else { ',' });
        write_record(&mut self.text, place, key, payload, beside)?;
        self.step(Step::Put(store)).await
    }

    pub(super) async fn remove(&mut self, key: &RecordKey) -> Attempt<()> {
        let place = self.tx.place(&key.entity_type);
        let step = Step::Delete(self.store(place)?, place.key(key));
        self.step(step).await
    }

    fn store(&mut self, place: Place<'_>) -> Attempt<usize> {
        let there = |store: &ObjectStore| store.name() == place.store;
        // As a rule a page is about few types, and mostly about the one before.
        if let Some(n) = self.stores.iter().rposition(there) {
            return Ok(n);
        }
        self.stores.push(self.tx.store(place.store)?);
        Ok(self.stores.len() - 1)
    }

    async fn step(&mut self, step: Step) -> Attempt<()> {
        self.steps.push(step);
        if self.text.len() >= PIECE_BYTES || self.steps.len() >= PIECE_RECORDS {
            self.write_piece().await?;
        }
        Ok(())
    }

    /// Hands over what is left. Whether all of it was written is known when the transaction ends.
    pub(super) async fn finish(mut self) -> Attempt<()> {
        self.write_piece().await
    }

    async fn write_piece(&mut self) -> Attempt<()> {
        let mut values = None;
        if !self.text.is_empty() {
            self.text.push(']');
            values = Some(values::items(values::parsed(&self.text)?));
            self.text.clear();
        }
        let (mut last, mut began) = (None, Date::now());
        for (n, step) in mem::take(&mut self.steps).into_iter().enumerate() {
            if n % LOOK_EVERY == 0 && Date::now() - began > PIECE_MILLIS {
                self.written(last.take()).await?;
                began = Date::now();
            }
            last = Some(match step {
                Step::Put(store) => {
                    let value = values.as_mut().and_then(Iterator::next);
                    let value = value.unwrap_or(JsValue::UNDEFINED);
                    IdbRequest::from(self.stores[store].put(&value, None)?)
                }
                Step::Delete(store, key) => self.stores[store].delete(key)?.into(),
            });
        }
        self.written(last).await
    }

    /// Lets others have the thread while the browser works on what was written up to `last`. The next piece is made
    /// when the one before is written, so that the browser never runs dry.
    async fn written(&mut self, last: Option<IdbRequest>) -> Attempt<()> {
        match mem::replace(&mut self.before, last.map(Reply::of)) {
            Some(before) => before.await.map(drop),
            None => Ok(()),
        }
    }
}

/// Writes the text of a record's value; its properties are described at [`crate::Declared`].
fn write_record(
    text: &mut String,
    place: Place<'_>,
    key: &RecordKey,
    payload: &Payload,
    beside: Beside,
) -> Attempt<()> {
    let Beside {
        schema,
        seq,
        generation,
        marks,
    } = beside;
    text.push_str("{\"scope\":");
    write_string(text, key.scope.as_str())?;
    if place.declared.is_none() {
        text.push_str(",\"type\":");
        write_string(text, key.entity_type.as_str())?;
    }
    text.push_str(",\"id\":");
    write_string(text, key.entity_id.as_str())?;
    let json = payload.as_str();
    let fate = fate(json);
    if fate != Fate::TooDeep {
        text.push_str(",\"payload\":");
        text.push_str(json);
    }
    if fate != Fate::Same {
        text.push_str(",\"text\":");
        write_string(text, json)?;
    }
    text.push_str(",\"schema\":");
    write_number(text, schema.0.into());
    text.push_str(",\"generation\":");
    write_number(text, generation.0);
    if let Some(seq) = seq {
        text.push_str(",\"seq\":");
        write_number(text, seq);
    }
    if marks.bits() != 0 {
        text.push_str(",\"marks\":");
        write_number(text, marks.bits().into());
    }
    text.push('}');
    Ok(())
}

fn write_string(text: &mut String, value: &str) -> Attempt<()> {
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if value.bytes().all(is_plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        text.push_str(&values::encoded("a name", value)?);
    }
    Ok(())
}

/// Writes a number; as a string of digits, where a double would not hold it.
fn write_number(text: &mut String, n: u64) {
    use std::fmt::Write;
    // Writing to a string does not fail.
    let _ = if n <= EXACT {
        write!(text, "{n}")
    } else {
        write!(text, "\"{n}\"")
    };
}
