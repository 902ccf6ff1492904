//! An edit that waits is always what the app sees.

use super::Invariant;
use crate::simulator::{seen::Seen, truth::Truth};

pub(crate) struct Pending;

impl Invariant for Pending {
    fn name(&self) -> &'static str {
        "pending edits are visible"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 4: no pull overwrites an unsettled edit"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
        let Seen::Stored {
            tab, call, after, ..
        } = seen
        else {
            return Ok(());
        };
        for (at, entry) in after.entries.iter().enumerate() {
            let key = &entry.mutation.key;
            let is_last = || {
                after.entries[at + 1..]
                    .iter()
                    .all(|later| later.mutation.key != *key)
            };
            if !entry.is_pending() || !is_last() {
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
                    "{tab}: after {call:?} the view of {key} is {}, and the edit that waits is {}",
                    shown.map_or("nothing", |p| p.as_str()),
                    edited.map_or("a delete", |p| p.as_str())
                ));
            }
        }
        Ok(())
    }
}
