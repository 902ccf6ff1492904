//! Applying a page: the hot path of the crate.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use rusqlite::CachedStatement;
use sync_core::{
    error::StoreError,
    model::{Change, EntityType, Generation, Payload, RecordKey, Scope},
    overlay::{ApplyNeeds, Planned, apply, apply_needs},
    store::{ApplyOutcome, ApplyRequest, Marks, RecordRow, Touched},
};

use super::{
    Database, Flush,
    scopes::{Place, signed},
    writes::{PUT_RECORD, REMOVE_RECORD, Writing},
};
use crate::{error::Attempt, ids::StoredId};

const FIND_RECORD: &str =
    "SELECT id FROM sync_store_records WHERE scope = ?1 AND type = ?2 AND entity_id = ?3";

/// A record that has no overlay has no marks.
const REPLACE_RECORD: &str = "
UPDATE sync_store_records SET schema = ?2, seq = ?3, generation = ?4, marks = 0, payload = ?5
WHERE id = ?1";

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
}

impl Writing<'_> {
    fn apply(&mut self, request: &ApplyRequest) -> Attempt<ApplyOutcome> {
        let scope = &request.scope;
        let row = self.stored_scope(scope)?;
        let scope_number = self.scope_number(scope)?;
        let overlay = self.overlay_for(scope, request.page.changes.len())?;
        let mut direct = Vec::with_capacity(request.page.changes.len());
        let mut keys = BTreeSet::new();
        let mut types = Types::default();
        for change in &request.page.changes {
            let number = types.number(self, &change.entity_type)?;
            let id = StoredId::of(&change.entity_id);
            let place = scope_number.map(|scope| Place {
                scope,
                entity_type: number,
                id,
            });
            if let Some(place) = place
                && overlay.contains(self, &place)?
            {
                keys.insert(RecordKey {
                    scope: scope.clone(),
                    entity_type: change.entity_type.clone(),
                    entity_id: change.entity_id.clone(),
                });
            } else {
                direct.push(Direct {
                    entity_type: number,
                    id,
                    change,
                });
            }
        }
        match apply_needs(row.as_ref(), &request.page) {
            ApplyNeeds::Page => {}
            ApplyNeeds::Acknowledged => {
                keys.extend(self.acknowledged(scope)?.keys(scope, self)?);
            }
            ApplyNeeds::Overlaid => keys.extend(self.overlaid(scope)?.keys(scope, self)?),
        }
        match apply(self.load_scope(scope, keys)?, request)? {
            Planned::Not(outcome) => Ok(outcome),
            Planned::Write {
                writes,
                mut applied,
            } => {
                self.store(&writes)?;
                // A scope that was never pulled to its end is being filled, and looking for its records is in vain.
                let filled = row.is_some_and(|row| row.synced_at.is_some());
                let touched = self.store_direct(scope, request.generation, filled, direct)?;
                applied.touched.merge(touched);
                Ok(ApplyOutcome::Applied(applied))
            }
        }
    }

    /// Stores the changes of records that have no overlay. `filled` says that the scope may hold them already.
    fn store_direct(
        &mut self,
        scope: &Scope,
        generation: Generation,
        filled: bool,
        mut direct: Vec<Direct<'_>>,
    ) -> Attempt<Touched> {
        let mut touched = Touched::default();
        if direct.is_empty() {
            return Ok(touched);
        }
        self.change();
        // In the order of the key, so that neighbours in the index are read and written together; of the changes of
        // one record only the last counts.
        direct.sort_by_key(|direct| (direct.entity_type, direct.id));
        direct.dedup_by(|later, kept| {
            let same = (later.entity_type, later.id) == (kept.entity_type, kept.id);
            if same {
                mem::swap(later, kept);
            }
            same
        });
        let mut rows = DirectRows::prepare(self, self.numbered_scope(scope)?, generation)?;
        let mut last = None;
        let mut projected = false;
        let mut views = Vec::new();
        let mut stored = Vec::new();
        for direct in direct {
            let change = direct.change;
            if last != Some(direct.entity_type) {
                rows.enter(direct.entity_type)?;
                touched.add(scope, &change.entity_type);
                last = Some(direct.entity_type);
                projected = self.is_projected(&change.entity_type);
            }
            if projected {
                views.push(change);
            }
            let Some(payload) = change.op.payload() else {
                rows.remove(direct.id)?;
                continue;
            };
            let row = if filled { rows.find(direct.id)? } else { None };
            match row {
                Some(row) => stored.push((row, change, payload)),
                None => rows.put(direct.id, change, payload)?,
            }
        }
        // In the order of the rows: a page of the database that holds several is read and written once, even where
        // the cache is too small for all that a large page of changes touches.
        stored.sort_unstable_by_key(|(row, ..)| *row);
        for (row, change, payload) in stored {
            rows.replace(row, change, payload)?;
        }
        drop(rows);
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
}

