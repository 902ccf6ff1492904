//! The store's logic: synchronous, in one type, over one connection.
//!
//! Statements are prepared once. Two things would have SQLite compile one anew each time that it is used: a parameter
//! in a LIMIT, and a column that is compared with a bare parameter in a query with an ORDER BY. So what is read by
//! halves is read row by row, and such a parameter is written `+?1`.

mod apply;
mod conflicts;
mod entries;
mod kept;
mod lease;
mod lists;
mod outbox;
mod overlaid;
mod project;
mod records;
mod replay;
mod reset;
mod scopes;
mod transaction;
mod writes;

use std::{mem, sync::Arc};

use rusqlite::Connection;
use sync_core::{error::StoreError, model::RecordKey};

use self::{
    kept::Kept,
    project::commit_projected,
    transaction::{Transaction, begin_read, guarded},
    writes::Writing,
};
pub(crate) use self::{
    lease::{Heard, Leased},
    scopes::Rows,
    transaction::begin_write,
    writes::encode,
};
use crate::{
    builder::Durability,
    error::{Attempt, Failure},
    projection::Projections,
};

/// One connection to a database, and everything that the store does with it.
#[derive(Debug)]
pub(crate) struct Database {
    conn: Connection,
    durability: Durability,
    /// Whether commits wait for the disk at present, once that was said; see [`Database::flush`].
    flushing: Option<bool>,
    projections: Projections,
    /// How much of the news that `sync_store_state` counts came from here.
    written: u64,
    kept: Kept,
}

/// When a call has to be on the disk, and not only with the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flush {
    /// Before it returns, whatever the settings say: what follows from it cannot be taken back.
    Always,
    /// Before it returns, unless the app does without: it holds what the user did.
    Edit,
    /// With a later call: losing it costs a request, not an edit.
    Later,
}

impl Database {
    pub(crate) fn new(conn: Connection, durability: Durability, projections: Projections) -> Self {
        Self {
            conn,
            durability,
            flushing: None,
            projections,
            written: 0,
            kept: Kept::default(),
        }
    }

    /// A new name, for a store to be known by among all those on its database.
    pub(crate) fn name(&self) -> Result<Arc<str>, StoreError> {
        let name = self
            .conn
            .query_row("SELECT lower(hex(randomblob(8)))", [], |row| {
                row.get::<_, String>(0)
            });
        name.map(Arc::from)
            .map_err(|error| Failure::from(error).during("naming the store"))
    }

