//! Reading the overlay: entries, bases, and the stacks that they make.

use rusqlite::{OptionalExtension, ToSql, params};
use sync_core::{
    model::{Generation, MutationId, Payload, RecordKey, Schema, Scope},
    overlay::{Loaded, Stack},
    store::{BaseRow, Entry, EntryFilter, EntryKind, EntryState, Seq},
};

use super::scopes::{Place, Rows, signed, unsigned};
use crate::error::{Attempt, Failure};

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
    /// One entry, by its place.
    fn entry(&self, scope: i64, seq: Seq) -> Attempt<Entry> {
        let mut query = self
            .conn
            .prepare_cached("SELECT entry FROM sync_store_entries WHERE scope = ?1 AND seq = ?2")?;
        let mut rows = query.query(params![scope, signed(seq.0)])?;
        match rows.next()? {
            Some(row) => decode_entry(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?),
            None => Err(Failure::Unreadable(format!("entry {} is missing", seq.0))),
        }
    }

    /// The sequence numbers of a record's entries; none when it has no overlay.
    pub(super) fn listed(&self, place: &Place<'_>) -> Attempt<Option<Vec<Seq>>> {
        let list: Option<String> = self
            .conn
            .prepare_cached(
                "SELECT entries FROM sync_store_bases \
                 WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
            )?
            .query_row(params![place.scope, place.entity_type, place.id], |row| {
                row.get(0)
            })
            .optional()?;
        list.map(|list| decode_list(&list)).transpose()
    }

    /// The base of a record and the numbers of its entries, if there are any; none when nothing is stored of it.
    ///
    /// Where nothing lies over a record, it is its own base: one query looks for both.
    fn base(&self, place: &Place<'_>) -> Attempt<Option<(BaseRow, Option<Vec<Seq>>)>> {
        let mut query = self.conn.prepare_cached(
            "SELECT payload, schema, seq, generation, entries FROM sync_store_bases \
             WHERE scope = ?1 AND type = ?2 AND entity_id = ?3 \
             UNION ALL \
             SELECT payload, schema, seq, generation, NULL FROM sync_store_records \
             WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
        )?;
        let mut rows = query.query(params![place.scope, place.entity_type, place.id])?;
        let mut record = None;
        while let Some(row) = rows.next()? {
            let list = row.get_ref(4)?.as_str_or_null();
            let list = list.map_err(rusqlite::Error::from)?.map(decode_list);
            let payload = row.get::<_, Option<String>>(0)?.map(stored_payload);
            let schema = Schema(row.get(1)?);
            let base = BaseRow {
                payload: payload.transpose()?.map(|payload| (payload, schema)),
                seq: row.get::<_, Option<i64>>(2)?.map(unsigned),
                generation: Generation(unsigned(row.get(3)?)),
            };
            match list {
                Some(list) => return Ok(Some((base, Some(list?)))),
                None => record = Some((base, None)),
            }
        }
        Ok(record)
    }

    /// A record's base with what lies over it.
    pub(crate) fn stack(&self, key: &RecordKey) -> Attempt<Stack> {
        let Some(place) = self.place(key)? else {
            return Ok(Stack::of_record(None, self.scope(&key.scope)?.generation));
        };
        let (base, list) = match self.base(&place)? {
            Some((base, list)) => (base, list.unwrap_or_default()),
            None => {
                let generation = self.scope(&key.scope)?.generation;
                let absent = Stack::of_record(None, generation);
                (absent.base, Vec::new())
            }
        };
        let entries = list.iter().map(|seq| self.entry(place.scope, *seq));
        let stack = Stack::new(base, entries.collect::<Attempt<_>>()?);
        self.lists.borrow_mut().read(key, list);
        Ok(stack)
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
        // Where nothing is pending, what is acknowledged and failed need not be looked through.
        let tail: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT e.seq FROM sync_store_state s JOIN sync_store_entries e ON e.scope = s.id \
                 WHERE s.id = +?1 AND s.pending > 0 AND e.state = 1 ORDER BY e.seq DESC LIMIT 1",
            )?
            .query_row([number], |row| row.get(0))
            .optional()?;
        Ok(tail.map(|seq| Seq(unsigned(seq))))
    }

    /// The record of a mutation that has an entry.
    ///
    /// What is settled was sent, as a rule, and is found by an index. Anything else is looked for.
    pub(crate) fn key_of(&self, id: MutationId) -> Attempt<Option<RecordKey>> {
        let find = |sql: &str| -> Attempt<Option<String>> {
            Ok(self
                .conn
                .prepare_cached(sql)?
                .query_row([id.as_uuid().as_bytes()], |row| row.get(0))
                .optional()?)
        };
        let sent = "SELECT entry FROM sync_store_entries WHERE mutation = ?1 AND sent";
        let unsent = "SELECT entry FROM sync_store_entries WHERE mutation = ?1 AND NOT sent";
        let entry = match find(sent)? {
            Some(entry) => Some(entry),
            None => find(unsent)?,
        };
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
            sql.push_str(" AND scope = +?");
            values.push(Box::new(number));
        }
        if let Some(key) = key {
            let Some(place) = self.place(key)? else {
                return Ok(Vec::new());
            };
            sql.push_str(" AND scope = +? AND type = +? AND entity_id = +?");
            values.push(Box::new(place.scope));
            values.push(Box::new(place.entity_type));
            values.push(Box::new(place.id));
        }
        if let Some(kind) = state {
            sql.push_str(" AND state = +?");
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

fn decode_list(list: &str) -> Attempt<Vec<Seq>> {
    serde_json::from_str(list).map_err(|error| Failure::undecodable("a list of entries", &error))
}

/// A payload as it was stored.
pub(super) fn stored_payload(text: String) -> Attempt<Payload> {
    Payload::parse(text).map_err(|_| Failure::Unreadable("a payload is no JSON".to_owned()))
}
