//! Failed entries: a record's are retried, taken up by a new edit, and discarded only together.

use super::{
    enqueue::{Based, append, compose, mark_taken_up, new_entry},
    rows::{Loaded, Stack, Work, Writes},
};
use crate::{
    model::{MutationId, Op, RecordKey, Schema},
    store::{Entry, Stamp},
};

/// A record's failed entries, as one edit.
#[derive(Debug)]
pub(super) struct TakenUp {
    pub(super) op: Op,
    pub(super) schema: Schema,
    pub(super) based: Based,
}

/// Removes a record's failed entries and returns the one edit that they amount to, with what the first of them
/// was based on.
pub(super) fn take_up(stack: &mut Stack) -> Option<TakenUp> {
    let failed: Vec<Entry> = stack
        .entries_mut()
        .extract_if(.., |e| e.is_failed())
        .collect();
    let mut failed = failed.into_iter();
    let first = failed.next()?;
    let based = Based {
        version: first.mutation.base_version,
        after: first.mutation.after,
    };
    let start = TakenUp {
        op: first.mutation.op,
        schema: first.mutation.schema,
        based,
    };
    Some(failed.fold(start, |up, entry| TakenUp {
        // The server may hold a failed create, so that a create and a delete stay a delete.
        op: compose(&up.op, entry.mutation.op, stack).unwrap_or(Op::Delete),
        schema: entry.mutation.schema,
        based: up.based,
    }))
}

/// Puts a record's failed entries back, as one new mutation at the queue's end; none when nothing is failed.
#[must_use]
pub fn retry(loaded: Loaded, key: &RecordKey, stamp: Stamp) -> (Option<MutationId>, Writes) {
    let mut work = Work::new(loaded);
    let mut id = None;
    if let Some(mut stack) = work.take_out(key) {
        if let Some(up) = take_up(&mut stack) {
            let mut entry = new_entry(&mut work, key, up.op, up.based, up.schema, stamp);
            mark_taken_up(&mut entry);
            id = Some(append(&mut work, &mut stack, entry));
        }
        work.put_back(key, stack);
    }
    (id, work.finish())
}

/// Drops a record's failed entries. Returns them.
#[must_use]
pub fn discard(loaded: Loaded, key: &RecordKey) -> (Vec<Entry>, Writes) {
    let mut work = Work::new(loaded);
    let dropped = work.now.stacks.get_mut(key).map_or_else(Vec::new, |stack| {
        stack
            .entries_mut()
            .extract_if(.., |e| e.is_failed())
            .collect()
    });
    (dropped, work.finish())
}
