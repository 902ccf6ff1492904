//! Enqueueing: what a new edit is based on, and when it merges into the one before.

use super::{
    failed::take_up,
    fold::fold,
    rows::{Loaded, Stack, Work, Writes, base_version, check_account},
    sweep::forget_gone_base,
};
use crate::{
    error::{StoreError, StoreErrorKind},
    model::{Mutation, MutationId, Op, RecordKey, Schema, Version},
    store::{Edit, EnqueueRequest, Enqueued, Entry, EntryState, Pending, ScopeRow, Stamp},
};

/// Writes edits to the overlay, in order.
///
/// - An edit is based on the version of what the user saw, and comes `after` the last own mutation in the view.
///   No later pull changes either.
/// - It merges only into the last pending entry of its scope, only if that is of the same record, and only while
///   that was never taken. A create and a delete that cancel each other leave nothing, if nothing lies beneath
///   and nothing of the record is failed.
/// - An edit of a record with failed entries takes them up: it keeps what the first of them was based on.
///
/// # Errors
/// `Moved`, when an edit expects another view; `OtherAccount`.
pub fn enqueue(
    loaded: Loaded,
    request: &EnqueueRequest,
) -> Result<(Vec<Enqueued>, Writes), StoreError> {
    check_account(&loaded.meta, &request.account)?;
    let mut work = Work::new(loaded);
    let mut outcomes = Vec::with_capacity(request.edits.len());
    for edit in &request.edits {
        outcomes.push(enqueue_one(&mut work, edit, request.stamp)?);
    }
    Ok((outcomes, work.finish()))
}

fn enqueue_one(work: &mut Work, edit: &Edit, stamp: Stamp) -> Result<Enqueued, StoreError> {
    let scope = work.scope(&edit.key.scope);
    let mut stack = work
        .take_out(&edit.key)
        .unwrap_or_else(|| Stack::of_record(None, scope.generation));
    let outcome = match &edit.expect {
        Some(expect)
            if fold(&edit.key, &stack).is_none_or(|row| !row.payload.same_json(expect)) =>
        {
            Err(StoreError::new(StoreErrorKind::Moved, edit.key.to_string()))
        }
        _ => Ok(place(work, &mut stack, &scope, edit, stamp)),
    };
    work.put_back(&edit.key, stack);
    // A generation that is kept nowhere could not be told from the one after a wipe.
    work.now
        .scopes
        .get_or_insert_with(edit.key.scope.clone(), || scope);
    outcome
}

fn place(
    work: &mut Work,
    stack: &mut Stack,
    scope: &ScopeRow,
    edit: &Edit,
    stamp: Stamp,
) -> Enqueued {
    let based = seen(stack, scope);
    forget_gone_base(stack, scope);
    if let Some(failed) = take_up(stack) {
        // The server may hold a failed create, so that its delete has to go out.
        let op = compose(&failed.op, edit.op.clone(), stack).unwrap_or(Op::Delete);
        let mut entry = new_entry(work, &edit.key, op, failed.based, edit.schema, stamp);
        mark_taken_up(&mut entry);
        return Enqueued::Queued(append(work, stack, entry));
    }
    if let Some(position) = mergeable(work, stack, &edit.key) {
        let merged = stack.entries_mut().remove(position);
        let op = match compose(&merged.mutation.op, edit.op.clone(), stack) {
            Some(op) => op,
            None if took_up(&merged) => Op::Delete,
            None => {
                work.now.tails.remove(&edit.key.scope);
                return Enqueued::Cancelled;
            }
        };
        let id = merged.mutation.id;
        let mutation = Mutation {
            op,
            schema: edit.schema,
            edited_at: stamp.now,
            ..merged.mutation
        };
        stack.entries_mut().push(Entry { mutation, ..merged });
        stack.sort();
        return Enqueued::Queued(id);
    }
    let entry = new_entry(work, &edit.key, edit.op.clone(), based, edit.schema, stamp);
    Enqueued::Queued(append(work, stack, entry))
}

