//! Storing what a rule of the core has returned.

use std::ops::Deref;

use rusqlite::{Connection, params};
use sync_core::{
    model::{EntityType, RecordKey, Scope},
    overlay::{EntryWrite, Writes},
    store::{BaseRow, Conflict, Entry, Meta, RecordRow, ScopeRow},
};

use super::{
    entries::{is_doubted, state_number},
    project::Views,
    scopes::{Place, Rows, signed},
};
use crate::{
    error::{Attempt, Failure},
    ids::StoredId,
    projection::Projections,
};

/// A transaction that writes: what it reads is what it writes over.
#[derive(Debug)]
pub(crate) struct Writing<'c> {
    rows: Rows<'c>,
    projections: &'c Projections,
    views: Views,
    changed: bool,
    counted: bool,
}

impl<'c> Deref for Writing<'c> {
    type Target = Rows<'c>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}

/// A record is put by the same statement whether it was there or not, and with no read before it.
pub(super) const PUT_RECORD: &str = "
INSERT INTO sync_store_records
    (scope, type, entity_id, schema, seq, generation, marks, payload)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (scope, type, entity_id) DO UPDATE SET
    schema = excluded.schema,
    seq = excluded.seq,
    generation = excluded.generation,
    marks = excluded.marks,
    payload = excluded.payload";

pub(super) const REMOVE_RECORD: &str =
    "DELETE FROM sync_store_records WHERE scope = ?1 AND type = ?2 AND entity_id = ?3";

impl<'c> Writing<'c> {
    pub(super) fn new(conn: &'c Connection, projections: &'c Projections) -> Self {
        Self {
            rows: Rows::new(conn),
            projections,
            views: Views::new(),
            changed: false,
            counted: false,
        }
    }

    /// What was read, and the views that the app's tables have to be brought up to.
    pub(super) fn finish(self) -> (Rows<'c>, Views) {
        (self.rows, self.views)
    }

    /// Whether the app has tables for records of this type.
    pub(super) fn is_projected(&self, entity_type: &EntityType) -> bool {
        self.projections.get(entity_type).is_some()
    }

    /// Notes that a view has changed, if the app has tables for it.
    pub(super) fn view(&mut self, key: &RecordKey, record: Option<RecordRow>) {
        if self.is_projected(&key.entity_type) {
            self.views.insert(key.clone(), record);
        }
    }

    /// Counts the transaction, so that other processes see that there is news.
    pub(super) fn count(&mut self) -> Attempt<()> {
        if !self.counted {
            self.conn
                .prepare_cached("UPDATE sync_store_meta SET written = written + 1")?
                .execute([])?;
        }
        Ok(())
    }

    /// Whether there is anything to commit.
    pub(super) fn has_changed(&self) -> bool {
        self.changed
    }

    /// Notes that there is something to commit.
    pub(super) fn change(&mut self) {
        self.changed = true;
    }

    /// Stores what a rule returned.
    pub(crate) fn store(&mut self, writes: &Writes) -> Attempt<()> {
        let Writes {
            meta,
            scopes,
            records,
            bases,
            entries,
            conflicts,
            touched: _,
        } = writes;
        if *writes != Writes::default() {
            self.change();
        }
        if let Some(meta) = meta {
            self.put_meta(meta)?;
        }
        // First of all the scopes: the other rows name them by their number.
        for row in scopes {
            self.put_scope(row)?;
        }
        for (key, base) in bases {
            self.put_base(key, base.as_ref())?;
        }
        for write in entries {
            match write {
                EntryWrite::Put(entry) => self.put_entry(entry)?,
                EntryWrite::Remove { seq, .. } => {
                    self.conn
                        .prepare_cached("DELETE FROM sync_store_entries WHERE seq = ?1")?
                        .execute([signed(seq.0)])?;
                }
            }
        }
        for (key, record) in records {
            self.put_record(key, record.as_ref())?;
            self.view(key, record.clone());
        }
        for conflict in conflicts {
            self.keep_conflict(conflict)?;
        }
        Ok(())
    }

    pub(super) fn put_meta(&mut self, meta: &Meta) -> Attempt<()> {
        let Meta {
            account,
            last_seq,
            tick,
            last_mutation,
            fence,
            first_generation,
        } = meta;
        self.change();
        self.conn
            .prepare_cached(
                "UPDATE sync_store_meta SET account = ?1, last_seq = ?2, tick = ?3, \
                 last_mutation = ?4, fence = ?5, first_generation = ?6, \
                 written = written + ?7",
            )?
            .execute(params![
                account.as_ref().map(|account| account.as_str()),
                signed(last_seq.0),
                signed(tick.0),
                last_mutation.as_ref().map(|id| *id.as_uuid().as_bytes()),
                signed(fence.0),
                signed(first_generation.0),
                !self.counted,
            ])?;
        self.counted = true;
        Ok(())
    }

