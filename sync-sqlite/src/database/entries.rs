//! Reading the overlay: entries, bases, and the stacks that they make.

use std::borrow::Cow;

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{
        EntityType, Generation, Mutation, MutationId, Op, Payload, RecordKey, Schema, Scope,
        Version,
    },
    ordered::OrderedSet,
    overlay::{Loaded, Stack},
    store::{BaseRow, Entry, EntryFilter, EntryKind, EntryState, Pending, Seq},
    time::Timestamp,
};
use uuid::Uuid;

use super::{
    lists::{ReadList, StoredRow},
    scopes::{Place, Rows, signed, unsigned},
    writes::encode,
};
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

/// How many bits of an entry's row id are its sequence number; the others are its scope's.
const SEQ_BITS: u32 = 40;
const SEQS: i64 = 1 << SEQ_BITS;

/// The row id of an entry: a scope's entries lie together, by sequence.
pub(super) fn entry_id(scope: i64, seq: Seq) -> Attempt<i64> {
    let id = scope
        .checked_mul(SEQS)
        .filter(|_| (0..SEQS).contains(&signed(seq.0)));
    let id = id.map(|first| first + signed(seq.0));
    id.ok_or_else(|| {
        let full = "a database has room for 2^40 edits and 2^23 scopes";
        StoreError::new(StoreErrorKind::Full, full).into()
    })
}

/// The first and the last row id that an entry of a scope can have.
pub(super) fn entry_ids(scope: i64) -> Attempt<(i64, i64)> {
    let first = entry_id(scope, Seq(0))?;
    Ok((first, first + (SEQS - 1)))
}

/// The sequence number in the row id of an entry.
pub(super) fn seq_of(id: i64) -> Seq {
    Seq(unsigned(id & (SEQS - 1)))
}

/// What is kept of an entry beside what has a column of its own; what most entries do not have is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Details<'e> {
    #[serde(skip_serializing_if = "Option::is_none")]
    base_version: Option<Cow<'e, Version>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<MutationId>,
    /// None for one that waits and was never sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<Cow<'e, EntryState>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    again: Option<u32>,
}

/// The details of an entry as they are stored.
pub(super) fn encode_details(entry: &Entry) -> Attempt<String> {
    let fresh =
        matches!(&entry.state, EntryState::Pending(pending) if *pending == Pending::default());
    encode(&Details {
        base_version: entry.mutation.base_version.as_ref().map(Cow::Borrowed),
        after: entry.mutation.after,
        state: (!fresh).then_some(Cow::Borrowed(&entry.state)),
        again: (entry.again > 0).then_some(entry.again),
    })
}

/// The columns of an entry, in the order in which [`entry`] reads them.
const ENTRY: &str = "e.id, e.mutation, e.op, e.payload, e.schema, e.edited_at, e.details";

/// The base in the columns behind an entry's.
const BASE: &str = "e.base, e.base_schema, e.base_seq, e.base_generation";
const BASE_AT: usize = 7;

fn entry(key: RecordKey, row: &Row<'_>) -> Attempt<Entry> {
    let seq = seq_of(row.get(0)?);
    let payload = row.get::<_, Option<String>>(3)?.map(stored_payload);
    let op = Op::from_parts(
        row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?,
        payload.transpose()?,
    );
    let op = op.ok_or_else(|| Failure::Unreadable(format!("what entry {} does", seq.0)))?;
    let details = row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?;
    let details: Details<'_> = serde_json::from_str(details)
        .map_err(|error| Failure::undecodable("an overlay entry", &error))?;
    let state = details.state.map(Cow::into_owned);
    Ok(Entry {
        seq,
        mutation: Mutation {
            id: Uuid::from_bytes(row.get(1)?).into(),
            key,
            op,
            schema: Schema(row.get(4)?),
            base_version: details.base_version.map(Cow::into_owned),
            after: details.after,
            edited_at: Timestamp::from_millis(row.get(5)?),
        },
        state: state.unwrap_or_else(|| EntryState::Pending(Pending::default())),
        again: details.again.unwrap_or_default(),
    })
}

/// Reads a base from four columns: payload, schema, number, generation.
fn base(row: &Row<'_>, at: usize) -> Attempt<BaseRow> {
    let payload = row.get::<_, Option<String>>(at)?.map(stored_payload);
    let schema = Schema(row.get(at + 1)?);
    Ok(BaseRow {
        payload: payload.transpose()?.map(|payload| (payload, schema)),
        seq: row.get::<_, Option<i64>>(at + 2)?.map(unsigned),
        generation: Generation(unsigned(row.get(at + 3)?)),
    })
}

