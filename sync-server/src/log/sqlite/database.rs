//! The change log on one SQLite connection, synchronously.

use std::{path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use sync_core::{
    error::StoreError,
    model::{EntityId, EntityType, Epoch, Scope},
    time::Timestamp,
    transport::{Answer, Verdict},
};

use super::{
    Durability, failed, rows, schema,
    statements::{
        forget_marks, load_moment, load_record, load_scope, load_verdict, store_record,
        store_scope, store_verdict,
    },
};
use crate::{
    decide::{Batch, Decision, Incoming, Reading, Situation},
    log::{
        BatchRequest, Compacted, EpochOf, NewEpoch, ReadOutcome, ReadRequest, Retention, ScopeRow,
    },
};

/// How long a call waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// A connection and what can be done with it. Every method is one transaction.
#[derive(Debug)]
pub(super) struct Database {
    connection: Connection,
}

impl Database {
    pub(super) fn open(path: &Path, durability: Durability) -> Result<Self, StoreError> {
        let connection = Connection::open(path).map_err(failed("opening the change log"))?;
        Self::prepare(connection, durability)
    }

    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory().map_err(failed("opening the change log"))?;
        Self::prepare(connection, Durability::Normal)
    }

    /// A second connection to a file that has been opened, which only reads.
    pub(super) fn reader(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .and_then(|connection| {
                connection.busy_timeout(BUSY)?;
                Ok(connection)
            })
            .map_err(failed("opening the change log for reading"))?;
        Ok(Self { connection })
    }

    fn prepare(mut connection: Connection, durability: Durability) -> Result<Self, StoreError> {
        let synchronous = match durability {
            Durability::Full => "full",
            Durability::Normal => "normal",
        };
        connection
            .busy_timeout(BUSY)
            .and_then(|()| connection.pragma_update(None, "journal_mode", "wal"))
            .and_then(|()| connection.pragma_update(None, "synchronous", synchronous))
            .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
            .map_err(failed("opening the change log"))?;
        connection.set_prepared_statement_cache_capacity(64);
        schema::migrate(&mut connection)?;
        Ok(Self { connection })
    }

    pub(super) fn decide(&mut self, request: &BatchRequest) -> Result<Vec<Answer>, StoreError> {
        let broken = failed("deciding a batch");
        let mut transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(&broken)?;
        let mut batch = Batch::new(request);
        let mut answers = Vec::with_capacity(request.mutations.len());
        for incoming in &request.mutations {
            let verdict = match batch.unprocessed(incoming) {
                Some(verdict) => verdict,
                None => {
                    let savepoint = transaction.savepoint().map_err(&broken)?;
                    match step(&savepoint, &mut batch, incoming) {
                        Ok(verdict) => {
                            savepoint.commit().map_err(&broken)?;
                            verdict
                        }
                        // A full disk may have rolled back all of the transaction, not only the savepoint.
                        Err(error) if savepoint.is_autocommit() => return Err(broken(error)),
                        Err(error) => {
                            tracing::warn!(mutation = %incoming.id, %error, "a mutation could not be stored");
                            batch.failed(incoming)
                        }
                    }
                }
            };
            let id = incoming.id;
            answers.push(Answer { id, verdict });
        }
        transaction.commit().map_err(&broken)?;
        Ok(answers)
    }

    pub(super) fn read(&mut self, request: &ReadRequest) -> Result<ReadOutcome, StoreError> {
        let reading = || -> rusqlite::Result<ReadOutcome> {
            // One snapshot for the scope's row and its records.
            let snapshot = self.connection.unchecked_transaction()?;
            let Some((id, scope)) = load_scope(&snapshot, &request.scope)? else {
                return Ok(ReadOutcome::NoScope);
            };
            let mut page = match Reading::begin(request, Some(&scope)) {
                Reading::Done(outcome) => return Ok(outcome),
                Reading::Records(page) => page,
            };
            let mut select = snapshot.prepare_cached(&format!(
                "select {} from records where scope = ?1 and seq > ?2 order by seq",
                rows::RECORD
            ))?;
            let mut records = select.query(params![id, page.after()])?;
            while let Some(row) = records.next()? {
                if !page.push(rows::record(&scope.scope, row)?) {
                    break;
                }
            }
            Ok(ReadOutcome::Page(page.finish()))
        };
        reading().map_err(failed("reading a page"))
    }

    pub(super) fn scope(&mut self, scope: &Scope) -> Result<Option<ScopeRow>, StoreError> {
        let loaded = load_scope(&self.connection, scope).map_err(failed("reading a scope"))?;
        Ok(loaded.map(|(_, scope)| scope))
    }

    pub(super) fn open_scope(
        &mut self,
        scope: Scope,
        epoch: Epoch,
    ) -> Result<ScopeRow, StoreError> {
        self.write("opening a scope", |connection| {
            if let Some((_, row)) = load_scope(connection, &scope)? {
                return Ok(row);
            }
            let row = ScopeRow::new(scope, epoch);
            store_scope(connection, &row)?;
            Ok(row)
        })
    }

    pub(super) fn new_epoch(&mut self, request: &NewEpoch) -> Result<(), StoreError> {
        self.write("beginning an epoch", |connection| match &request.of {
            EpochOf::All => {
                let mut select =
                    connection.prepare(&format!("select {} from scopes", rows::SCOPE))?;
                let scopes: Vec<_> = select
                    .query_map([], rows::scope)?
                    .collect::<rusqlite::Result<_>>()?;
                for (_, mut scope) in scopes {
                    let shared = scope.head;
                    scope.begin_epoch(request.epoch.clone(), shared);
                    store_scope(connection, &scope)?;
                }
                Ok(())
            }
            EpochOf::Broken(scope, ended) => match load_scope(connection, scope)? {
                Some((_, mut scope)) if scope.epoch == *ended => {
                    scope.begin_epoch(request.epoch.clone(), 0);
                    store_scope(connection, &scope).map(drop)
                }
                _ => Ok(()),
            },
        })
    }

    pub(super) fn compact(
        &mut self,
        now: Timestamp,
        retention: Retention,
    ) -> Result<Compacted, StoreError> {
        let before = Retention::cut(now, retention.tombstones());
        let tombstones = before.as_millis();
        let verdicts = Retention::cut(now, retention.verdicts()).as_millis();
        self.write("compacting", |connection| {
            connection.execute(
                "update scopes set removed = max(removed, gone.seq)
                 from (select scope, max(seq) as seq from records
                       where payload is null and made < ?1 group by scope) as gone
                 where scopes.id = gone.scope",
                [tombstones],
            )?;
            let removed = connection.execute(
                "delete from records where payload is null and made < ?1",
                [tombstones],
            )?;
            forget_marks(connection, before)?;
            connection.execute("delete from moments where made < ?1", [tombstones])?;
            let forgotten =
                connection.execute("delete from verdicts where made < ?1", [verdicts])?;
            Ok(Compacted {
                tombstones: removed as u64,
                verdicts: forgotten as u64,
            })
        })
    }

    pub(super) fn locate(
        &mut self,
        entity_type: &EntityType,
        entity_id: &EntityId,
    ) -> Result<Vec<Scope>, StoreError> {
        let locating = || -> rusqlite::Result<Vec<Scope>> {
            let mut select = self.connection.prepare_cached(
                "select scopes.scope from records join scopes on scopes.id = records.scope
                 where entity_type = ?1 and entity_id = ?2 and payload is not null
                 order by scopes.scope",
            )?;
            select
                .query_map(params![entity_type.as_str(), entity_id.as_str()], |row| {
                    row.get::<_, String>(0).map(Scope::from)
                })?
                .collect()
        };
        locating().map_err(failed("looking for a record"))
    }

    /// Runs work in a transaction that writes.
    pub(super) fn write<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let writing = || -> rusqlite::Result<T> {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        writing().map_err(failed(doing))
    }

    /// Runs work that reads with one statement.
    pub(super) fn query<T>(
        &mut self,
        doing: &'static str,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        work(&self.connection).map_err(failed(doing))
    }
}

