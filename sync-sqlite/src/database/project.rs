//! Bringing the app's own tables up to the records, as the last thing before a commit.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{EntityId, EntityType, RecordKey, Scope},
    store::RecordRow,
};

use super::{Rows, Transaction};
use crate::{
    error::{Attempt, Failure},
    ids::{ReadId, StoredId},
    projection::{Projections, Unprojected},
};

/// Views that have changed; none where the record is gone.
pub(super) type Views = BTreeMap<RecordKey, Option<RecordRow>>;

/// How many marked records are tried again with a page.
const RETRIED: i64 = 1_000;

/// Commits a transaction with the app's tables brought up to `views`. Returns the records that are newly left out.
///
/// With `again`, records that were left out before are tried once more.
pub(super) fn commit_projected(
    transaction: Transaction<'_>,
    rows: &Rows<'_>,
    projections: &Projections,
    mut views: Views,
    again: bool,
) -> Attempt<Vec<RecordKey>> {
    let marked = !projections.is_empty() && rows.has_marked()?;
    if again && marked {
        for key in rows.marked()? {
            if projections.get(&key.entity_type).is_some() && !views.contains_key(&key) {
                let record = rows.get(key.clone())?;
                views.insert(key, record);
            }
        }
    }
    if views.is_empty() {
        transaction.commit()?;
        return Ok(Vec::new());
    }
    let projecting = Projecting {
        conn: rows.conn,
        projections,
        views: &views,
        marked,
    };
    projecting.commit(&transaction)
}

struct Projecting<'a> {
    conn: &'a Connection,
    projections: &'a Projections,
    views: &'a Views,
    /// Whether any record is marked as left out.
    marked: bool,
}

/// Records that could not be projected, with the reason.
type Failed<'a> = BTreeMap<&'a RecordKey, String>;

impl<'a> Projecting<'a> {
    fn commit(&self, transaction: &Transaction<'_>) -> Attempt<Vec<RecordKey>> {
        self.savepoint("SAVEPOINT sync_projecting")?;
        // It lasts until the transaction ends.
        self.conn.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        let failed = self.run(self.views.keys())?;
        let left_out = self.mark(&failed)?;
        if self.committed(transaction)? {
            return Ok(left_out);
        }
        // Something refers to what is not there. With the keys checked at each statement, the ones at fault fail by
        // themselves; what only came too early succeeds in a later round.
        self.savepoint("ROLLBACK TO sync_projecting")?;
        self.conn.execute_batch("PRAGMA defer_foreign_keys = OFF")?;
        let mut failed = self.run(self.views.keys())?;
        loop {
            let again = self.run(failed.keys().copied())?;
            let done = again.is_empty() || again.len() == failed.len();
            failed = again;
            if done {
                break;
            }
        }
        let left_out = self.mark(&failed)?;
        if self.committed(transaction)? {
            return Ok(left_out);
        }
        // Keys that are declared as deferred name nobody; the records are stored, and the tables wait.
        self.savepoint("ROLLBACK TO sync_projecting")?;
        let reason = "a deferred foreign key of some record in the same transaction is violated";
        let all = self.views.keys().map(|key| (key, reason.to_owned()));
        let left_out = self.mark(&all.collect())?;
        transaction.try_commit()?;
        Ok(left_out)
    }

