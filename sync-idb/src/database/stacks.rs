//! Loading what a rule needs, and storing what it returns.

use sync_core::{
    model::{Generation, RecordKey, Scope},
    ordered::OrderedSet,
    overlay::{EntryWrite, Loaded, Stack, Writes},
    store::{BaseRow, Conflict, EntryKind, Meta, ScopeRow, Touched},
};

use super::{
    entries,
    meta::{MetaReply, ScopeReply, put_meta, put_scope},
    page::Batch,
    records::record_in,
};
use crate::{
    error::Attempt,
    keys,
    reply::Reply,
    schema::{BASES, CONFLICTS, ENTRIES, index},
    transaction::Tx,
    values,
};

const OF_BASE: &str = "a base";

/// A stack that was asked for.
pub(super) struct StackReply {
    base: Reply,
    entries: Reply,
    record: Reply,
}

impl StackReply {
    pub(super) fn asked(tx: &Tx, key: &RecordKey) -> Attempt<Self> {
        let place = tx.place(&key.entity_type);
        let by_record = Some(keys::record(key).into());
        Ok(Self {
            base: tx.get(BASES, keys::record(key))?,
            entries: tx.indexed(ENTRIES, index::RECORD, by_record, None)?,
            record: tx.get(place.store, place.key(key))?,
        })
    }

    pub(super) async fn stack(self, key: &RecordKey, generation: Generation) -> Attempt<Stack> {
        let (base, entries, record) = (self.base.await?, self.entries.await?, self.record.await?);
        Ok(match values::decoded::<BaseRow>(OF_BASE, &base)? {
            Some(base) => Stack::new(base, entries::all_of(entries)?),
            None => Stack::of_record(record_in(&record, &key.entity_type)?, generation),
        })
    }
}

/// Loads the stacks of these records with their scopes, all of them at once.
pub(super) async fn load(tx: &Tx, records: OrderedSet<RecordKey>) -> Attempt<Loaded> {
    let meta = MetaReply::asked(tx)?;
    let mut scopes = Vec::<(Scope, ScopeReply)>::new();
    let mut stacks = Vec::new();
    for key in records {
        // All records of a scope come one after another.
        if scopes.last().is_none_or(|(scope, _)| *scope != key.scope) {
            scopes.push((key.scope.clone(), ScopeReply::asked(tx, &key.scope)?));
        }
        let asked = StackReply::asked(tx, &key)?;
        stacks.push((key, asked));
    }
    let mut loaded = Loaded {
        meta: meta.row().await?,
        ..Loaded::default()
    };
    for (scope, asked) in scopes {
        if let Some(row) = asked.row().await? {
            loaded.scopes.insert(scope, row);
        }
    }
    for (key, asked) in stacks {
        let generation = generation(&loaded.meta, loaded.scopes.get(&key.scope));
        let stack = asked.stack(&key, generation).await?;
        loaded.stacks.insert(key, stack);
    }
    Ok(loaded)
}

/// As [`load`], with this scope in any case.
pub(super) async fn load_scope(
    tx: &Tx,
    scope: &Scope,
    records: OrderedSet<RecordKey>,
) -> Attempt<Loaded> {
    let row = ScopeReply::asked(tx, scope)?;
    let mut loaded = load(tx, records).await?;
    let row = row.row().await?;
    loaded.scopes.extend(row.map(|row| (scope.clone(), row)));
    Ok(loaded)
}

/// The generation of a scope of which something or nothing is kept.
pub(super) fn generation(meta: &Meta, row: Option<&ScopeRow>) -> Generation {
    row.map_or(meta.first_generation, |row| row.generation)
}

/// The records of a scope that have an entry in this state.
pub(super) async fn in_state(
    tx: &Tx,
    scope: &Scope,
    state: EntryKind,
) -> Attempt<OrderedSet<RecordKey>> {
    let query = Some(entries::in_state(scope.as_str(), state).into());
    let found = tx.indexed(ENTRIES, index::STATE, query, None)?.await?;
    values::items(found)
        .map(|value| entries::key(&value))
        .collect()
}

/// The conflicts of these that are not kept yet. To be asked before anything is written.
async fn new_conflicts(tx: &Tx, conflicts: Vec<Conflict>) -> Attempt<Vec<Conflict>> {
    let mut new = Vec::new();
    for conflict in conflicts {
        let id = conflict.mutation_id.to_string();
        let kept = tx.indexed_key(CONFLICTS, index::MUTATION, id.into())?;
        if kept.await?.is_undefined() {
            new.push(conflict);
        }
    }
    Ok(new)
}

/// Writes what a rule has returned, after the changes of a page that it has not seen.
pub(super) async fn store(tx: &Tx, writes: Writes, mut batch: Batch<'_>) -> Attempt<Touched> {
    // Destructured with no `..`: a field that a later version adds does not compile until it is stored.
    let Writes {
        meta,
        scopes,
        records,
        bases,
        entries,
        conflicts,
        touched,
    } = writes;
    let conflicts = new_conflicts(tx, conflicts).await?;
    for (key, row) in &records {
        match row {
            Some(row) => batch.put_row(row).await?,
            None => batch.remove(key).await?,
        }
    }
    batch.finish().await?;
    for (key, row) in bases {
        let key = keys::record(&key);
        match row {
            Some(row) => {
                let text = values::encoded(OF_BASE, &row)?;
                tx.put(BASES, &text.into(), Some(&key))?;
            }
            None => tx.delete(BASES, key)?,
        }
    }
    for write in entries {
        match write {
            EntryWrite::Put(entry) => entries::put(tx, &entry)?,
            EntryWrite::Remove { scope: _, seq } => entries::remove(tx, seq)?,
        }
    }
    for conflict in &conflicts {
        super::conflicts::put(tx, conflict)?;
    }
    for row in &scopes {
        put_scope(tx, row)?;
    }
    if let Some(meta) = &meta {
        put_meta(tx, meta)?;
    }
    Ok(touched)
}
