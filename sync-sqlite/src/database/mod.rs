//! The store's logic: synchronous, in one type, over one connection.

mod apply;
mod conflicts;
mod entries;
mod outbox;
mod records;
mod scopes;
mod transaction;
mod writes;

use rusqlite::Connection;
use sync_core::error::StoreError;

pub(crate) use self::{scopes::Rows, transaction::begin_write};
use self::{
    transaction::{begin_read, guarded},
    writes::Writing,
};
use crate::{
    builder::Durability,
    error::{Attempt, Failure},
};

/// One connection to a database, and everything that the store does with it.
#[derive(Debug)]
pub(crate) struct Database {
    conn: Connection,
    durability: Durability,
    /// Whether commits wait for the disk at present; see [`Database::flush`].
    flushing: bool,
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
    pub(crate) fn new(conn: Connection, durability: Durability) -> Self {
        Self {
            conn,
            durability,
            flushing: false,
        }
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
        self.flush(flush).map_err(|failure| failure.during(what))?;
        guarded(|| {
            let transaction = begin_write(&self.conn)?;
            let mut writing = Writing::new(&self.conn);
            let answer = call(&mut writing)?;
            if writing.has_changed() {
                transaction.commit()?;
            }
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
        if wanted != self.flushing {
            let level = if wanted { "FULL" } else { "NORMAL" };
            self.conn
                .execute_batch(&format!("PRAGMA synchronous = {level}"))?;
            self.flushing = wanted;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sync_core::{
        error::StoreErrorKind,
        model::{Account, Op, Payload, RecordKey, Schema},
        store::{Edit, EnqueueRequest, EntryFilter, Stamp},
        time::Timestamp,
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
        let mut database = Database::new(conn, Durability::Edits);
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
}
