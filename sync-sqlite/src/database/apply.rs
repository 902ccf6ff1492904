//! Changing a scope as a whole: apply, resync, sweep, purge, wipe. `apply` is the hot path of the crate.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    error::StoreError,
    model::{Change, EntityType, Generation, RecordKey, Scope},
    overlay::{
        ApplyNeeds, Planned, apply, apply_needs, check_fence, may_wipe, purge, resync, sweep_end,
    },
    store::{
        ApplyOutcome, ApplyRequest, EntryFilter, Fence, Marks, Meta, Purged, RecordRow,
        SweepOutcome, Touched,
    },
    time::Timestamp,
};

use super::{
    Database, Flush,
    scopes::signed,
    writes::{PUT_RECORD, REMOVE_RECORD, Writing, encode},
};
use crate::{error::Attempt, ids::StoredId};

impl Database {
    pub(crate) fn apply(&mut self, request: &ApplyRequest) -> Result<ApplyOutcome, StoreError> {
        let what = "applying a page";
        let (mut outcome, left_out) =
            self.write_projected(what, Flush::Later, true, |tx| tx.apply(request))?;
        if let ApplyOutcome::Applied(applied) = &mut outcome {
            applied.unprojected = left_out;
        }
        Ok(outcome)
    }

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
    fn apply(&mut self, request: &ApplyRequest) -> Attempt<ApplyOutcome> {
        let scope = &request.scope;
        let row = self.stored_scope(scope)?;
        let overlaid = self.overlaid(scope)?;
        let mut direct = Vec::with_capacity(request.page.changes.len());
        let mut keys = BTreeSet::new();
        let mut types = Types::default();
        for change in &request.page.changes {
            let number = types.number(self, &change.entity_type)?;
            if !overlaid.is_empty() && overlaid.contains(&(number, change.entity_id.clone())) {
                keys.insert(RecordKey {
                    scope: scope.clone(),
                    entity_type: change.entity_type.clone(),
                    entity_id: change.entity_id.clone(),
                });
            } else {
                direct.push(Direct {
                    entity_type: number,
                    id: StoredId::of(&change.entity_id),
                    change,
                });
            }
        }
        match apply_needs(row.as_ref(), &request.page) {
            ApplyNeeds::Page => {}
            ApplyNeeds::Acknowledged => {
                keys.extend(self.acknowledged(scope)?.keys(scope, self)?);
            }
            ApplyNeeds::Overlaid => keys.extend(overlaid.keys(scope, self)?),
        }
        match apply(self.load_scope(scope, keys)?, request)? {
            Planned::Not(outcome) => Ok(outcome),
            Planned::Write {
                writes,
                mut applied,
            } => {
                self.store(&writes)?;
                applied
                    .touched
                    .merge(self.store_direct(scope, request.generation, direct)?);
                Ok(ApplyOutcome::Applied(applied))
            }
        }
    }

    /// Stores the changes of records that have no overlay.
    fn store_direct(
        &mut self,
        scope: &Scope,
        generation: Generation,
        mut direct: Vec<Direct<'_>>,
    ) -> Attempt<Touched> {
        let mut touched = Touched::default();
        if direct.is_empty() {
            return Ok(touched);
        }
        self.change();
        // In the order of the key, so that neighbours in the index are written together; two changes of one record
        // stay in the page's order.
        direct.sort_by_key(|direct| (direct.entity_type, direct.id));
        let number = self.numbered_scope(scope)?;
        let mut put = self.conn.prepare_cached(PUT_RECORD)?;
        put.raw_bind_parameter(1, number)?;
        put.raw_bind_parameter(6, signed(generation.0))?;
        put.raw_bind_parameter(7, 0)?;
        let mut remove = self.conn.prepare_cached(REMOVE_RECORD)?;
        remove.raw_bind_parameter(1, number)?;
        let mut last = None;
        let mut projected = false;
        let mut views = Vec::new();
        for Direct {
            entity_type,
            id,
            change,
        } in direct
        {
            if last != Some(entity_type) {
                put.raw_bind_parameter(2, entity_type)?;
                remove.raw_bind_parameter(2, entity_type)?;
                touched.add(scope, &change.entity_type);
                last = Some(entity_type);
                projected = self.is_projected(&change.entity_type);
            }
            if projected {
                views.push(change);
            }
            match change.op.payload() {
                Some(payload) => {
                    put.raw_bind_parameter(3, id)?;
                    put.raw_bind_parameter(4, change.schema.0)?;
                    put.raw_bind_parameter(5, change.seq.map(signed))?;
                    put.raw_bind_parameter(8, payload.as_str())?;
                    put.raw_execute()?;
                }
                None => {
                    remove.raw_bind_parameter(3, id)?;
                    remove.raw_execute()?;
                }
            }
        }
        drop((put, remove));
        for change in views {
            self.view_direct(scope, generation, change);
        }
        Ok(touched)
    }

    fn view_direct(&mut self, scope: &Scope, generation: Generation, change: &Change) {
        let key = RecordKey {
            scope: scope.clone(),
            entity_type: change.entity_type.clone(),
            entity_id: change.entity_id.clone(),
        };
        let record = change.op.payload().map(|payload| RecordRow {
            key: key.clone(),
            payload: payload.clone(),
            schema: change.schema,
            seq: change.seq,
            generation,
            marks: Marks::default(),
        });
        self.view(&key, record);
    }

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
                    self.conn
                        .prepare_cached(REMOVE_RECORD)?
                        .execute(rusqlite::params![
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
            for table in ["records", "bases", "entries"] {
                self.conn.execute(
                    &format!("DELETE FROM sync_store_{table} WHERE scope = ?1"),
                    [number],
                )?;
            }
        }
        for revoked in &revoked {
            self.conn
                .prepare_cached(
                    "INSERT INTO sync_store_revoked (mutation, revoked) VALUES (?1, ?2)",
                )?
                .execute(rusqlite::params![
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
        self.conn.execute_batch(
            "DELETE FROM sync_store_records;
             DELETE FROM sync_store_bases;
             DELETE FROM sync_store_entries;
             DELETE FROM sync_store_conflicts;
             DELETE FROM sync_store_revoked;
             DELETE FROM sync_store_unprojected;
             DELETE FROM sync_store_requests;
             DELETE FROM sync_store_scopes;
             DELETE FROM sync_store_types;",
        )?;
        Ok(touched)
    }
}

/// A change of a record that has no overlay, with the place of its record.
struct Direct<'p> {
    entity_type: i64,
    id: StoredId<'p>,
    change: &'p Change,
}

/// The numbers of the types in a page: a page has few, and often one after another.
#[derive(Default)]
struct Types<'p> {
    last: Option<(&'p EntityType, i64)>,
    all: BTreeMap<&'p EntityType, i64>,
}

impl<'p> Types<'p> {
    fn number(&mut self, tx: &Writing<'_>, entity_type: &'p EntityType) -> Attempt<i64> {
        if let Some((last, number)) = self.last
            && last == entity_type
        {
            return Ok(number);
        }
        let number = match self.all.get(entity_type) {
            Some(number) => *number,
            None => tx.numbered_type(entity_type)?,
        };
        self.all.insert(entity_type, number);
        self.last = Some((entity_type, number));
        Ok(number)
    }
}
