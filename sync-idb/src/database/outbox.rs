//! The outbox: enqueue, take, settle, and the lists of entries.

use idb::Query;
use sync_core::{
    model::{MutationId, RecordKey, Scope},
    ordered::OrderedSet,
    overlay::{self, Offer, Take, check_fence, settle_needs},
    store::{
        Counts, EnqueueRequest, Enqueued, Entry, EntryFilter, EntryKind, ScopeRow, Seq,
        SettleReport, SettleRequest, Stamp, TakeRequest, Taken, Touched,
    },
};

use super::{
    entries::{self as stored, in_state},
    meta::{MetaReply, ScopeReply},
    page::Batch,
    stacks::{StackReply, generation, load, store},
};
use crate::{
    error::Attempt,
    keys,
    reply::Reply,
    schema::{ENTRIES, index},
    transaction::Tx,
    values,
};

/// How many pending entries are read at a time.
const PIECE: u32 = 128;

/// Writes edits to the records and to the outbox.
pub(crate) async fn enqueue(tx: &Tx, request: &EnqueueRequest) -> Attempt<Vec<Enqueued>> {
    let mut tails = Vec::<(Scope, Reply)>::new();
    for edit in &request.edits {
        let scope = &edit.key.scope;
        if !tails.iter().any(|(asked, _)| asked == scope) {
            let pending = in_state(scope.as_str(), EntryKind::Pending);
            let tail = tx.last_indexed(ENTRIES, index::STATE, pending)?;
            tails.push((scope.clone(), tail));
        }
    }
    let edited = request.edits.iter().map(|edit| edit.key.clone());
    let mut loaded = load(tx, edited.collect()).await?;
    for (scope, tail) in tails {
        if let Some(seq) = stored::seq_at(tail.await?)? {
            loaded.tails.insert(scope, seq);
        }
    }
    let (outcomes, writes) = overlay::enqueue(loaded, request)?;
    store(tx, writes, Batch::new(tx)).await?;
    Ok(outcomes)
}

/// Returns the next batch, and marks it as sent.
pub(crate) async fn take(tx: &Tx, request: &TakeRequest) -> Attempt<Taken> {
    let meta = MetaReply::asked(tx)?.row().await?;
    check_fence(&meta, request.fence)?;
    let mut take = Take::new(meta.clone(), request);
    let mut last = Seq(0);
    'pieces: loop {
        let after = Query::from(keys::after(&keys::number(last.0))?);
        let piece = tx.indexed(ENTRIES, index::OUTBOX, Some(after), Some(PIECE))?;
        let entries = stored::all_of(piece.await?)?;
        let is_last = entries.len() < PIECE as usize;
        for entry in entries {
            last = entry.seq;
            let key = &entry.mutation.key;
            if !take.wants(key) {
                continue;
            }
            let (stack, scope) = (
                StackReply::asked(tx, key)?,
                ScopeReply::asked(tx, &key.scope)?,
            );
            let scope = scope.row().await?;
            let stack = stack.stack(key, generation(&meta, scope.as_ref())).await?;
            let scope =
                scope.unwrap_or_else(|| ScopeRow::new(key.scope.clone(), meta.first_generation));
            if take.offer(key, entry.seq, stack, scope) == Offer::Full {
                break 'pieces;
            }
        }
        if is_last {
            break;
        }
    }
    let (taken, writes) = take.finish();
    store(tx, writes, Batch::new(tx)).await?;
    Ok(taken)
}

/// Acts on the server's answers.
pub(crate) async fn settle(tx: &Tx, request: &SettleRequest) -> Attempt<SettleReport> {
    let needs = settle_needs(&request.settlements);
    let mut found = Vec::new();
    for id in &needs.ids {
        let id = Some(Query::from(wasm_bindgen::JsValue::from(id.to_string())));
        found.push(tx.indexed(ENTRIES, index::MUTATION, id, None)?);
    }
    for scope in &needs.judged {
        let scope = Some(Query::from(wasm_bindgen::JsValue::from_str(scope.as_str())));
        found.push(tx.indexed(ENTRIES, index::DOUBTED, scope, None)?);
    }
    let mut keys = OrderedSet::new();
    for entries in found {
        for value in values::items(entries.await?) {
            keys.insert(stored::key(&value)?);
        }
    }
    let (report, writes) = overlay::settle(load(tx, keys).await?, request)?;
    store(tx, writes, Batch::new(tx)).await?;
    Ok(report)
}

