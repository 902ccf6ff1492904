//! What the app sees of a record is its last edit, be it waiting or set aside, and the record is marked so.

use sync_core::{
    model::Op,
    store::{Entry, EntryState, Marks},
};

use super::Invariant;
use crate::simulator::{seen::Seen, snapshot::Snapshot, truth::Truth};

pub(crate) struct Pending;

impl Invariant for Pending {
    fn name(&self) -> &'static str {
        "edits are visible"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 4: no pull overwrites an unsettled edit, and a refusal does not remove it"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
        let Seen::Stored {
            tab, call, after, ..
        } = seen
        else {
            return Ok(());
        };
        marked(after).map_err(|what| format!("{tab}: after {call:?} {what}"))?;
        for (at, entry) in after.entries.iter().enumerate() {
            let key = &entry.mutation.key;
            let mut later = after.entries[at + 1..].iter();
            if !shows(entry) || later.any(|later| later.mutation.key == *key) {
                continue;
            }
            let shown = after.record(key).map(|row| &row.payload);
            let edited = entry.mutation.op.payload();
            let same = match (shown, edited) {
                (Some(shown), Some(edited)) => shown.same_json(edited),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return Err(format!(
                    "{tab}: after {call:?} the view of {key} is {}, and the {} edit is {}",
                    shown.map_or("nothing", |p| p.as_str()),
                    if entry.is_failed() {
                        "failed"
                    } else {
                        "pending"
                    },
                    edited.map_or("a delete", |p| p.as_str())
                ));
            }
        }
        Ok(())
    }
}

/// Whether the view is what the entry has written, if none of its record follows. What an acknowledged one shows may
/// have come with the answer, and beneath a failed delete the record is still there.
fn shows(entry: &Entry) -> bool {
    match &entry.state {
        EntryState::Pending(_) => true,
        EntryState::Failed(_) => !matches!(entry.mutation.op, Op::Delete),
        EntryState::Acknowledged(_) => false,
    }
}

/// Each record is marked for what lies over it, and for nothing else.
fn marked(held: &Snapshot) -> Result<(), String> {
    for entry in &held.entries {
        let row = held.record(&entry.mutation.key);
        if row.is_some_and(|row| !row.marks.contains(mark(entry))) {
            let (id, key) = (entry.mutation.id, &entry.mutation.key);
            return Err(format!("{key} is not marked for {id}"));
        }
    }
    for row in &held.records {
        // Whether a record was revived is not told by its entries alone.
        let marks = row.marks.without(Marks::REVIVED);
        if marks == Marks::default() {
            continue;
        }
        let of = held.entries_of(&row.key).map(mark);
        let expected = of.fold(Marks::default(), Marks::with);
        if marks != expected {
            return Err(format!(
                "{} is marked as {marks:?}, and its edits are {expected:?}",
                row.key
            ));
        }
    }
    Ok(())
}

fn mark(entry: &Entry) -> Marks {
    match entry.state {
        EntryState::Acknowledged(_) => Marks::ACKNOWLEDGED,
        EntryState::Pending(_) => Marks::PENDING,
        EntryState::Failed(_) => Marks::FAILED,
    }
}