/// The statements that store records without an overlay, with what is the same for all of a page bound once.
struct DirectRows<'c> {
    find: CachedStatement<'c>,
    put: CachedStatement<'c>,
    replace: CachedStatement<'c>,
    remove: CachedStatement<'c>,
}

impl<'c> DirectRows<'c> {
    fn prepare(tx: &Writing<'c>, scope: i64, generation: Generation) -> Attempt<Self> {
        let mut rows = Self {
            find: tx.conn.prepare_cached(FIND_RECORD)?,
            put: tx.conn.prepare_cached(PUT_RECORD)?,
            replace: tx.conn.prepare_cached(REPLACE_RECORD)?,
            remove: tx.conn.prepare_cached(REMOVE_RECORD)?,
        };
        for by_key in [&mut rows.find, &mut rows.put, &mut rows.remove] {
            by_key.raw_bind_parameter(1, scope)?;
        }
        rows.put.raw_bind_parameter(6, signed(generation.0))?;
        rows.put.raw_bind_parameter(7, 0)?;
        rows.replace.raw_bind_parameter(4, signed(generation.0))?;
        Ok(rows)
    }

    /// What follows is about records of this type.
    fn enter(&mut self, entity_type: i64) -> Attempt<()> {
        for by_key in [&mut self.find, &mut self.put, &mut self.remove] {
            by_key.raw_bind_parameter(2, entity_type)?;
        }
        Ok(())
    }

    /// The row id of a record, if it is stored.
    fn find(&mut self, id: StoredId<'_>) -> Attempt<Option<i64>> {
        self.find.raw_bind_parameter(3, id)?;
        let mut rows = self.find.raw_query();
        let row = rows.next()?.map(|row| row.get(0)).transpose()?;
        Ok(row)
    }

    fn put(&mut self, id: StoredId<'_>, change: &Change, payload: &Payload) -> Attempt<()> {
        self.put.raw_bind_parameter(3, id)?;
        self.put.raw_bind_parameter(4, change.schema.0)?;
        self.put.raw_bind_parameter(5, change.seq.map(signed))?;
        self.put.raw_bind_parameter(8, payload.as_str())?;
        self.put.raw_execute()?;
        Ok(())
    }

    fn replace(&mut self, row: i64, change: &Change, payload: &Payload) -> Attempt<()> {
        self.replace.raw_bind_parameter(1, row)?;
        self.replace.raw_bind_parameter(2, change.schema.0)?;
        self.replace.raw_bind_parameter(3, change.seq.map(signed))?;
        self.replace.raw_bind_parameter(5, payload.as_str())?;
        self.replace.raw_execute()?;
        Ok(())
    }

    fn remove(&mut self, id: StoredId<'_>) -> Attempt<()> {
        self.remove.raw_bind_parameter(3, id)?;
        self.remove.raw_execute()?;
        Ok(())
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
