//! A record's failed edits are retried, taken up by a new edit and discarded only together, and nothing of them is
//! lost on the way.

use std::collections::BTreeSet;

use sync_core::{
    model::{MutationId, Op, RecordKey},
    store::Entry,
};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{seen::Seen, snapshot::Snapshot, truth::Truth},
};

pub(crate) struct TakenUp;

impl Invariant for TakenUp {
    fn name(&self) -> &'static str {
        "failed edits stay together"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 4: what was refused stays until the app retries or discards it"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
        let Seen::Stored {
            tab,
            call: call @ (StoreCall::Enqueue | StoreCall::Retry | StoreCall::Discard),
            before,
            after,
        } = seen
        else {
            return Ok(());
        };
        if before.counts.failed == 0 {
            return Ok(());
        }
        let gone = |entry: &&Entry| entry.is_failed() && after.entry(entry.mutation.id).is_none();
        let records: BTreeSet<&RecordKey> = before
            .entries
            .iter()
            .filter(gone)
            .map(|entry| &entry.mutation.key)
            .collect();
        if *call != StoreCall::Enqueue && records.len() > 1 {
            return Err(format!(
                "{tab}: {call:?} of one record has moved {records:?}"
            ));
        }
        for key in records {
            decided(*call, key, before, after)
                .map_err(|what| format!("{tab}: {call:?} of {key} {what}"))?;
        }
        Ok(())
    }
}

fn decided(
    call: StoreCall,
    key: &RecordKey,
    before: &Snapshot,
    after: &Snapshot,
) -> Result<(), String> {
    if after.entries_of(key).any(Entry::is_failed) {
        return Err("has left some of the failed edits behind".to_owned());
    }
    let failed: Vec<&Entry> = before.entries_of(key).filter(|e| e.is_failed()).collect();
    let new = after.entries_of(key).find(|e| is_new(e, before));
    let (Some(first), Some(last)) = (failed.first(), failed.last()) else {
        return Ok(());
    };
    if call == StoreCall::Discard {
        return match new {
            Some(entry) => Err(format!("has made {}", entry.mutation.id)),
            None => Ok(()),
        };
    }
    let Some(new) = new else {
        return Err("has dropped the failed edits".to_owned());
    };
    let (based, was) = (&new.mutation, &first.mutation);
    if (&based.base_version, based.after) != (&was.base_version, was.after) {
        return Err(format!(
            "is based on {:?} after {:?}, and the first failed edit on {:?} after {:?}",
            based.base_version, based.after, was.base_version, was.after
        ));
    }
    if call == StoreCall::Retry && !same_outcome(&new.mutation.op, &last.mutation.op) {
        return Err("puts something else again than the last failed edit".to_owned());
    }
    if before.entries.iter().any(|other| other.seq > new.seq) {
        return Err("has not put it at the queue's end".to_owned());
    }
    Ok(())
}

/// An entry with an id that was given out in this call.
fn is_new(entry: &Entry, before: &Snapshot) -> bool {
    let id: MutationId = entry.mutation.id;
    entry.is_pending() && before.entry(id).is_none()
}

fn same_outcome(one: &Op, other: &Op) -> bool {
    match (one.payload(), other.payload()) {
        (Some(one), Some(other)) => one.same_json(other),
        (None, None) => true,
        _ => false,
    }
}
