//! Reading the overlay: entries, bases, and the stacks that they make.

use std::collections::{BTreeSet, HashMap, HashSet};

use rusqlite::{OptionalExtension, ToSql, params};
use sync_core::{
    model::{EntityId, Generation, MutationId, Payload, RecordKey, Schema, Scope},
    overlay::{Loaded, Stack},
    store::{BaseRow, Entry, EntryFilter, EntryKind, EntryState, Seq},
};

use super::scopes::{Place, Rows, unsigned};
use crate::{
    error::{Attempt, Failure},
    ids::ReadId,
};

/// An entry's state as a number, for indexes.
pub(crate) const fn state_number(kind: EntryKind) -> i64 {
    match kind {
        EntryKind::Pending => 1,
        EntryKind::Failed => 2,
        EntryKind::Acknowledged => 3,
    }
}

/// Whether an entry's refusal waits for a pull to tell whether it was meant.
pub(super) fn is_doubted(entry: &Entry) -> bool {
    matches!(&entry.state, EntryState::Pending(pending) if pending.doubt.is_some())
}

pub(super) fn decode_entry(entry: &str) -> Attempt<Entry> {
    serde_json::from_str(entry).map_err(|error| Failure::undecodable("an overlay entry", &error))
}

impl Rows<'_> {
    /// The entries of one record, by sequence.
    fn entries_of(&self, place: &Place<'_>) -> Attempt<Vec<Entry>> {
        let mut query = self.conn.prepare_cached(
            "SELECT entry FROM sync_store_entries \
             WHERE scope = ?1 AND type = ?2 AND entity_id = ?3 ORDER BY seq",
        )?;
        let mut rows = query.query(params![place.scope, place.entity_type, place.id])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(decode_entry(
                row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
            )?);
        }
        Ok(entries)
    }

    fn base(&self, place: &Place<'_>) -> Attempt<Option<BaseRow>> {
        let mut query = self.conn.prepare_cached(
            "SELECT payload, schema, seq, generation FROM sync_store_bases \
             WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
        )?;
        let row = query
            .query_row(params![place.scope, place.entity_type, place.id], |row| {
                Ok((
                    row.get::<_, Option<String>>(0)?,
                    row.get(1)?,
                    row.get::<_, Option<i64>>(2)?,
                    row.get(3)?,
                ))
            })
            .optional()?;
        let Some((payload, schema, seq, generation)) = row else {
            return Ok(None);
        };
        let payload = payload.map(stored_payload).transpose()?;
        Ok(Some(BaseRow {
            payload: payload.map(|payload| (payload, Schema(schema))),
            seq: seq.map(unsigned),
            generation: Generation(unsigned(generation)),
        }))
    }

    /// A record's base with what lies over it.
    pub(crate) fn stack(&self, key: &RecordKey) -> Attempt<Stack> {
        let Some(place) = self.place(key)? else {
            return Ok(Stack::of_record(None, self.scope(&key.scope)?.generation));
        };
        if let Some(base) = self.base(&place)? {
            return Ok(Stack::new(base, self.entries_of(&place)?));
        }
        let record = self.record_at(key, &place)?;
        let generation = match &record {
            Some(record) => record.generation,
            None => self.scope(&key.scope)?.generation,
        };
        Ok(Stack::of_record(record, generation))
    }

    /// The scopes and stacks of these records.
    pub(crate) fn load(&self, keys: impl IntoIterator<Item = RecordKey>) -> Attempt<Loaded> {
        let mut loaded = Loaded {
            meta: self.meta()?,
            ..Loaded::default()
        };
        for key in keys {
            if loaded.stacks.contains_key(&key) {
                continue;
            }
            if !loaded.scopes.contains_key(&key.scope)
                && let Some(row) = self.stored_scope(&key.scope)?
            {
                loaded.scopes.insert(key.scope.clone(), row);
            }
            let stack = self.stack(&key)?;
            loaded.stacks.insert(key, stack);
        }
        Ok(loaded)
    }

    /// The scope, with the stacks of these records of it.
    pub(crate) fn load_scope(
        &self,
        scope: &Scope,
        keys: impl IntoIterator<Item = RecordKey>,
    ) -> Attempt<Loaded> {
        let mut loaded = self.load(keys)?;
        if !loaded.scopes.contains_key(scope)
            && let Some(row) = self.stored_scope(scope)?
        {
            loaded.scopes.insert(scope.clone(), row);
        }
        Ok(loaded)
    }

    /// The last pending entry of a scope.
    pub(crate) fn tail(&self, scope: &Scope) -> Attempt<Option<Seq>> {
        let Some(number) = self.scope_number(scope)? else {
            return Ok(None);
        };
        let tail: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT max(seq) FROM sync_store_entries WHERE scope = ?1 AND state = 1",
            )?
            .query_row([number], |row| row.get(0))?;
        Ok(tail.map(|seq| Seq(unsigned(seq))))
    }

    /// The records of a scope that have something in the overlay.
    pub(crate) fn overlaid(&self, scope: &Scope) -> Attempt<Overlaid> {
        let sql = "SELECT DISTINCT type, entity_id FROM sync_store_entries WHERE scope = ?1";
        self.overlaid_by(scope, sql)
    }

    /// The records of a scope that have an acknowledged entry.
    pub(crate) fn acknowledged(&self, scope: &Scope) -> Attempt<Overlaid> {
        let sql = "SELECT type, entity_id FROM sync_store_entries WHERE scope = ?1 AND state = 3";
        self.overlaid_by(scope, sql)
    }

    /// The records of a scope that have a doubted entry.
    pub(crate) fn doubted(&self, scope: &Scope) -> Attempt<Overlaid> {
        let sql = "SELECT type, entity_id FROM sync_store_entries WHERE scope = ?1 AND doubted";
        self.overlaid_by(scope, sql)
    }

    fn overlaid_by(&self, scope: &Scope, sql: &str) -> Attempt<Overlaid> {
        let mut ids = HashSet::new();
        if let Some(number) = self.scope_number(scope)? {
            let mut query = self.conn.prepare_cached(sql)?;
            let mut rows = query.query([number])?;
            while let Some(row) = rows.next()? {
                ids.insert((row.get(0)?, row.get::<_, ReadId>(1)?.0));
            }
        }
        Ok(Overlaid { ids })
    }

    /// The record of a mutation that has an entry.
    pub(crate) fn key_of(&self, id: MutationId) -> Attempt<Option<RecordKey>> {
        let entry: Option<String> = self
            .conn
            .prepare_cached("SELECT entry FROM sync_store_entries WHERE mutation = ?1")?
            .query_row([id.as_uuid().as_bytes()], |row| row.get(0))
            .optional()?;
        entry
            .map(|entry| decode_entry(&entry).map(|entry| entry.mutation.key))
            .transpose()
    }

    /// The entries that match, by sequence.
    pub(crate) fn entries(&self, filter: &EntryFilter) -> Attempt<Vec<Entry>> {
        let EntryFilter { scope, key, state } = filter;
        let mut sql = "SELECT entry FROM sync_store_entries WHERE 1".to_owned();
        let mut values: Vec<Box<dyn ToSql + '_>> = Vec::new();
        if let Some(scope) = scope {
            let Some(number) = self.scope_number(scope)? else {
                return Ok(Vec::new());
            };
            sql.push_str(" AND scope = ?");
            values.push(Box::new(number));
        }
        if let Some(key) = key {
            let Some(place) = self.place(key)? else {
                return Ok(Vec::new());
            };
            sql.push_str(" AND scope = ? AND type = ? AND entity_id = ?");
            values.push(Box::new(place.scope));
            values.push(Box::new(place.entity_type));
            values.push(Box::new(place.id));
        }
        if let Some(kind) = state {
            sql.push_str(" AND state = ?");
            values.push(Box::new(state_number(*kind)));
        }
        sql.push_str(" ORDER BY seq");
        let mut query = self.conn.prepare_cached(&sql)?;
        let mut rows = query.query(rusqlite::params_from_iter(values))?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(decode_entry(
                row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?,
            )?);
        }
        Ok(entries)
    }
}

/// Ids of records, by the number of their type.
#[derive(Debug, Default)]
pub(crate) struct Overlaid {
    ids: HashSet<(i64, EntityId)>,
}

impl Overlaid {
    pub(crate) fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub(crate) fn contains(&self, id: &(i64, EntityId)) -> bool {
        self.ids.contains(id)
    }

    /// The keys of these records of `scope`.
    pub(crate) fn keys(self, scope: &Scope, rows: &Rows<'_>) -> Attempt<BTreeSet<RecordKey>> {
        if self.ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let names: HashMap<i64, _> = rows.type_names()?;
        let keys = self.ids.into_iter().map(|(number, id)| {
            let entity_type = names
                .get(&number)
                .cloned()
                .ok_or_else(|| Failure::Unreadable(format!("entity type {number} has no name")))?;
            Ok(RecordKey {
                scope: scope.clone(),
                entity_type,
                entity_id: id,
            })
        });
        keys.collect()
    }
}

/// A payload as it was stored.
pub(super) fn stored_payload(text: String) -> Attempt<Payload> {
    Payload::parse(text).map_err(|_| Failure::Unreadable("a payload is no JSON".to_owned()))
}
