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