    /// Runs `call` on one state of the database.
    pub(crate) fn read<T>(
        &mut self,
        what: &'static str,
        call: impl FnOnce(&Rows<'_>) -> Attempt<T>,
    ) -> Result<T, StoreError> {
        guarded(|| {
            let _ends = begin_read(&self.conn)?;
            call(&Rows::new(&self.conn))
        })
        .map_err(|failure: Failure| failure.during(what))
    }

    /// Runs `call` in a transaction, which is committed if it succeeds and has changed something.
    pub(crate) fn write<T>(
        &mut self,
        what: &'static str,
        flush: Flush,
        call: impl FnOnce(&mut Writing<'_>) -> Attempt<T>,
    ) -> Result<T, StoreError> {
        let (answer, _) = self.write_projected(what, flush, false, call)?;
        Ok(answer)
    }

    /// As [`Database::write`]; also returns the records that the app's tables newly leave out. With `again`, the
    /// ones that they left out before are tried once more.
    fn write_projected<T>(
        &mut self,
        what: &'static str,
        flush: Flush,
        again: bool,
        call: impl FnOnce(&mut Writing<'_>) -> Attempt<T>,
    ) -> Result<(T, Vec<RecordKey>), StoreError> {
        self.flush(flush).map_err(|failure| failure.during(what))?;
        let Self {
            conn,
            projections,
            written,
            kept,
            ..
        } = self;
        guarded(|| {
            let transaction = begin_write(conn)?;
            let mut writing = Writing::begin(conn, projections, mem::take(kept))?;
            let answer = call(&mut writing)?;
            if !writing.has_changed() {
                *kept = writing.finish().0.kept.into_inner().rolled_back();
                return Ok((answer, Vec::new()));
            }
            let counted = writing.count()?;
            let (rows, views) = writing.finish();
            let left_out = commit_projected(transaction, &rows, projections, views, again)?;
            *written += counted;
            // Only now: what a transaction that is rolled back has kept is not so.
            *kept = rows.kept.into_inner().committed();
            Ok((answer, left_out))
        })
        .map_err(|failure: Failure| failure.during(what))
    }

    /// Runs `call` in a transaction that is no news to anybody: no view changes in it.
    fn transact<T>(
        &mut self,
        what: &'static str,
        call: impl FnOnce(&Connection) -> Attempt<T>,
    ) -> Result<T, StoreError> {
        self.flush(Flush::Later)
            .map_err(|failure| failure.during(what))?;
        guarded(|| {
            let transaction = begin_write(&self.conn)?;
            let answer = call(&self.conn)?;
            transaction.commit()?;
            Ok(answer)
        })
        .map_err(|failure: Failure| failure.during(what))
    }

    /// Makes the next commit wait for the disk, or not. SQLite takes the setting between transactions only.
    fn flush(&mut self, flush: Flush) -> Attempt<()> {
        let wanted = match (flush, self.durability) {
            (Flush::Always, _) | (_, Durability::Full) | (Flush::Edit, Durability::Edits) => true,
            (Flush::Edit, Durability::Process) | (Flush::Later, _) => false,
        };
        if self.flushing != Some(wanted) {
            let level = if wanted { "FULL" } else { "NORMAL" };
            self.conn
                .execute_batch(&format!("PRAGMA synchronous = {level}"))?;
            self.flushing = Some(wanted);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sync_core::{
        error::StoreErrorKind,
        model::{Account, Op, Payload, RecordKey, Schema},
        policy::NoUpgrade,
        store::{Edit, EnqueueRequest, EntryFilter, Pick, Stamp, TakeRequest},
        time::Timestamp,
        transport::ServerTraits,
    };

    use super::*;
    use crate::schema;

    fn enqueueing(id: &str) -> EnqueueRequest {
        let payload = format!("\"{}\"", "x".repeat(50_000));
        EnqueueRequest {
            account: Account::from("ann"),
            stamp: Stamp {
                now: Timestamp::from_millis(1),
                random: 7,
            },
            edits: vec![Edit {
                key: RecordKey::new("a", "t", id),
                op: Op::Create(Payload::parse(payload).unwrap()),
                schema: Schema(1),
                expect: None,
            }],
        }
    }

    #[test]
    fn a_full_disk_writes_nothing_by_halves_and_the_store_goes_on_when_there_is_room() {
        let directory = tempfile::tempdir().unwrap();
        let conn = Connection::open(directory.path().join("app.db")).unwrap();
        conn.pragma_update(None, "journal_mode", "WAL").unwrap();
        schema::migrate(&conn).unwrap();
        let mut database = Database::new(conn, Durability::Edits, Projections::default());
        database.bind(&Account::from("ann")).unwrap();

        let limit = |database: &Database, pages: i64| {
            let sql = format!("PRAGMA max_page_count = {pages}");
            database.conn.query_row(&sql, [], |_| Ok(())).unwrap();
        };
        limit(&database, 80);
        let stored = |database: &mut Database| {
            let read = database.read("reading", |rows| {
                let records = rows.count(&"a".into(), None)?;
                Ok((records, rows.entries(&EntryFilter::default())?.len() as u64))
            });
            read.unwrap()
        };
        let mut enqueued = 0;
        let error = loop {
            match database.enqueue(&enqueueing(&enqueued.to_string())) {
                Ok(_) => enqueued += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(*error.kind(), StoreErrorKind::Full);
        assert!(enqueued > 0);
        assert_eq!(stored(&mut database), (enqueued, enqueued));
        assert_eq!(
            *database.enqueue(&enqueueing("again")).unwrap_err().kind(),
            StoreErrorKind::Full
        );

        limit(&database, 10_000);
        database.enqueue(&enqueueing("with room")).unwrap();
        assert_eq!(stored(&mut database), (enqueued + 1, enqueued + 1));
    }

    #[test]
    fn a_call_waits_for_the_disk_as_the_settings_say_and_a_take_always() {
        let waits = |durability: Durability| {
            let directory = tempfile::tempdir().unwrap();
            let conn = Connection::open(directory.path().join("app.db")).unwrap();
            conn.pragma_update(None, "journal_mode", "WAL").unwrap();
            schema::migrate(&conn).unwrap();
            let mut database = Database::new(conn, durability, Projections::default());
            database.bind(&Account::from("ann")).unwrap();
            // SQLite's own word for it: 1 is NORMAL, 2 is FULL.
            let level = |database: &Database| -> i64 {
                let pragma = database
                    .conn
                    .query_row("PRAGMA synchronous", [], |row| row.get(0));
                pragma.unwrap()
            };
            database.enqueue(&enqueueing("1")).unwrap();
            let enqueued = level(&database);
            let fence = database.lead(&Account::from("ann")).unwrap();
            let led = level(&database);
            let taken = database.take(&TakeRequest {
                fence,
                now: Timestamp::from_millis(1),
                pick: Pick::default(),
                max_count: 1,
                max_bytes: 1,
                traits: ServerTraits::default(),
                upgrade: Arc::new(NoUpgrade),
            });
            assert_eq!(taken.unwrap().entries.len(), 1);
            (enqueued, led, level(&database))
        };
        assert_eq!(waits(Durability::Full), (2, 2, 2));
        assert_eq!(waits(Durability::Edits), (2, 1, 2));
        assert_eq!(waits(Durability::Process), (1, 1, 2));
    }
}