impl Rows<'_> {
    /// A record's base with what lies over it.
    pub(crate) fn stack(&self, key: &RecordKey) -> Attempt<Stack> {
        let (row, list, own) = match self.place(key)? {
            Some(place) => self.stored(&place)?,
            None => (StoredRow::Nowhere, Vec::new(), None),
        };
        let stack = match (list.iter().min(), own) {
            (Some(home), _) => self.overlay(key, &list, *home)?,
            // Where nothing lies over a record, it is its own base.
            (None, Some(own)) => Stack::new(own, Vec::new()),
            (None, None) => Stack::of_record(None, self.scope(&key.scope)?.generation),
        };
        self.lists.borrow_mut().read(key, row, list);
        Ok(stack)
    }

    /// How a record is stored: its row, the numbers of its entries, and what is in the row.
    fn stored(&self, place: &Place<'_>) -> Attempt<(StoredRow, Vec<Seq>, Option<BaseRow>)> {
        let key = params![place.scope, place.entity_type, place.id];
        let mut shown = self.conn.prepare_cached(
            "SELECT id, entries, payload, schema, seq, generation FROM sync_store_records \
             WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
        )?;
        if let Some(row) = shown.query(key)?.next()? {
            let ReadList(list) = row.get(1)?;
            return Ok((StoredRow::Shown(row.get(0)?), list, Some(base(row, 2)?)));
        }
        let mut hidden = self.conn.prepare_cached(
            "SELECT entries FROM sync_store_hidden \
             WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
        )?;
        match hidden.query(key)?.next()? {
            Some(row) => Ok((StoredRow::Hidden, row.get::<_, ReadList>(0)?.0, None)),
            None => Ok((StoredRow::Nowhere, Vec::new(), None)),
        }
    }

    /// The entries of a record, with the base that the oldest holds.
    fn overlay(&self, key: &RecordKey, list: &[Seq], home: Seq) -> Attempt<Stack> {
        let missing = |seq: Seq| Failure::Unreadable(format!("entry {} is missing", seq.0));
        let scope = self
            .scope_number(&key.scope)?
            .ok_or_else(|| missing(home))?;
        let mut query = self.conn.prepare_cached(&format!(
            "SELECT {ENTRY}, {BASE} FROM sync_store_entries e WHERE id = ?1"
        ))?;
        let mut below = None;
        let mut entries = Vec::with_capacity(list.len());
        for seq in list {
            let mut rows = query.query([entry_id(scope, *seq)?])?;
            let row = rows.next()?.ok_or_else(|| missing(*seq))?;
            if *seq == home {
                below = Some(base(row, BASE_AT)?);
            }
            entries.push(entry(key.clone(), row)?);
        }
        Ok(Stack::new(below.ok_or_else(|| missing(home))?, entries))
    }

    /// The scopes and stacks of these records.
    pub(crate) fn load(&self, keys: impl IntoIterator<Item = RecordKey>) -> Attempt<Loaded> {
        let mut loaded = Loaded {
            meta: self.meta()?,
            ..Loaded::default()
        };
        // In order, so that each is added at the end, and found near the one before.
        for key in OrderedSet::from_iter(keys) {
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
        let (first, last) = entry_ids(number)?;
        // Where nothing is pending, what is acknowledged and failed need not be looked through.
        let tail: Option<i64> = self
            .conn
            .prepare_cached(
                "SELECT e.id FROM sync_store_state s CROSS JOIN sync_store_entries e \
                 WHERE s.id = +?1 AND s.pending > 0 AND e.id BETWEEN +?2 AND +?3 AND e.state = 1 \
                 ORDER BY e.id DESC LIMIT 1",
            )?
            .query_row([number, first, last], |row| row.get(0))
            .optional()?;
        Ok(tail.map(seq_of))
    }

    /// The record of a mutation that has an entry.
    ///
    /// What is settled was sent, as a rule, and is found by an index. Anything else is looked for.
    pub(crate) fn key_of(&self, id: MutationId) -> Attempt<Option<RecordKey>> {
        let find = |condition: &str| -> Attempt<Option<RecordKey>> {
            let mut query = self.conn.prepare_cached(&format!(
                "SELECT s.scope, t.name, e.entity_id FROM sync_store_entries e {NAMES} \
                 WHERE e.mutation = ?1 AND {condition}"
            ))?;
            let mut rows = query.query([id.as_uuid().as_bytes()])?;
            rows.next()?.map(|row| named_key(row, 0)).transpose()
        };
        match find("e.sent")? {
            Some(key) => Ok(Some(key)),
            None => find("NOT e.sent"),
        }
    }

    /// The entries that match, by sequence.
    pub(crate) fn entries(&self, filter: &EntryFilter) -> Attempt<Vec<Entry>> {
        let EntryFilter { scope, key, state } = filter;
        if let Some(key) = key {
            let wanted = |entry: &&Entry| {
                state.is_none_or(|state| entry.kind() == state)
                    && scope.as_ref().is_none_or(|scope| *scope == key.scope)
            };
            let stack = self.stack(key)?;
            let mut entries: Vec<Entry> = stack.entries().iter().filter(wanted).cloned().collect();
            entries.sort_by_key(|entry| entry.seq);
            return Ok(entries);
        }
        let (first, last) = match scope {
            None => (i64::MIN, i64::MAX),
            Some(scope) => match self.scope_number(scope)? {
                Some(number) => entry_ids(number)?,
                None => return Ok(Vec::new()),
            },
        };
        let mut query = self.conn.prepare_cached(&format!(
            "SELECT {ENTRY}, s.scope, t.name, e.entity_id FROM sync_store_entries e {NAMES} \
             WHERE e.id BETWEEN +?1 AND +?2 AND (?3 IS NULL OR e.state = ?3) \
             ORDER BY e.id & {}",
            SEQS - 1
        ))?;
        let mut rows = query.query(params![first, last, state.map(state_number)])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(entry(named_key(row, BASE_AT)?, row)?);
        }
        Ok(entries)
    }
}

/// Finds the names in the key of an entry. What stands on the right is looked up for each entry.
const NAMES: &str = "CROSS JOIN sync_store_state s ON s.id = e.id >> 40 \
                     CROSS JOIN sync_store_types t ON t.id = e.type";

/// Reads a key from three columns: scope, type, id.
fn named_key(row: &Row<'_>, at: usize) -> Attempt<RecordKey> {
    Ok(RecordKey {
        scope: Scope::from(row.get::<_, String>(at)?),
        entity_type: EntityType::from(row.get::<_, String>(at + 1)?),
        entity_id: row.get::<_, ReadId>(at + 2)?.0,
    })
}

/// A payload as it was stored.
pub(super) fn stored_payload(text: String) -> Attempt<Payload> {
    Payload::parse(text).map_err(|_| Failure::Unreadable("a payload is no JSON".to_owned()))
}
