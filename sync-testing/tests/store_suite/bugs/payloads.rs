//! Bugs of keeping payloads, and the numbers beside them.

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{ChangeOp, Op, Payload, RecordKey, Schema, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, EnqueueRequest, Enqueued,
        MemoryStore, Outbox, RecordRow, Records, TakeRequest, Taken,
    },
};

use super::asking::asks_wrongly;
use crate::bent::Bug;

/// The payload of this text, where it is JSON.
fn rewritten(payload: &Payload, rewrite: impl Fn(&str) -> Option<String>) -> Payload {
    let text = rewrite(payload.as_str());
    let read = text.and_then(|text| Payload::parse(text).ok());
    read.unwrap_or_else(|| payload.clone())
}

/// The number of `{"n":…}`, read and written as a double.
fn as_double(text: &str) -> Option<String> {
    let number = text.strip_prefix(r#"{"n":"#)?.strip_suffix('}')?;
    let double: f64 = number.parse().ok()?;
    Some(format!(r#"{{"n":{double}}}"#))
}

#[derive(Default)]
pub(super) struct SendsDoubles;

#[async_trait]
impl Bug for SendsDoubles {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let mut taken = store.take(request).await?;
        for taken in &mut taken.entries {
            if let Op::Create(payload) = &mut taken.entry.mutation.op {
                *payload = rewritten(payload, as_double);
            }
        }
        Ok(taken)
    }
}

asks_wrongly! { LeavesNulOut, apply(store, request: ApplyRequest) -> ApplyOutcome {
    for change in &mut request.page.changes {
        if let ChangeOp::Put(payload) = &mut change.op {
            *payload = rewritten(payload, |text| Some(text.replace("\\u0000", "")));
        }
    }
}}

/// As where an empty table is an empty table.
#[derive(Default)]
pub(super) struct ReadsEmptyArraysAsObjects;

#[async_trait]
impl Bug for ReadsEmptyArraysAsObjects {
    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let mut row = store.get(key).await?;
        if let Some(row) = &mut row {
            row.payload = rewritten(&row.payload, |text| Some(text.replace("[]", "{}")));
        }
        Ok(row)
    }
}

asks_wrongly! { CutsAtOneMegabyte, enqueue(store, request: EnqueueRequest) -> Vec<Enqueued> {
    for edit in &mut request.edits {
        if let Op::Create(payload) = &mut edit.op {
            *payload = rewritten(payload, |text| {
                let end = text.floor_char_boundary(1 << 20);
                (end < text.len()).then(|| format!("{}\"}}", &text[..end]))
            });
        }
    }
}}

#[derive(Default)]
pub(super) struct ForgetsTheSchema;

#[async_trait]
impl Bug for ForgetsTheSchema {
    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let row = store.get(key).await?;
        Ok(row.map(|row| RecordRow {
            schema: Schema(1),
            ..row
        }))
    }
}

#[derive(Default)]
pub(super) struct NumbersInDoubles;

#[async_trait]
impl Bug for NumbersInDoubles {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "that is the bug"
    )]
    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let row = store.get(key).await?;
        Ok(row.map(|row| RecordRow {
            seq: row.seq.map(|seq| seq as f64 as u64),
            ..row
        }))
    }
}

#[derive(Default)]
pub(super) struct ReadsNullAsNothing;

#[async_trait]
impl Bug for ReadsNullAsNothing {
    async fn conflicts(
        &self,
        store: &MemoryStore,
        scope: Option<Scope>,
    ) -> Result<Vec<Conflict>, StoreError> {
        let mut conflicts = store.conflicts(scope).await?;
        for conflict in &mut conflicts {
            conflict.theirs.take_if(|theirs| theirs.as_str() == "null");
        }
        Ok(conflicts)
    }
}
