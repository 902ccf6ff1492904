//! Starting over: resync, sweep, purge and wipe.

use js_sys::Array;
use sync_core::{
    model::{EntityType, Generation, RecordKey, Scope},
    ordered::OrderedSet,
    overlay::{self, check_fence, may_wipe, sweep_end},
    store::{EntryKind, Fence, Meta, Purged, Revoked, ScopeRow, SweepOutcome, Touched},
    time::Timestamp,
};
use wasm_bindgen::{JsCast, JsValue};

use super::{
    conflicts::put_revoked,
    entries,
    meta::{MetaReply, put_meta, put_scope, scopes},
    outbox::{counts, of_scope},
    page::Batch,
    records::{generation_in, types_in},
    stacks::{in_state, load_scope, store},
};
use crate::{
    error::Attempt,
    keys,
    schema::{BASES, CONFLICTS, ENTRIES, Place, REVOKED, SCOPES},
    transaction::Tx,
    values,
};

/// Begins a resync.
pub(crate) async fn resync(
    tx: &Tx,
    scope: &Scope,
    new_epoch: bool,
    fence: Fence,
) -> Attempt<Touched> {
    let records = if new_epoch {
        in_state(tx, scope, EntryKind::Acknowledged).await?
    } else {
        OrderedSet::new()
    };
    let loaded = load_scope(tx, scope, records).await?;
    let writes = overlay::resync(loaded, scope, new_epoch, fence)?;
    store(tx, writes, Batch::new(tx)).await
}

/// Looks at the next records of a scope, and removes those that a resync's pull has not brought.
pub(crate) async fn sweep(
    tx: &Tx,
    scope: &Scope,
    limit: u32,
    fence: Fence,
) -> Attempt<SweepOutcome> {
    let mut loaded = load_scope(tx, scope, OrderedSet::new()).await?;
    check_fence(&loaded.meta, fence)?;
    let mut outcome = SweepOutcome::default();
    let sweeping = loaded.scopes.get_mut(scope).and_then(|row| {
        let generation = row.generation;
        let resync = row.resync.as_mut().filter(|resync| resync.sweeping)?;
        Some((resync, generation))
    });
    let Some((resync, generation)) = sweeping else {
        outcome.done = true;
        return Ok(outcome);
    };
    let step = next_records(tx, scope, resync.swept.as_ref(), limit.max(1)).await?;
    let Some((last, _)) = step.last() else {
        store(tx, sweep_end(loaded, scope), Batch::new(tx)).await?;
        outcome.done = true;
        return Ok(outcome);
    };
    resync.swept = Some(last.clone());
    for (key, of) in &step {
        if *of < generation {
            outcome.touched.add(&key.scope, &key.entity_type);
            let place = tx.place(&key.entity_type);
            tx.delete(place.store, place.key(key))?;
        }
    }
    if let Some(row) = loaded.scopes.get(scope) {
        put_scope(tx, row)?;
    }
    Ok(outcome)
}

/// The records after the one that a sweep has come to, place by place, each with its generation.
async fn next_records(
    tx: &Tx,
    scope: &Scope,
    swept: Option<&RecordKey>,
    limit: u32,
) -> Attempt<Vec<(RecordKey, Generation)>> {
    let begin = swept.map(|key| tx.place(&key.entity_type).store);
    let is_before = |place: &Place<'_>| begin.is_some_and(|begin| place.store != begin);
    let mut found = Vec::new();
    for place in tx.places().skip_while(is_before) {
        let left = limit - u32::try_from(found.len()).unwrap_or(limit);
        if left == 0 {
            break;
        }
        let range = match swept.filter(|_| begin == Some(place.store)) {
            Some(swept) => keys::within_past(&[scope.as_str()], &place.key(swept))?,
            None => keys::within(&[scope.as_str()])?,
        };
        let values = tx.all(place.store, Some(range), Some(left))?.await?;
        for value in values::items(values) {
            found.push((key_in(place, &value)?, generation_in(&value)?));
        }
    }
    Ok(found)
}

