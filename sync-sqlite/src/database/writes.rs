//! Storing what a rule of the core has returned.

use std::{cell::RefCell, ops::Deref};

use rusqlite::{Connection, params};
use sync_core::{
    model::{EntityType, RecordKey, Scope},
    overlay::{EntryWrite, Writes},
    store::{BaseRow, Conflict, Entry, Meta, RecordRow, ScopeRow, Seq},
};

use super::{
    entries::{decode_entry, is_doubted, state_number},
    kept::Kept,
    lists::Lists,
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
    /// Continues a transaction that has just begun, with what earlier ones have kept.
    pub(super) fn begin(
        conn: &'c Connection,
        projections: &'c Projections,
        kept: Kept,
    ) -> Attempt<Self> {
        let data_version = conn
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        let mut rows = Rows::new(conn);
        rows.kept = RefCell::new(kept.at(data_version));
        Ok(Self {
            rows,
            projections,
            views: Views::new(),
            changed: false,
            counted: false,
        })
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
                .prepare_cached("UPDATE sync_store_state SET written = written + 1 WHERE id = 0")?
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
        let mut lists = self.lists.take();
        for write in entries {
            match write {
                EntryWrite::Put(entry) => self.put_entry(entry, &mut lists)?,
                EntryWrite::Remove { scope, seq } => self.remove_entry(scope, *seq, &mut lists)?,
            }
        }
        if !bases.is_empty() {
            self.forget_overlay();
        }
        for (key, base) in bases {
            self.put_base(key, base.as_ref(), &mut lists)?;
        }
        for (key, list) in lists.changed() {
            self.put_list(&key, &list)?;
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
        self.change();
        self.conn
            .prepare_cached(
                "UPDATE sync_store_state SET state = ?1, written = written + ?2 WHERE id = 0",
            )?
            .execute(params![encode(meta)?, !self.counted])?;
        self.kept.borrow_mut().meta = Some(meta.clone());
        self.counted = true;
        Ok(())
    }

    pub(super) fn put_scope(&mut self, row: &ScopeRow) -> Attempt<()> {
        self.change();
        self.conn
            .prepare_cached(
                "INSERT INTO sync_store_state (scope, state) VALUES (?1, ?2) \
                 ON CONFLICT (scope) DO UPDATE SET state = excluded.state",
            )?
            .execute(params![row.scope.as_str(), encode(row)?])?;
        self.kept.borrow_mut().forget_row(&row.scope);
        Ok(())
    }

    fn put_base(&self, key: &RecordKey, base: Option<&BaseRow>, lists: &mut Lists) -> Attempt<()> {
        let place = self.placed(key)?;
        let list = lists.take(self, key)?;
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
                "INSERT INTO sync_store_bases \
                 (scope, type, entity_id, entries, schema, seq, generation, payload) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) \
                 ON CONFLICT (scope, type, entity_id) DO UPDATE SET \
                 entries = excluded.entries, schema = excluded.schema, seq = excluded.seq, \
                 generation = excluded.generation, payload = excluded.payload",
            )?
            .execute(params![
                place.scope,
                place.entity_type,
                place.id,
                encode(&list)?,
                schema,
                base.seq.map(signed),
                signed(base.generation.0),
                payload,
            ])?;
        Ok(())
    }

    /// Stores which entries a record has, where its base stays as it is.
    fn put_list(&self, key: &RecordKey, list: &[Seq]) -> Attempt<()> {
        let place = self.placed(key)?;
        self.conn
            .prepare_cached(
                "UPDATE sync_store_bases SET entries = ?4 \
                 WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
            )?
            .execute(params![
                place.scope,
                place.entity_type,
                place.id,
                encode(&list)?
            ])?;
        Ok(())
    }

    fn put_entry(&self, entry: &Entry, lists: &mut Lists) -> Attempt<()> {
        let place = self.placed(&entry.mutation.key)?;
        let json = encode(entry)?;
        let is_new = lists.add(self, &entry.mutation.key, entry.seq)?;
        if !is_new {
            self.conn
                .prepare_cached(
                    "UPDATE sync_store_entries SET state = ?3, sent = ?4, doubted = ?5, entry = ?6 \
                     WHERE scope = ?1 AND seq = ?2",
                )?
                .execute(params![
                    place.scope,
                    signed(entry.seq.0),
                    state_number(entry.kind()),
                    entry.was_sent(),
                    is_doubted(entry),
                    json,
                ])?;
            return Ok(());
        }
        self.conn
            .prepare_cached(
                "INSERT INTO sync_store_entries \
                 (scope, seq, state, sent, doubted, entry, type, mutation, entity_id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                place.scope,
                signed(entry.seq.0),
                state_number(entry.kind()),
                entry.was_sent(),
                is_doubted(entry),
                json,
                place.entity_type,
                entry.mutation.id.as_uuid().as_bytes(),
                place.id,
            ])?;
        Ok(())
    }

    fn remove_entry(&self, scope: &Scope, seq: Seq, lists: &mut Lists) -> Attempt<()> {
        let number = self.numbered_scope(scope)?;
        let gone = self
            .conn
            .prepare_cached(
                "DELETE FROM sync_store_entries WHERE scope = ?1 AND seq = ?2 RETURNING entry",
            )?
            .query_map(params![number, signed(seq.0)], |row| {
                row.get::<_, String>(0)
            })?
            .next()
            .transpose()?;
        if let Some(entry) = gone {
            let key = decode_entry(&entry)?.mutation.key;
            lists.remove(self, &key, seq)?;
        }
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
        self.kept.borrow_mut().keep_new_type(entity_type, number);
        Ok(number)
    }
}

/// A row as JSON text.
pub(crate) fn encode<T: serde::Serialize>(row: &T) -> Attempt<String> {
    serde_json::to_string(row).map_err(|error| Failure::undecodable("a row to be stored", &error))
}