/// Loads what a mutation meets, decides it, and stores the decision.
fn step(
    connection: &Connection,
    batch: &mut Batch<'_>,
    incoming: &Incoming,
) -> rusqlite::Result<Verdict> {
    let scope = load_scope(connection, &incoming.key.scope)?;
    let id = scope.as_ref().map(|(id, _)| *id);
    let mut situation = Situation {
        scope: scope.map(|(_, scope)| scope),
        record: match id {
            Some(id) => load_record(connection, id, &incoming.key)?,
            None => None,
        },
        verdict: load_verdict(connection, incoming.id)?,
        predecessor: match incoming.after {
            Some(after) => load_verdict(connection, after)?,
            None => None,
        },
        base_made: None,
    };
    if let (Some(id), Some(seq)) = (id, situation.base_seq(incoming)) {
        situation.base_made = match &situation.record {
            Some(record) if record.seq == seq => Some(record.made),
            _ => load_moment(connection, id, seq)?,
        };
    }
    let decision = batch.decide(incoming, &situation);
    let answer = decision.answer.clone();
    store(connection, id, decision)?;
    Ok(answer)
}

fn store(connection: &Connection, id: Option<i64>, decision: Decision) -> rusqlite::Result<()> {
    let id = match &decision.scope {
        Some(scope) => Some(store_scope(connection, scope)?),
        None => id,
    };
    if let (Some(id), Some(record)) = (id, &decision.record) {
        store_record(connection, id, record)?;
    }
    match &decision.verdict {
        Some(verdict) => store_verdict(connection, verdict),
        None => Ok(()),
    }
}
