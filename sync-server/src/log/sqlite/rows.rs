//! Rows as SQLite holds them.

use std::sync::Arc;

use rusqlite::{Row, types::Type};
use serde::{Serialize, de::DeserializeOwned};
use sync_core::{
    model::{Account, Epoch, MutationId, Payload, RecordKey, Schema, Scope},
    text::Text,
    time::Timestamp,
};
use uuid::Uuid;

use crate::log::{Outcome, OverwrittenRow, RecordRow, ScopeRow, VerdictRow};

pub(super) const SCOPE: &str = "id, scope, head, made, removed, epoch, past";

pub(super) fn scope(row: &Row<'_>) -> rusqlite::Result<(i64, ScopeRow)> {
    let scope = ScopeRow {
        scope: Scope::new(text(row, 1)?),
        head: row.get(2)?,
        made: Timestamp::from_millis(row.get(3)?),
        removed: row.get(4)?,
        epoch: Epoch::new(text(row, 5)?),
        past: json(6, row.get_ref(6)?.as_str()?)?,
    };
    Ok((row.get(0)?, scope))
}

pub(super) const RECORD: &str = "entity_type, entity_id, seq, payload, schema, mutation_id, account, \
                                 merged, edited, made, overwritten, created, included";

pub(super) fn record(scope: &Scope, row: &Row<'_>) -> rusqlite::Result<RecordRow> {
    Ok(RecordRow {
        key: RecordKey::new(scope.clone(), text(row, 0)?, text(row, 1)?),
        payload: row
            .get::<_, Option<Arc<str>>>(3)?
            .map(|payload| Payload::parse(payload).map_err(|error| unreadable(3, error)))
            .transpose()?,
        schema: Schema(row.get(4)?),
        seq: row.get(2)?,
        created: row.get(11)?,
        mutation_id: mutation_id(row, 5)?,
        account: Account::new(text(row, 6)?),
        merged: row.get(7)?,
        edited: Timestamp::from_millis(row.get(8)?),
        made: Timestamp::from_millis(row.get(9)?),
        overwritten: list(row, 10)?,
        included: list(row, 12)?,
    })
}

/// A list of a record's, null where it is empty.
pub(super) fn list<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<Vec<T>> {
    match row.get_ref(column)?.as_str_or_null()? {
        Some(list) => json(column, list),
        None => Ok(Vec::new()),
    }
}

pub(super) fn list_to_json<T: Serialize>(list: &[T]) -> rusqlite::Result<Option<String>> {
    (!list.is_empty()).then(|| to_json(&list)).transpose()
}

/// When the first of the marks was made.
pub(super) fn oldest(marks: &[OverwrittenRow]) -> Option<i64> {
    marks.first().map(|mark| mark.at.as_millis())
}

pub(super) const VERDICT: &str = "mutation_id, account, scope, entity_type, entity_id, fingerprint, outcome, \
                                  seq, merged, reason, made";

pub(super) fn verdict(row: &Row<'_>) -> rusqlite::Result<VerdictRow> {
    let outcome = match row.get_ref(6)?.as_str()? {
        "applied" => Outcome::Applied {
            seq: row.get(7)?,
            merged: row.get(8)?,
        },
        "conflict" => Outcome::Conflict { seq: row.get(7)? },
        "rejected" => Outcome::Rejected {
            reason: row.get(9)?,
        },
        _ => Outcome::Forbidden,
    };
    Ok(VerdictRow {
        mutation_id: mutation_id(row, 0)?,
        account: Account::new(text(row, 1)?),
        key: RecordKey::new(text(row, 2)?, text(row, 3)?, text(row, 4)?),
        fingerprint: row.get::<_, i64>(5)?.cast_unsigned(),
        outcome,
        at: Timestamp::from_millis(row.get(10)?),
    })
}

/// An outcome as its columns: name, number, merged, reason.
pub(super) fn outcome(
    outcome: &Outcome,
) -> (&'static str, Option<u64>, Option<bool>, Option<&str>) {
    match outcome {
        Outcome::Applied { seq, merged } => ("applied", Some(*seq), Some(*merged), None),
        Outcome::Conflict { seq } => ("conflict", Some(*seq), None, None),
        Outcome::Rejected { reason } => ("rejected", None, None, Some(reason)),
        Outcome::Forbidden => ("forbidden", None, None, None),
    }
}

pub(super) fn to_json<T: Serialize>(value: &T) -> rusqlite::Result<String> {
    serde_json::to_string(value)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
}

fn json<T: DeserializeOwned>(column: usize, text: &str) -> rusqlite::Result<T> {
    serde_json::from_str(text).map_err(|error| unreadable(column, error))
}

fn text(row: &Row<'_>, column: usize) -> rusqlite::Result<Text> {
    Ok(Text::from(row.get_ref(column)?.as_str()?))
}

fn mutation_id(row: &Row<'_>, column: usize) -> rusqlite::Result<MutationId> {
    Uuid::from_slice(row.get_ref(column)?.as_blob()?)
        .map(MutationId::from)
        .map_err(|error| unreadable(column, error))
}

fn unreadable(
    column: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}
