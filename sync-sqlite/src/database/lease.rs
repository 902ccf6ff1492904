//! The lease of the lead, and what processes on one file tell each other through it.

use rusqlite::params;
use sync_core::{coordination::Notice, error::StoreError, time::Timestamp};

use super::{Database, scopes::unsigned};
use crate::error::Failure;

/// What an attempt to take the lease found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leased {
    /// It is taken.
    Ours,
    /// Somebody else holds it; the beat changes whenever it is renewed.
    Theirs { beat: i64 },
}

/// How far a listener has listened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    data_version: Option<i64>,
    /// How much others have written.
    written: u64,
    /// The last request.
    request: i64,
}

/// How many requests are kept for listeners that have not asked for a while.
const KEPT: i64 = 256;

impl Database {
    /// Takes the lease if it is free, has run out by the wall clock, or still shows the beat that has `stalled`.
    pub(crate) fn take_lease(
        &mut self,
        holder: &str,
        now: Timestamp,
        until: Timestamp,
        stalled: Option<i64>,
    ) -> Result<Leased, StoreError> {
        let what = "taking the lease";
        let may_take = "holder IS NULL OR expires <= ?1 OR beat = ?2";
        let read = format!("SELECT beat, {may_take} FROM sync_store_lease");
        let (beat, free): (i64, bool) = self.read(what, |rows| {
            let mut query = rows.conn.prepare_cached(&read)?;
            Ok(query.query_row(params![now.as_millis(), stalled], |row| {
                Ok((row.get(0)?, row.get::<_, Option<bool>>(1)?.unwrap_or(false)))
            })?)
        })?;
        if !free {
            return Ok(Leased::Theirs { beat });
        }
        let take = format!(
            "UPDATE sync_store_lease SET holder = ?3, expires = ?4, beat = beat + 1 WHERE {may_take}"
        );
        self.transact(what, |conn| {
            let taken = conn.prepare_cached(&take)?.execute(params![
                now.as_millis(),
                stalled,
                holder,
                until.as_millis()
            ])?;
            Ok(if taken > 0 {
                Leased::Ours
            } else {
                Leased::Theirs { beat }
            })
        })
    }

    /// Renews a lease; false when somebody else has it now.
    pub(crate) fn renew_lease(
        &mut self,
        holder: &str,
        until: Timestamp,
    ) -> Result<bool, StoreError> {
        self.transact("renewing the lease", |conn| {
            let renewed = conn
                .prepare_cached(
                    "UPDATE sync_store_lease SET expires = ?2, beat = beat + 1 WHERE holder = ?1",
                )?
                .execute(params![holder, until.as_millis()])?;
            Ok(renewed > 0)
        })
    }

    /// Gives a lease up, if it is still held.
    pub(crate) fn release_lease(&mut self, holder: &str) -> Result<(), StoreError> {
        self.transact("releasing the lease", |conn| {
            conn.prepare_cached("UPDATE sync_store_lease SET holder = NULL WHERE holder = ?1")?
                .execute([holder])?;
            Ok(())
        })
    }

    /// Leaves a notice for the process that leads, unless that is the one that `sender` names: then only what concerns
    /// the others, too.
    pub(crate) fn request(&mut self, sender: &str, notice: &Notice) -> Result<(), StoreError> {
        self.transact("leaving a notice", |conn| {
            let for_all = matches!(notice, Notice::Leads(_) | Notice::Wiped);
            let notice = serde_json::to_string(notice)
                .map_err(|error| Failure::undecodable("a notice", &error))?;
            let left = conn
                .prepare_cached(
                    "INSERT INTO sync_store_requests (sender, notice) SELECT ?1, ?2 \
                     WHERE ?3 OR NOT EXISTS (SELECT 1 FROM sync_store_lease WHERE holder LIKE ?1 || '-%')",
                )?
                .execute(params![sender, notice, for_all])?;
            if left > 0 {
                let last = conn.last_insert_rowid();
                conn.prepare_cached("DELETE FROM sync_store_requests WHERE n <= ?1")?
                    .execute([last - KEPT])?;
            }
            Ok(())
        })
    }

    /// What others have done since `heard`: that something changed, and what they ask for. The first time, nothing.
    pub(crate) fn listen(
        &mut self,
        own: &str,
        heard: Heard,
    ) -> Result<(Heard, Vec<Notice>), StoreError> {
        let written_here = self.written;
        self.read("listening for other processes", |rows| {
            // It changes only when another connection commits.
            let data_version: i64 = rows
                .conn
                .prepare_cached("PRAGMA data_version")?
                .query_row([], |row| row.get(0))?;
            if heard.data_version == Some(data_version) {
                return Ok((heard, Vec::new()));
            }
            let written: i64 = rows
                .conn
                .prepare_cached("SELECT sum(written) FROM sync_store_state")?
                .query_row([], |row| row.get(0))?;
            let last: i64 = rows
                .conn
                .prepare_cached("SELECT coalesce(max(n), 0) FROM sync_store_requests")?
                .query_row([], |row| row.get(0))?;
            let now = Heard {
                data_version: Some(data_version),
                written: unsigned(written).wrapping_sub(written_here),
                request: last.max(heard.request),
            };
            let mut notices = Vec::new();
            if heard.data_version.is_some() {
                if now.written != heard.written {
                    notices.push(Notice::Changed);
                }
                let mut query = rows.conn.prepare_cached(
                    "SELECT notice FROM sync_store_requests WHERE n > ?1 AND sender <> ?2 ORDER BY n",
                )?;
                let requests = query.query_map(params![heard.request, own], |row| {
                    row.get::<_, String>(0)
                })?;
                for request in requests {
                    // A newer version may say what this one does not understand: a notice may be lost.
                    notices.extend(serde_json::from_str::<Notice>(&request?));
                }
            }
            Ok((now, notices))
        })
    }
}