fn key_in(place: Place<'_>, value: &JsValue) -> Attempt<RecordKey> {
    let Some(entity_type) = place.declared else {
        return entries::key(value);
    };
    let text = |name| {
        values::property(value, name)
            .as_string()
            .unwrap_or_default()
    };
    Ok(RecordKey::new(
        text("scope"),
        entity_type.clone(),
        text("id"),
    ))
}

/// Removes a scope.
pub(crate) async fn purge(tx: &Tx, scope: &Scope, at: Timestamp, fence: Fence) -> Attempt<Purged> {
    let loaded = load_scope(tx, scope, OrderedSet::new()).await?;
    let mut entries = entries::all_of(of_scope(tx, scope)?.await?)?;
    entries::sort(&mut entries);
    let seqs: Vec<_> = entries.iter().map(|entry| entry.seq).collect();
    let (row, revoked): (ScopeRow, Vec<Revoked>) =
        overlay::purge(&loaded, scope, entries, at, fence)?;
    let mut touched = Touched::default();
    for place in tx.places() {
        for entity_type in types_in(tx, place, scope).await? {
            touched.add(scope, &entity_type);
        }
        tx.delete(place.store, keys::within(&[scope.as_str()])?)?;
    }
    tx.delete(BASES, keys::within(&[scope.as_str()])?)?;
    for seq in seqs {
        entries::remove(tx, seq)?;
    }
    for revoked in &revoked {
        put_revoked(tx, revoked)?;
    }
    put_scope(tx, &row)?;
    Ok(Purged {
        revoked: revoked.len() as u64,
        touched,
    })
}

/// Empties the database, and unbinds it from its account.
pub(crate) async fn wipe(tx: &Tx, force: bool) -> Attempt<Touched> {
    let revoked = values::counted(&tx.count(REVOKED, None)?.await?);
    let conflicts = values::counted(&tx.count(CONFLICTS, None)?.await?);
    may_wipe(counts(tx, None).await?, revoked, conflicts, force)?;
    let meta = MetaReply::asked(tx)?.row().await?;
    let rows = scopes(tx).await?;
    let newest = rows.iter().map(|row| row.generation).max();
    let mut touched = Touched::default();
    for place in tx.places() {
        for (scope, entity_type) in views_in(tx, place).await? {
            touched.add(&scope, &entity_type);
        }
        tx.clear(place.store)?;
    }
    for name in [SCOPES, BASES, ENTRIES, CONFLICTS, REVOKED] {
        tx.clear(name)?;
    }
    let meta = Meta {
        account: None,
        first_generation: newest
            .max(Some(meta.first_generation))
            .map_or(Generation(1), Generation::next),
        fence: Fence(meta.fence.0 + 1),
        ..meta
    };
    put_meta(tx, &meta)?;
    Ok(touched)
}

/// The scopes and types of all records in a place; it skips from one to the next.
async fn views_in(tx: &Tx, place: Place<'_>) -> Attempt<Vec<(Scope, EntityType)>> {
    let mut views = Vec::new();
    let mut range = None;
    loop {
        let found = tx.all_keys(place.store, range, Some(1))?.await?;
        let Some(key) = values::items(found).next() else {
            return Ok(views);
        };
        let part = |n| key.unchecked_ref::<Array>().get(n).as_string();
        let scope = part(0).unwrap_or_default();
        let (entity_type, past) = match place.declared {
            Some(entity_type) => (entity_type.clone(), keys::after_all_of(&[&scope])?),
            None => {
                let name = part(1).unwrap_or_default();
                let past = keys::after_all_of(&[&scope, &name])?;
                (EntityType::from(name), past)
            }
        };
        views.push((Scope::from(scope), entity_type));
        range = Some(past);
    }
}
