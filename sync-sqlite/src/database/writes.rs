//! Storing what a rule of the core has returned.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashSet},
    ops::Deref,
};

use rusqlite::{Connection, ToSql, params};
use sync_core::{
    model::{EntityType, MutationId, Payload, RecordKey, Scope},
    overlay::{EntryWrite, Writes},
    store::{BaseRow, Conflict, Entry, Meta, RecordRow, ScopeRow, Seq},
};

use super::{
    entries::{encode_details, entry_id, is_doubted, state_number},
    kept::Kept,
    lists::{List, Lists, StoredRow},
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
    /// How much of what was done is counted as news.
    counted: u64,
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
            counted: 0,
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

    /// Counts the transaction, so that other processes see that there is news. Returns how much was counted.
    pub(super) fn count(&mut self) -> Attempt<u64> {
        if self.counted == 0 {
            self.conn
                .prepare_cached("UPDATE sync_store_state SET written = written + 1 WHERE id = 0")?
                .execute([])?;
            self.counted = 1;
        }
        Ok(self.counted)
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
        // First of all the scopes: the other rows name them by their number.
        for row in scopes {
            self.put_scope(row)?;
        }
        let lists = self.lists_after(writes)?;
        let added = self.store_entries(entries, bases, &lists)?;
        if let Some(meta) = meta {
            self.store_meta(meta, added)?;
        }
        for (key, record) in records {
            self.put_record(key, record.as_ref(), &lists)?;
            self.view(key, record.clone());
        }
        let put: HashSet<&RecordKey> = records.iter().map(|(key, _)| key).collect();
        for (key, list) in lists.changed() {
            if !put.contains(key) {
                self.put_list(key, list)?;
            }
            if list.comes_or_goes() {
                self.forget_overlay();
            }
        }
        for conflict in conflicts {
            self.keep_conflict(conflict)?;
        }
        Ok(())
    }

    /// Which entries the records have once these writes are stored.
    fn lists_after(&self, writes: &Writes) -> Attempt<Lists> {
        let put = writes.entries.iter().filter_map(|write| match write {
            EntryWrite::Put(entry) => Some(&entry.mutation.key),
            EntryWrite::Remove { .. } => None,
        });
        for key in put.chain(writes.records.iter().map(|(key, _)| key)) {
            if self.lists.borrow().get(key).is_none() {
                self.stack(key)?;
            }
        }
        let mut lists = self.lists.take();
        for write in &writes.entries {
            match write {
                EntryWrite::Put(entry) => lists.add(&entry.mutation.key, entry.seq),
                EntryWrite::Remove { seq, .. } => lists.remove(*seq),
            }
        }
        Ok(lists)
    }

    /// Stores entries, and the bases that they hold. Returns the newest that was added.
    fn store_entries(
        &mut self,
        entries: &[EntryWrite],
        bases: &[(RecordKey, Option<BaseRow>)],
        lists: &Lists,
    ) -> Attempt<Option<(Seq, MutationId)>> {
        let mut newest = None;
        let mut bases: BTreeMap<&RecordKey, Option<&BaseRow>> = bases
            .iter()
            .map(|(key, base)| (key, base.as_ref()))
            .collect();
        let stays = |key: &RecordKey| !bases.contains_key(key);
        let moving: Vec<(i64, i64)> = lists
            .changed()
            .filter(|(key, _)| stays(key))
            .filter_map(|(key, list)| Some((key, list.moved_home()?)))
            .map(|(key, (from, to))| {
                let scope = self.numbered_scope(&key.scope)?;
                Ok((entry_id(scope, from)?, entry_id(scope, to)?))
            })
            .collect::<Attempt<_>>()?;
        for write in entries {
            let EntryWrite::Put(entry) = write else {
                continue;
            };
            let key = &entry.mutation.key;
            match lists.get(key) {
                Some(list) if list.is_new(entry.seq) => {
                    let is_home = list.home() == Some(entry.seq);
                    let base = if is_home { bases.remove(key) } else { None };
                    self.add_entry(entry, base.flatten())?;
                    newest = newest.max(Some((entry.seq, entry.mutation.id)));
                }
                _ => self.replace_entry(entry)?,
            }
        }
        for (key, base) in bases {
            if let (Some(base), Some(home)) = (base, lists.get(key).and_then(List::home)) {
                let scope = self.numbered_scope(&key.scope)?;
                self.put_base(entry_id(scope, home)?, base)?;
            }
        }
        for (from, to) in moving {
            self.move_base(from, to)?;
        }
        for write in entries {
            if let EntryWrite::Remove { scope, seq } = write {
                let id = entry_id(self.numbered_scope(scope)?, *seq)?;
                self.conn
                    .prepare_cached("DELETE FROM sync_store_entries WHERE id = ?1")?
                    .execute([id])?;
            }
        }
        Ok(newest)
    }

    /// Stores the meta row, unless all that is new in it is what the entries say that were added.
    fn store_meta(&mut self, meta: &Meta, added: Option<(Seq, MutationId)>) -> Attempt<()> {
        let before = self.meta()?;
        let said = added.is_some_and(|(seq, id)| {
            *meta
                == Meta {
                    last_seq: seq,
                    last_mutation: Some(id),
                    ..before
                }
        });
        if said {
            self.kept.borrow_mut().meta = Some(meta.clone());
            Ok(())
        } else {
            self.put_meta(meta)
        }
    }

    pub(super) fn put_meta(&mut self, meta: &Meta) -> Attempt<()> {
        self.change();
        self.conn
            .prepare_cached(
                "UPDATE sync_store_state SET state = ?1, written = written + 1 WHERE id = 0",
            )?
            .execute([encode(meta)?])?;
        self.kept.borrow_mut().meta = Some(meta.clone());
        self.counted += 1;
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

    fn add_entry(&mut self, entry: &Entry, base: Option<&BaseRow>) -> Attempt<()> {
        let place = self.placed(&entry.mutation.key)?;
        let base = BaseColumns::of(base);
        self.conn
            .prepare_cached(
                "INSERT INTO sync_store_entries \
                 (id, state, sent, doubted, schema, edited_at, op, details, payload, \
                  type, mutation, entity_id, base_schema, base_seq, base_generation, base) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                entry_id(place.scope, entry.seq)?,
                state_number(entry.kind()),
                entry.was_sent(),
                is_doubted(entry),
                entry.mutation.schema.0,
                entry.mutation.edited_at.as_millis(),
                entry.mutation.op.name(),
                encode_details(entry)?,
                entry.mutation.op.payload().map(Payload::as_str),
                place.entity_type,
                entry.mutation.id.as_uuid().as_bytes(),
                place.id,
                base.schema,
                base.seq,
                base.generation,
                base.payload,
            ])?;
        self.counted += 1;
        Ok(())
    }

    fn replace_entry(&self, entry: &Entry) -> Attempt<()> {
        let scope = self.numbered_scope(&entry.mutation.key.scope)?;
        self.conn
            .prepare_cached(
                "UPDATE sync_store_entries SET state = ?2, sent = ?3, doubted = ?4, schema = ?5, \
                 edited_at = ?6, op = ?7, details = ?8, payload = ?9 WHERE id = ?1",
            )?
            .execute(params![
                entry_id(scope, entry.seq)?,
                state_number(entry.kind()),
                entry.was_sent(),
                is_doubted(entry),
                entry.mutation.schema.0,
                entry.mutation.edited_at.as_millis(),
                entry.mutation.op.name(),
                encode_details(entry)?,
                entry.mutation.op.payload().map(Payload::as_str),
            ])?;
        Ok(())
    }

    fn put_base(&self, home: i64, base: &BaseRow) -> Attempt<()> {
        let base = BaseColumns::of(Some(base));
        self.conn
            .prepare_cached(
                "UPDATE sync_store_entries \
                 SET base_schema = ?2, base_seq = ?3, base_generation = ?4, base = ?5 WHERE id = ?1",
            )?
            .execute(params![
                home,
                base.schema,
                base.seq,
                base.generation,
                base.payload
            ])?;
        Ok(())
    }

    /// Moves a base on to the next entry of its record, before the one goes that held it.
    fn move_base(&self, from: i64, to: i64) -> Attempt<()> {
        self.conn
            .prepare_cached(
                "UPDATE sync_store_entries SET (base_schema, base_seq, base_generation, base) = \
                 (SELECT base_schema, base_seq, base_generation, base \
                  FROM sync_store_entries WHERE id = ?1) WHERE id = ?2",
            )?
            .execute([from, to])?;
        Ok(())
    }

    /// Stores what the app sees of a record, with the list of its entries.
    fn put_record(
        &self,
        key: &RecordKey,
        record: Option<&RecordRow>,
        lists: &Lists,
    ) -> Attempt<()> {
        let Some(list) = lists.get(key) else {
            return Ok(());
        };
        let Some(record) = record else {
            if let StoredRow::Shown(row) = list.row {
                self.conn
                    .prepare_cached("DELETE FROM sync_store_records WHERE id = ?1")?
                    .execute([row])?;
            }
            return self.put_hidden(key, list);
        };
        let columns = params![
            record.schema.0,
            record.seq.map(signed),
            signed(record.generation.0),
            record.marks.bits(),
            record.payload.as_str(),
            list.entries(),
        ];
        if let StoredRow::Shown(row) = list.row {
            let columns: Vec<&dyn ToSql> = columns.iter().copied().chain([&row as _]).collect();
            self.conn
                .prepare_cached(
                    "UPDATE sync_store_records SET schema = ?1, seq = ?2, generation = ?3, \
                     marks = ?4, payload = ?5, entries = ?6 WHERE id = ?7",
                )?
                .execute(columns.as_slice())?;
            return Ok(());
        }
        if list.row == StoredRow::Hidden {
            self.remove_hidden(key)?;
        }
        let place = self.placed(key)?;
        let key = params![place.scope, place.entity_type, place.id];
        let columns: Vec<&dyn ToSql> = columns.iter().chain(key).copied().collect();
        self.conn
            .prepare_cached(
                "INSERT INTO sync_store_records \
                 (schema, seq, generation, marks, payload, entries, scope, type, entity_id) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(columns.as_slice())?;
        Ok(())
    }

    /// Stores which entries a record has, where what the app sees of it stays.
    fn put_list(&self, key: &RecordKey, list: &List) -> Attempt<()> {
        let StoredRow::Shown(row) = list.row else {
            return self.put_hidden(key, list);
        };
        self.conn
            .prepare_cached("UPDATE sync_store_records SET entries = ?2 WHERE id = ?1")?
            .execute(params![row, list.entries()])?;
        Ok(())
    }

    /// Stores which entries a record has that the app does not see.
    fn put_hidden(&self, key: &RecordKey, list: &List) -> Attempt<()> {
        if list.is_empty() {
            return if list.row == StoredRow::Hidden {
                self.remove_hidden(key)
            } else {
                Ok(())
            };
        }
        let place = self.placed(key)?;
        self.conn
            .prepare_cached(
                "INSERT OR REPLACE INTO sync_store_hidden (scope, type, entity_id, entries) \
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                place.scope,
                place.entity_type,
                place.id,
                list.entries()
            ])?;
        Ok(())
    }

    fn remove_hidden(&self, key: &RecordKey) -> Attempt<()> {
        let place = self.placed(key)?;
        self.conn
            .prepare_cached(
                "DELETE FROM sync_store_hidden WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
            )?
            .execute(params![place.scope, place.entity_type, place.id])?;
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

/// A base as the columns of the entry that holds it.
#[derive(Default)]
struct BaseColumns<'b> {
    schema: Option<u32>,
    seq: Option<i64>,
    generation: Option<i64>,
    payload: Option<&'b str>,
}

impl<'b> BaseColumns<'b> {
    fn of(base: Option<&'b BaseRow>) -> Self {
        let Some(base) = base else {
            return Self::default();
        };
        let payload = base.payload.as_ref();
        Self {
            schema: Some(payload.map_or(0, |(_, schema)| schema.0)),
            seq: base.seq.map(signed),
            generation: Some(signed(base.generation.0)),
            payload: payload.map(|(payload, _)| payload.as_str()),
        }
    }
}

/// A row as JSON text.
pub(crate) fn encode<T: serde::Serialize>(row: &T) -> Attempt<String> {
    serde_json::to_string(row).map_err(|error| Failure::undecodable("a row to be stored", &error))
}
