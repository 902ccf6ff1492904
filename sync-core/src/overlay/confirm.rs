//! Confirming: when pulls have shown what an entry wrote, so that it leaves the overlay.

use super::rows::Stack;
use crate::{
    model::{MutationId, Op, Payload, Version},
    store::{Entry, EntryState, ScopeRow, Seq, Tick},
};

/// Lets an entry go that the base contains, and what the server has decided before it: the acknowledged entries
/// of the record, and those that were sent and whose answer is missing, for a record's mutations are handled in
/// order. `confirmed` gets the ids that had no answer.
pub(super) fn leave(
    stack: &mut Stack,
    last: Seq,
    stamped: &[String],
    confirmed: &mut Vec<MutationId>,
) {
    let decided = |e: &Entry| e.seq == last || (e.seq < last && e.was_sent() && !e.is_failed());
    let gone: Vec<Entry> = stack.entries_mut().extract_if(.., |e| decided(e)).collect();
    for entry in gone {
        if !entry.is_acknowledged() {
            confirmed.push(entry.mutation.id);
        }
        follow_own(stack, &entry, stamped);
    }
}

/// Lets go of the acknowledged entries up to the last that a version contains.
pub(super) fn leave_up_to(
    stack: &mut Stack,
    version: Option<&Version>,
    stamped: &[String],
    confirmed: &mut Vec<MutationId>,
) {
    let contained = |e: &&Entry| shown_version(e).is_some_and(|shown| Some(shown) <= version);
    let last = stack.entries().iter().rev().find(contained).map(|e| e.seq);
    if let Some(last) = last {
        leave(stack, last, stamped, confirmed);
    }
}

/// Lets go of the acknowledged entries that a drained pull has passed: by its position, or, where that says
/// nothing about an entry, because it began after the entry was settled.
pub(super) fn leave_drained(
    stack: &mut Stack,
    scope: &ScopeRow,
    began: Tick,
    stamped: &[String],
    confirmed: &mut Vec<MutationId>,
) {
    let drained = scope.version_of(scope.drained, scope.generation);
    leave_up_to(stack, drained.as_ref(), stamped, confirmed);
    let comparable = |entry: &Entry| {
        let epoch = shown_version(entry).map(|shown| &shown.epoch);
        epoch.is_some() && epoch == drained.as_ref().map(|drained| &drained.epoch)
    };
    let passed = |entry: &Entry| match &entry.state {
        EntryState::Acknowledged(ack) => !comparable(entry) && ack.tick <= began,
        _ => false,
    };
    let gone: Vec<Entry> = stack.entries_mut().extract_if(.., |e| passed(e)).collect();
    for entry in gone {
        follow_own(stack, &entry, stamped);
    }
}

/// Whether pulls have already brought everything up to a version of this record.
pub(super) fn pulled_past(stack: &Stack, scope: &ScopeRow, version: &Version) -> bool {
    let at_least = |other: Option<Version>| other.is_some_and(|other| other >= *version);
    at_least(scope.version_of(stack.base.seq, stack.base.generation))
        || at_least(scope.version_of(scope.drained, scope.generation))
}

/// Whether the answer to an entry has carried a later state of its record than this version.
pub(super) fn carries_later(entry: &Entry, version: Option<&Version>) -> bool {
    carried_version(entry)
        .zip(version)
        .is_some_and(|(carried, version)| carried > version)
}

fn carried_version(entry: &Entry) -> Option<&Version> {
    match &entry.state {
        EntryState::Acknowledged(ack) => ack.carried.as_ref()?.version.as_ref(),
        _ => None,
    }
}

/// The version at which an acknowledged entry is contained in a change of its record.
fn shown_version(entry: &Entry) -> Option<&Version> {
    let EntryState::Acknowledged(ack) = &entry.state else {
        return None;
    };
    carried_version(entry).or(ack.version.as_ref())
}

/// Whether a state is what an operation makes, the fields aside that the server stamps.
pub(super) fn is_result(op: &Op, state: Option<&Payload>, stamped: &[String]) -> bool {
    match (op.payload(), state) {
        (Some(result), Some(state)) => state.same_json_except(result, stamped),
        (None, None) => true,
        _ => false,
    }
}

/// Marks the follower of a confirmed entry, if the base is what that entry had written.
pub(super) fn follow_own(stack: &mut Stack, confirmed: &Entry, stamped: &[String]) {
    if !is_result(&confirmed.mutation.op, stack.base_payload(), stamped) {
        return;
    }
    let id = confirmed.mutation.id;
    for entry in stack.entries_mut() {
        if entry.mutation.after == Some(id)
            && let EntryState::Pending(pending) = &mut entry.state
        {
            pending.over_own = true;
        }
    }
}
