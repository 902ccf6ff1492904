//! A transaction that ends as a whole, whatever happens in it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;
use sync_core::error::{StoreError, StoreErrorKind};

use crate::error::Attempt;

/// An open transaction; rolled back when it is dropped without a commit.
#[must_use]
#[derive(Debug)]
pub(crate) struct Transaction<'c> {
    conn: &'c Connection,
}

/// Begins a transaction that sees one state of the database.
pub(crate) fn begin_read(conn: &Connection) -> Attempt<Transaction<'_>> {
    conn.prepare_cached("BEGIN")?.execute([])?;
    Ok(Transaction { conn })
}

/// Begins a transaction that holds the write lock from its start, so that what it read stays true.
pub(crate) fn begin_write(conn: &Connection) -> Attempt<Transaction<'_>> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    Ok(Transaction { conn })
}

impl Transaction<'_> {
    pub(crate) fn commit(self) -> Attempt<()> {
        self.try_commit()
    }

    /// Commits; where that fails for a foreign key, the transaction is still open.
    pub(super) fn try_commit(&self) -> Attempt<()> {
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok(())
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        // SQLite has ended it by itself after some errors, a full disk among them.
        if !self.conn.is_autocommit() {
            let rolled_back = self
                .conn
                .prepare_cached("ROLLBACK")
                .and_then(|mut rollback| rollback.execute([]));
            if let Err(error) = rolled_back {
                tracing::error!(%error, "a transaction could not be rolled back");
            }
        }
    }
}

/// Runs what may call the app's code (policies, upgrades, projections); its panic becomes an error, and the
/// transaction that it happened in is rolled back.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Attempt<T>) -> Attempt<T> {
    // The connection is the only thing that outlives the call, and its transaction is rolled back on the way.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(StoreError::new(
            StoreErrorKind::App,
            "a panic inside the transaction; nothing was changed",
        )
        .into())
    })
}