/// Puts a record's failed entries back into the outbox.
pub(crate) async fn retry(
    tx: &Tx,
    key: &RecordKey,
    stamp: Stamp,
) -> Attempt<(Option<MutationId>, Touched)> {
    let (id, writes) = overlay::retry(load(tx, [key.clone()].into()).await?, key, stamp);
    Ok((id, store(tx, writes, Batch::new(tx)).await?))
}

/// Drops a record's failed entries.
pub(crate) async fn discard(tx: &Tx, key: &RecordKey) -> Attempt<(Vec<Entry>, Touched)> {
    let (dropped, writes) = overlay::discard(load(tx, [key.clone()].into()).await?, key);
    Ok((dropped, store(tx, writes, Batch::new(tx)).await?))
}

/// The entries that match, in the order of the store.
pub(crate) async fn entries(tx: &Tx, filter: &EntryFilter) -> Attempt<Vec<Entry>> {
    let EntryFilter { scope, key, state } = filter;
    let found = match (key, scope, state) {
        (Some(key), ..) => {
            let by_record = Some(keys::record(key).into());
            tx.indexed(ENTRIES, index::RECORD, by_record, None)?
        }
        (None, Some(scope), Some(state)) => {
            let by_state = Some(in_state(scope.as_str(), *state).into());
            tx.indexed(ENTRIES, index::STATE, by_state, None)?
        }
        (None, Some(scope), None) => of_scope(tx, scope)?,
        (None, None, Some(EntryKind::Pending)) => tx.indexed(ENTRIES, index::OUTBOX, None, None)?,
        (None, None, Some(EntryKind::Failed)) => tx.indexed(ENTRIES, index::FAILED, None, None)?,
        (None, None, _) => tx.all(ENTRIES, None, None)?,
    };
    tx.asks_no_more();
    let mut entries = stored::all_of(found.await?)?;
    entries.retain(|entry| {
        let of_scope = |scope: &Scope| *scope == entry.mutation.key.scope;
        scope.as_ref().is_none_or(of_scope)
            && key.as_ref().is_none_or(|key| *key == entry.mutation.key)
            && state.is_none_or(|state| state == entry.kind())
    });
    stored::sort(&mut entries);
    Ok(entries)
}

/// Asks for all entries of a scope.
pub(super) fn of_scope(tx: &Tx, scope: &Scope) -> Attempt<Reply> {
    let range = keys::within(&[scope.as_str()])?;
    tx.indexed(ENTRIES, index::RECORD, Some(range.into()), None)
}

/// How many entries there are, by state.
pub(crate) async fn counts(tx: &Tx, scope: Option<&Scope>) -> Attempt<Counts> {
    let Some(scope) = scope else {
        let all = tx.count(ENTRIES, None)?;
        let pending = tx.count_indexed(ENTRIES, index::OUTBOX, None)?;
        let failed = tx.count_indexed(ENTRIES, index::FAILED, None)?;
        tx.asks_no_more();
        let (all, pending, failed) = (all.await?, pending.await?, failed.await?);
        let (pending, failed) = (values::counted(&pending), values::counted(&failed));
        return Ok(Counts {
            pending,
            failed,
            acknowledged: values::counted(&all).saturating_sub(pending + failed),
        });
    };
    let count = |state| {
        let key = in_state(scope.as_str(), state);
        tx.count_indexed(ENTRIES, index::STATE, Some(key.into()))
    };
    let pending = count(EntryKind::Pending)?;
    let failed = count(EntryKind::Failed)?;
    let acknowledged = count(EntryKind::Acknowledged)?;
    tx.asks_no_more();
    Ok(Counts {
        pending: values::counted(&pending.await?),
        failed: values::counted(&failed.await?),
        acknowledged: values::counted(&acknowledged.await?),
    })
}