    pub(super) fn put_scope(&mut self, row: &ScopeRow) -> Attempt<()> {
        self.change();
        self.conn
            .prepare_cached(
                "INSERT INTO sync_store_scopes (name, state) VALUES (?1, ?2) \
                 ON CONFLICT (name) DO UPDATE SET state = excluded.state",
            )?
            .execute(params![row.scope.as_str(), encode(row)?])?;
        Ok(())
    }

    fn put_base(&self, key: &RecordKey, base: Option<&BaseRow>) -> Attempt<()> {
        let place = self.placed(key)?;
        let Some(base) = base else {
            self.conn
                .prepare_cached(
                    "DELETE FROM sync_store_bases WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
                )?
                .execute(params![place.scope, place.entity_type, place.id])?;
            return Ok(());
        };
        let (payload, schema) = match &base.payload {
            Some((payload, schema)) => (Some(payload.as_str()), schema.0),
            None => (None, 0),
        };
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO sync_store_bases \
                 (scope, type, entity_id, schema, seq, generation, payload) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                place.scope,
                place.entity_type,
                place.id,
                schema,
                base.seq.map(signed),
                signed(base.generation.0),
                payload,
            ])?;
        Ok(())
    }

    fn put_entry(&self, entry: &Entry) -> Attempt<()> {
        let place = self.placed(&entry.mutation.key)?;
        self.conn
            .prepare_cached(
                "INSERT INTO sync_store_entries \
                 (seq, mutation, scope, type, entity_id, state, doubted, entry) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT (seq) DO UPDATE SET \
                 state = excluded.state, doubted = excluded.doubted, entry = excluded.entry",
            )?
            .execute(params![
                signed(entry.seq.0),
                entry.mutation.id.as_uuid().as_bytes(),
                place.scope,
                place.entity_type,
                place.id,
                state_number(entry.kind()),
                is_doubted(entry),
                encode(entry)?,
            ])?;
        Ok(())
    }

    fn put_record(&self, key: &RecordKey, record: Option<&RecordRow>) -> Attempt<()> {
        let place = self.placed(key)?;
        match record {
            Some(record) => {
                self.conn.prepare_cached(PUT_RECORD)?.execute(params![
                    place.scope,
                    place.entity_type,
                    place.id,
                    record.schema.0,
                    record.seq.map(signed),
                    signed(record.generation.0),
                    record.marks.bits(),
                    record.payload.as_str(),
                ])?;
            }
            None => {
                self.conn.prepare_cached(REMOVE_RECORD)?.execute(params![
                    place.scope,
                    place.entity_type,
                    place.id
                ])?;
            }
        }
        Ok(())
    }

    fn keep_conflict(&self, conflict: &Conflict) -> Attempt<()> {
        self.conn
            .prepare_cached(
                "INSERT OR IGNORE INTO sync_store_conflicts (mutation, scope, conflict) \
                 VALUES (?1, ?2, ?3)",
            )?
            .execute(params![
                conflict.mutation_id.as_uuid().as_bytes(),
                conflict.key.scope.as_str(),
                encode(conflict)?,
            ])?;
        Ok(())
    }

    /// Where a record is stored or will be; gives its type a number if it has none yet.
    fn placed<'k>(&self, key: &'k RecordKey) -> Attempt<Place<'k>> {
        Ok(Place {
            scope: self.numbered_scope(&key.scope)?,
            entity_type: self.numbered_type(&key.entity_type)?,
            id: StoredId::of(&key.entity_id),
        })
    }

    /// The number of a scope, which has its row by now.
    pub(super) fn numbered_scope(&self, scope: &Scope) -> Attempt<i64> {
        self.scope_number(scope)?.ok_or_else(|| {
            Failure::Unreadable(format!("scope {scope} has records and no row of its own"))
        })
    }

    /// The number of an entity type; a new one if it has none yet.
    pub(super) fn numbered_type(&self, entity_type: &EntityType) -> Attempt<i64> {
        if let Some(number) = self.type_number(entity_type)? {
            return Ok(number);
        }
        self.conn
            .prepare_cached("INSERT INTO sync_store_types (name) VALUES (?1)")?
            .execute([entity_type.as_str()])?;
        let number = self.conn.last_insert_rowid();
        self.names
            .borrow_mut()
            .types
            .insert(entity_type.detached(), number);
        Ok(number)
    }
}

/// A row as JSON text.
pub(super) fn encode<T: serde::Serialize>(row: &T) -> Attempt<String> {
    serde_json::to_string(row).map_err(|error| Failure::undecodable("a row to be stored", &error))
}
