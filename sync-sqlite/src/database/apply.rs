//! Applying a page: the hot path of the crate.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    error::StoreError,
    model::{Change, EntityType, Generation, RecordKey, Scope},
    overlay::{ApplyNeeds, Planned, apply, apply_needs},
    store::{ApplyOutcome, ApplyRequest, Marks, RecordRow, Touched},
};

use super::{
    Database, Flush,
    scopes::{Place, signed},
    writes::{PUT_RECORD, REMOVE_RECORD, Writing},
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
