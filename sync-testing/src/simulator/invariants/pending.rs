//! What the app sees of a record is its last edit, be it waiting or set aside, and the record is marked so.

use std::collections::BTreeMap;

use sync_core::{
    model::{Op, RecordKey},
    store::{Entry, EntryState, Marks, RecordRow},
};

use super::Invariant;
use crate::simulator::{seen::Seen, truth::Truth};

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
            tab,
            call,
            before,
            after,
        } = seen
        else {
            return Ok(());
        };
        if after.shares(before) {
            return Ok(());
        }
        let over = overlay(&after.entries);
        marked(&after.records, &over).map_err(|what| format!("{tab}: after {call:?} {what}"))?;
        for (key, Over { last, .. }) in &over {
            if !shows(last) {
                continue;
            }
            let shown = after.record(key).map(|row| &row.payload);
            let edited = last.mutation.op.payload();
            let same = match (shown, edited) {
                (Some(shown), Some(edited)) => shown.same_json(edited),
                (None, None) => true,
                _ => false,
            };
            if !same {
                return Err(format!(
                    "{tab}: after {call:?} the view of {key} is {}, and the {} edit is {}",
                    shown.map_or("nothing", |p| p.as_str()),
                    if last.is_failed() {
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

/// What lies over a record.
struct Over<'a> {
    last: &'a Entry,
    marks: Marks,
}

fn overlay(entries: &[Entry]) -> BTreeMap<&RecordKey, Over<'_>> {
    let mut over: BTreeMap<&RecordKey, Over<'_>> = BTreeMap::new();
    for entry in entries {
        let of = over.entry(&entry.mutation.key).or_insert(Over {
            last: entry,
            marks: Marks::default(),
        });
        of.last = entry;
        of.marks = of.marks.with(mark(entry));
    }
    over
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
fn marked(rows: &[RecordRow], over: &BTreeMap<&RecordKey, Over<'_>>) -> Result<(), String> {
    for row in rows {
        // Whether a record was revived is not told by its entries alone.
        let marks = row.marks.without(Marks::REVIVED);
        let expected = over
            .get(&row.key)
            .map_or(Marks::default(), |over| over.marks);
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
