//! Starting over: resync, sweep, purge, wipe.

use std::collections::BTreeSet;

use rusqlite::params;
use sync_core::{
    error::StoreError,
    model::{Generation, RecordKey, Scope},
    overlay::{check_fence, may_wipe, purge, resync, sweep_end},
    store::{EntryFilter, Fence, Meta, Purged, SweepOutcome, Touched},
    time::Timestamp,
};

use super::{
    Database, Flush,
    entries::entry_ids,
    writes::{REMOVE_RECORD, Writing, encode},
};
use crate::{error::Attempt, ids::StoredId};

impl Database {
    pub(crate) fn resync(
        &mut self,
        scope: &Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        self.write("beginning a resync", Flush::Later, |tx| {
            let keys = if new_epoch {
                tx.acknowledged(scope)?.keys(scope, tx)?
            } else {
                BTreeSet::new()
            };
            let writes = resync(tx.load_scope(scope, keys)?, scope, new_epoch, fence)?;
            tx.store(&writes)?;
            Ok(writes.touched)
        })
    }

    pub(crate) fn sweep(
        &mut self,
        scope: &Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        self.write("sweeping", Flush::Later, |tx| {
            check_fence(&tx.meta()?, fence)?;
            tx.sweep(scope, limit.max(1))
        })
    }

    pub(crate) fn purge(
        &mut self,
        scope: &Scope,
        at: Timestamp,
        fence: Fence,
    ) -> Result<Purged, StoreError> {
        self.write("purging a scope", Flush::Later, |tx| {
            tx.purge(scope, at, fence)
        })
    }

    pub(crate) fn wipe(&mut self, force: bool) -> Result<Touched, StoreError> {
        self.write("wiping", Flush::Edit, |tx| tx.wipe(force))
    }
}

impl Writing<'_> {
    /// Notes that all records of a scope go, of the types that the app has tables for.
    fn view_none(&mut self, number: i64, scope: &Scope) -> Attempt<()> {
        for (type_number, entity_type) in self.types()? {
            if self.is_projected(&entity_type) {
                for (entity_id, _) in self.generations(number, type_number, None, u32::MAX)? {
                    let key = RecordKey {
                        scope: scope.clone(),
                        entity_type: entity_type.clone(),
                        entity_id,
                    };
                    self.view(&key, None);
                }
            }
        }
        Ok(())
    }

    fn sweep(&mut self, scope: &Scope, limit: u32) -> Attempt<SweepOutcome> {
        let mut row = self.scope(scope)?;
        let Some(resync) = row.resync.as_mut().filter(|resync| resync.sweeping) else {
            return Ok(SweepOutcome {
                done: true,
                touched: Touched::default(),
            });
        };
        let number = self.numbered_scope(scope)?;
        let mut touched = Touched::default();
        let mut last = None;
        let mut left = limit;
        for (type_number, entity_type) in self.types()? {
            let after = match &resync.swept {
                Some(swept) if swept.entity_type > entity_type => continue,
                Some(swept) if swept.entity_type == entity_type => Some(&swept.entity_id),
                _ => None,
            };
            if left == 0 {
                break;
            }
            for (id, generation) in self.generations(number, type_number, after, left)? {
                left -= 1;
                let key = RecordKey {
                    scope: scope.clone(),
                    entity_type: entity_type.clone(),
                    entity_id: id,
                };
                if generation < row.generation {
                    self.conn.prepare_cached(REMOVE_RECORD)?.execute(params![
                        number,
                        type_number,
                        StoredId::of(&key.entity_id)
                    ])?;
                    touched.add(scope, &entity_type);
                    self.view(&key, None);
                }
                last = Some(key);
            }
        }
        let done = last.is_none();
        if done {
            let writes = sweep_end(self.load_scope(scope, [])?, scope);
            self.store(&writes)?;
        } else {
            resync.swept = last;
            self.put_scope(&row)?;
        }
        Ok(SweepOutcome { done, touched })
    }

    fn purge(&mut self, scope: &Scope, at: Timestamp, fence: Fence) -> Attempt<Purged> {
        let entries = self.entries(&EntryFilter {
            scope: Some(scope.clone()),
            ..Default::default()
        })?;
        let (row, revoked) = purge(&self.load_scope(scope, [])?, scope, entries, at, fence)?;
        let mut touched = Touched::default();
        if let Some(number) = self.scope_number(scope)? {
            self.touch_types(number, scope, &mut touched)?;
            self.view_none(number, scope)?;
            self.forget_overlay();
            for table in ["records", "hidden"] {
                self.conn.execute(
                    &format!("DELETE FROM sync_store_{table} WHERE scope = ?1"),
                    [number],
                )?;
            }
            let (first, last) = entry_ids(number)?;
            self.conn.execute(
                "DELETE FROM sync_store_entries WHERE id BETWEEN ?1 AND ?2",
                [first, last],
            )?;
        }
        for revoked in &revoked {
            self.conn
                .prepare_cached(
                    "INSERT INTO sync_store_revoked (mutation, revoked) VALUES (?1, ?2)",
                )?
                .execute(params![
                    revoked.mutation.id.as_uuid().as_bytes(),
                    encode(revoked)?
                ])?;
        }
        self.put_scope(&row)?;
        Ok(Purged {
            revoked: revoked.len() as u64,
            touched,
        })
    }

    /// The types of which a scope has records.
    fn touch_types(&self, number: i64, scope: &Scope, touched: &mut Touched) -> Attempt<()> {
        for (type_number, entity_type) in self.types()? {
            let exists: bool = self
                .conn
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM sync_store_records WHERE scope = ?1 AND type = ?2)",
                )?
                .query_row([number, type_number], |row| row.get(0))?;
            if exists {
                touched.add(scope, &entity_type);
            }
        }
        Ok(())
    }

    fn wipe(&mut self, force: bool) -> Attempt<Touched> {
        let kept = |table: &str| -> Attempt<u64> {
            let count: i64 =
                self.conn
                    .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                        row.get(0)
                    })?;
            Ok(count.cast_unsigned())
        };
        let (revoked, conflicts) = (kept("sync_store_revoked")?, kept("sync_store_conflicts")?);
        may_wipe(self.counts(None)?, revoked, conflicts, force)?;
        let mut touched = Touched::default();
        let rows = self.scopes()?;
        for row in &rows {
            let number = self.numbered_scope(&row.scope)?;
            self.touch_types(number, &row.scope, &mut touched)?;
            self.view_none(number, &row.scope)?;
        }
        let meta = self.meta()?;
        let newest = rows.iter().map(|row| row.generation).max();
        self.put_meta(&Meta {
            account: None,
            first_generation: newest
                .max(Some(meta.first_generation))
                .map_or(Generation(1), Generation::next),
            fence: Fence(meta.fence.0 + 1),
            ..meta
        })?;
        self.forget_overlay();
        self.conn.execute_batch(
            "DELETE FROM sync_store_records;
             DELETE FROM sync_store_hidden;
             DELETE FROM sync_store_entries;
             DELETE FROM sync_store_conflicts;
             DELETE FROM sync_store_revoked;
             DELETE FROM sync_store_unprojected;
             DELETE FROM sync_store_requests;
             UPDATE sync_store_state \
             SET written = (SELECT sum(written) FROM sync_store_state) WHERE id = 0;
             DELETE FROM sync_store_state WHERE id > 0;
             DELETE FROM sync_store_types;",
        )?;
        self.kept.borrow_mut().clear();
        Ok(touched)
    }
}