    /// Commits, unless a foreign key is violated.
    fn committed(&self, transaction: &Transaction<'_>) -> Attempt<bool> {
        match transaction.try_commit() {
            Ok(()) => Ok(true),
            Err(failure) if failure.is_foreign_key() && !self.conn.is_autocommit() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    fn run(&self, keys: impl Iterator<Item = &'a RecordKey>) -> Attempt<Failed<'a>> {
        let mut failed = Failed::new();
        for key in keys {
            let (Some(projection), Some(view)) =
                (self.projections.get(&key.entity_type), self.views.get(key))
            else {
                continue;
            };
            self.savepoint("SAVEPOINT sync_record")?;
            let projected = match view {
                Some(record) => projection.put(self.conn, record),
                None => projection.remove(self.conn, key),
            };
            if self.conn.is_autocommit() && projected.is_ok() {
                return Err(app("a projection has ended the store's transaction"));
            }
            if let Err(error) = projected {
                let error = match error.downcast::<rusqlite::Error>() {
                    // That the disk is full, say, is not this record's fault.
                    Ok(error) if crate::error::is_circumstance(&error) => {
                        return Err((*error).into());
                    }
                    Ok(error) => error.to_string(),
                    Err(error) => error.to_string(),
                };
                if self.conn.is_autocommit() {
                    return Err(app("a projection has ended the store's transaction"));
                }
                self.savepoint("ROLLBACK TO sync_record")?;
                failed.insert(key, error);
            }
            self.savepoint("RELEASE sync_record")?;
        }
        Ok(failed)
    }

    /// Notes who is left out, and who no longer is. Returns those who were not before.
    fn mark(&self, failed: &Failed<'_>) -> Attempt<Vec<RecordKey>> {
        let mut left_out = Vec::new();
        let unmarked = |key: &RecordKey| -> Attempt<bool> {
            let gone = self.conn.prepare_cached(
                "DELETE FROM sync_store_unprojected WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
            )?
            .execute(params![
                key.scope.as_str(),
                key.entity_type.as_str(),
                StoredId::of(&key.entity_id)
            ])?;
            Ok(gone > 0)
        };
        for key in self.views.keys() {
            let before = self.marked && unmarked(key)?;
            if let Some(error) = failed.get(key) {
                if !before {
                    tracing::warn!(record = %key, "a record could not be projected");
                    left_out.push(key.clone());
                }
                // At the end of the list, so that all are tried in turn.
                self.conn.prepare_cached(
                    "INSERT INTO sync_store_unprojected (scope, type, entity_id, error) VALUES (?1, ?2, ?3, ?4)",
                )?
                .execute(params![
                    key.scope.as_str(),
                    key.entity_type.as_str(),
                    StoredId::of(&key.entity_id),
                    error
                ])?;
            }
        }
        Ok(left_out)
    }

    fn savepoint(&self, sql: &str) -> Attempt<()> {
        self.conn.prepare_cached(sql)?.execute([])?;
        Ok(())
    }
}

fn app(what: &str) -> Failure {
    StoreError::new(StoreErrorKind::App, what).into()
}

impl Rows<'_> {
    fn has_marked(&self) -> Attempt<bool> {
        Ok(self
            .conn
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM sync_store_unprojected)")?
            .query_row([], |row| row.get(0))?)
    }

    /// The records that were left out the longest ago.
    fn marked(&self) -> Attempt<Vec<RecordKey>> {
        let left_out = self.unprojected(RETRIED)?;
        Ok(left_out
            .into_iter()
            .map(|unprojected| unprojected.key)
            .collect())
    }

    /// The records that the app's tables do not show as they are; at most `limit`, or all if it is negative.
    pub(crate) fn unprojected(&self, limit: i64) -> Attempt<Vec<Unprojected>> {
        let mut query = self.conn.prepare_cached(
            "SELECT scope, type, entity_id, error FROM sync_store_unprojected ORDER BY n LIMIT ?1",
        )?;
        let rows = query.query_map([limit], |row| {
            Ok(Unprojected {
                key: RecordKey {
                    scope: Scope::from(row.get::<_, String>(0)?),
                    entity_type: EntityType::from(row.get::<_, String>(1)?),
                    entity_id: row.get::<_, ReadId>(2)?.0,
                },
                error: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// How far the replay of a projection has come.
pub(super) struct Replay {
    pub(super) version: u32,
    /// The row id of the last record that was put; none once all were.
    pub(super) at: Option<i64>,
}

impl Rows<'_> {
    pub(super) fn replay(&self, entity_type: &EntityType) -> Attempt<Option<Replay>> {
        Ok(self
            .conn
            .prepare_cached("SELECT version, replayed FROM sync_store_projections WHERE type = ?1")?
            .query_row([entity_type.as_str()], |row| {
                Ok(Replay {
                    version: row.get(0)?,
                    at: row.get(1)?,
                })
            })
            .optional()?)
    }

    pub(super) fn set_replay(&self, entity_type: &EntityType, replay: &Replay) -> Attempt<()> {
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO sync_store_projections (type, version, replayed) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![entity_type.as_str(), replay.version, replay.at])?;
        Ok(())
    }

    /// The records of a type that come after a row id, with the last one's.
    pub(super) fn records_after(
        &self,
        entity_type: &EntityType,
        after: i64,
        limit: u32,
    ) -> Attempt<(Views, Option<i64>)> {
        let mut views = Views::new();
        let mut last = None;
        let Some(number) = self.type_number(entity_type)? else {
            return Ok((views, last));
        };
        let mut query = self.conn.prepare_cached(
            "SELECT r.id, s.scope, r.entity_id FROM sync_store_records r \
             JOIN sync_store_state s ON s.id = r.scope \
             WHERE r.id > ?1 AND r.type = ?2 ORDER BY r.id LIMIT ?3",
        )?;
        let found = query.query_map(params![after, number, limit], |row| {
            let id: EntityId = row.get::<_, ReadId>(2)?.0;
            Ok((row.get(0)?, Scope::from(row.get::<_, String>(1)?), id))
        })?;
        for found in found {
            let (row_id, scope, entity_id): (i64, Scope, EntityId) = found?;
            last = Some(row_id);
            let key = RecordKey {
                scope,
                entity_type: entity_type.clone(),
                entity_id,
            };
            let record = self.get(key.clone())?;
            views.insert(key, record);
        }
        Ok((views, last))
    }
}
