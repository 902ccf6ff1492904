//! The statements that load and store a row.

use rusqlite::{Connection, OptionalExtension, params};
use sync_core::{
    model::{MutationId, RecordKey, Scope},
    time::Timestamp,
};

use super::rows;
use crate::log::{OverwrittenRow, RecordRow, ScopeRow, VerdictRow};

pub(super) fn load_scope(
    connection: &Connection,
    scope: &Scope,
) -> rusqlite::Result<Option<(i64, ScopeRow)>> {
    connection
        .prepare_cached(&format!(
            "select {} from scopes where scope = ?1",
            rows::SCOPE
        ))?
        .query_row([scope.as_str()], rows::scope)
        .optional()
}

pub(super) fn store_scope(connection: &Connection, row: &ScopeRow) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "insert into scopes (scope, head, made, removed, epoch, past) values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict (scope) do update set head = excluded.head, made = excluded.made,
                 removed = excluded.removed, epoch = excluded.epoch, past = excluded.past
             returning id",
        )?
        .query_row(
            params![
                row.scope.as_str(),
                row.head,
                row.made.as_millis(),
                row.removed,
                row.epoch.as_str(),
                rows::to_json(&row.past)?,
            ],
            |row| row.get(0),
        )
}

pub(super) fn load_record(
    connection: &Connection,
    scope: i64,
    key: &RecordKey,
) -> rusqlite::Result<Option<RecordRow>> {
    connection
        .prepare_cached(&format!(
            "select {} from records where entity_type = ?1 and entity_id = ?2 and scope = ?3",
            rows::RECORD
        ))?
        .query_row(
            params![key.entity_type.as_str(), key.entity_id.as_str(), scope],
            |row| rows::record(&key.scope, row),
        )
        .optional()
}

/// Appends a change: the record's earlier one goes, and the new one lies behind all others of its scope.
pub(super) fn store_record(
    connection: &Connection,
    scope: i64,
    record: &RecordRow,
) -> rusqlite::Result<()> {
    let (entity_type, entity_id) = (
        record.key.entity_type.as_str(),
        record.key.entity_id.as_str(),
    );
    connection
        .prepare_cached(
            "delete from records where entity_type = ?1 and entity_id = ?2 and scope = ?3",
        )?
        .execute(params![entity_type, entity_id, scope])?;
    let marks = &record.overwritten;
    let overwritten = rows::list_to_json(marks)?;
    let included = rows::list_to_json(&record.included)?;
    connection
        .prepare_cached(
            "insert into records (scope, entity_type, entity_id, seq, payload, schema, mutation_id, account,
                 merged, edited, made, overwritten, oldest_mark, created, included)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            scope,
            entity_type,
            entity_id,
            record.seq,
            record.payload.as_ref().map(|payload| payload.as_str()),
            record.schema.0,
            record.mutation_id.as_uuid().as_bytes(),
            record.account.as_str(),
            record.merged,
            record.edited.as_millis(),
            record.made.as_millis(),
            overwritten,
            rows::oldest(marks),
            record.created,
            included,
        ])?;
    connection
        .prepare_cached("insert into moments (scope, seq, made) values (?1, ?2, ?3)")?
        .execute(params![scope, record.seq, record.made.as_millis()])?;
    Ok(())
}

pub(super) fn load_moment(
    connection: &Connection,
    scope: i64,
    seq: u64,
) -> rusqlite::Result<Option<Timestamp>> {
    connection
        .prepare_cached("select made from moments where scope = ?1 and seq = ?2")?
        .query_row(params![scope, seq], |row| {
            row.get(0).map(Timestamp::from_millis)
        })
        .optional()
}

pub(super) fn load_verdict(
    connection: &Connection,
    id: MutationId,
) -> rusqlite::Result<Option<VerdictRow>> {
    connection
        .prepare_cached(&format!(
            "select {} from verdicts where mutation_id = ?1",
            rows::VERDICT
        ))?
        .query_row([id.as_uuid().as_bytes()], rows::verdict)
        .optional()
}

pub(super) fn store_verdict(connection: &Connection, verdict: &VerdictRow) -> rusqlite::Result<()> {
    let (outcome, seq, merged, reason) = rows::outcome(&verdict.outcome);
    connection
        .prepare_cached(
            "insert into verdicts (mutation_id, account, scope, entity_type, entity_id, fingerprint, outcome,
                 seq, merged, reason, made)
             values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            verdict.mutation_id.as_uuid().as_bytes(),
            verdict.account.as_str(),
            verdict.key.scope.as_str(),
            verdict.key.entity_type.as_str(),
            verdict.key.entity_id.as_str(),
            verdict.fingerprint.cast_signed(),
            outcome,
            seq,
            merged,
            reason,
            verdict.at.as_millis(),
        ])
        .map(drop)
}

/// Removes the marks of overwritten edits that are older than this.
pub(super) fn forget_marks(connection: &Connection, before: Timestamp) -> rusqlite::Result<()> {
    let mut select = connection
        .prepare_cached("select rowid, overwritten from records where oldest_mark < ?1")?;
    let records: Vec<(i64, Vec<OverwrittenRow>)> = select
        .query_map([before.as_millis()], |row| {
            Ok((row.get(0)?, rows::list(row, 1)?))
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut update = connection
        .prepare_cached("update records set overwritten = ?2, oldest_mark = ?3 where rowid = ?1")?;
    for (id, mut marks) in records {
        marks.retain(|mark| mark.at >= before);
        update.execute(params![
            id,
            rows::list_to_json(&marks)?,
            rows::oldest(&marks)
        ])?;
    }
    Ok(())
}