fn took_up(entry: &Entry) -> bool {
    matches!(&entry.state, EntryState::Pending(pending) if pending.took_up)
}

/// Remembers that an entry stands for failed ones.
pub(super) fn mark_taken_up(entry: &mut Entry) {
    if let EntryState::Pending(pending) = &mut entry.state {
        pending.took_up = true;
    }
}

/// What an edit is based on: a version, and the own mutation that it follows.
#[derive(Clone, Debug, Default)]
pub(super) struct Based {
    pub(super) version: Option<Version>,
    pub(super) after: Option<MutationId>,
}

/// What the user sees of a record, its failed entries aside.
fn seen(stack: &Stack, scope: &ScopeRow) -> Based {
    let last = stack.entries().iter().rev().find(|e| !e.is_failed());
    match last.map(|entry| (&entry.mutation, &entry.state)) {
        Some((mutation, EntryState::Pending(_))) => Based {
            version: mutation.base_version.clone(),
            after: Some(mutation.id),
        },
        Some((mutation, EntryState::Acknowledged(ack))) => Based {
            version: match &ack.carried {
                Some(carried) => carried.version.clone(),
                None => ack.version.clone(),
            },
            // What lost a conflict is not in the view.
            after: (!ack.lost).then_some(mutation.id),
        },
        _ => Based {
            version: base_version(stack, scope),
            after: None,
        },
    }
}

/// The place of the entry that an edit of this record may merge into.
fn mergeable(work: &Work, stack: &Stack, key: &RecordKey) -> Option<usize> {
    let tail = work.now.tails.get(&key.scope)?;
    stack
        .entries()
        .iter()
        .position(|e| e.seq == *tail && e.is_pending() && !e.was_sent())
}

/// One operation for two in a row, over what is beneath both; none if they cancel each other.
pub(super) fn compose(first: &Op, then: Op, beneath: &Stack) -> Option<Op> {
    match (first, then) {
        (Op::Create(_), Op::Delete)
            if beneath.base.payload.is_none() && beneath.entries().is_empty() =>
        {
            None
        }
        (_, Op::Delete) => Some(Op::Delete),
        (Op::Create(_), Op::Create(payload) | Op::Update(payload)) => Some(Op::Create(payload)),
        (Op::Update(_), Op::Create(payload) | Op::Update(payload)) => Some(Op::Update(payload)),
        (Op::Delete, Op::Create(payload) | Op::Update(payload)) => {
            // The delete is not going to happen: what it would have removed is replaced instead.
            let nowhere = RecordKey::new("", "", "");
            Some(if fold(&nowhere, beneath).is_some() {
                Op::Update(payload)
            } else {
                Op::Create(payload)
            })
        }
    }
}

pub(super) fn new_entry(
    work: &mut Work,
    key: &RecordKey,
    op: Op,
    based: Based,
    schema: Schema,
    stamp: Stamp,
) -> Entry {
    let seq = work.next_seq();
    // Each id of a call gets bits of its own.
    let random = stamp
        .random
        .rotate_left(u32::try_from(seq.0 % 128).unwrap_or(0));
    let id = work.next_id(stamp.now, random);
    Entry {
        seq,
        mutation: Mutation {
            id,
            key: key.clone(),
            op,
            schema,
            base_version: based.version,
            after: based.after,
            edited_at: stamp.now,
        },
        state: EntryState::Pending(Pending::default()),
        again: 0,
    }
}

/// Puts a new entry at the end of the queue. Returns its id.
pub(super) fn append(work: &mut Work, stack: &mut Stack, entry: Entry) -> MutationId {
    let id = entry.mutation.id;
    work.now
        .tails
        .insert(entry.mutation.key.scope.clone(), entry.seq);
    stack.entries_mut().push(entry);
    stack.sort();
    id
}
