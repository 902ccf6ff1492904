//! The view of a record never goes back to a state older than one that it has shown as applied.

use std::collections::BTreeMap;

use sync_core::{
    model::RecordKey,
    store::{Entry, Marks},
};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{seen::Seen, snapshot::Snapshot, truth::Truth},
};

#[derive(Default)]
pub(crate) struct Flicker {
    /// The number of the newest applied state that each device has shown of a record.
    newest: BTreeMap<(usize, RecordKey), u64>,
    restores: u64,
}

impl Invariant for Flicker {
    fn name(&self) -> &'static str {
        "no flicker"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 5: no view falls back behind what it has shown as applied"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if truth.restores != self.restores {
            // The past of the server has changed, and older states may be the newest again.
            self.restores = truth.restores;
            self.newest.clear();
        }
        let Seen::Stored {
            tab,
            call,
            before,
            after,
        } = seen
        else {
            return Ok(());
        };
        if matches!(call, StoreCall::Purge | StoreCall::Wipe) {
            let device = tab.device;
            self.newest
                .retain(|(of, key), _| *of != device || after.record(key).is_some());
            return Ok(());
        }
        if after.shares(before) {
            return Ok(());
        }
        let applied = after.still(before).filter_map(|(was, now)| {
            let settled = was.is_pending() && now.is_none_or(Entry::is_acknowledged);
            settled.then_some(was)
        });
        let applied: Vec<&RecordKey> = applied
            .filter(|entry| self.applied(tab.device, *call, entry, after, truth))
            .map(|entry| &entry.mutation.key)
            .collect();
        let changed = after.changed_since(before);
        for key in changed.into_iter().chain(applied) {
            self.shown(tab.device, key, after, truth)
                .map_err(|what| format!("{tab}: {call:?} {what}"))?;
        }
        Ok(())
    }
}

impl Flicker {
    /// Takes note of what the device shows as applied from now on; false if that says nothing.
    fn applied(
        &mut self,
        device: usize,
        call: StoreCall,
        entry: &Entry,
        held: &Snapshot,
        truth: &Truth,
    ) -> bool {
        let key = &entry.mutation.key;
        let Some(server) = truth.server.scopes.get(&key.scope) else {
            return false;
        };
        if truth.restored_unnoticed(device, &key.scope) {
            return false;
        }
        // A device whose clock was set back cannot tell that the server has forgotten a verdict: an old edit may be
        // applied anew, as `docs/guarantees.md` says.
        if truth.clock_set_back.contains(&device) {
            return false;
        }
        // A later one that the server has decided, too, is what the view shows.
        let later = |other: &Entry| other.is_acknowledged() && other.seq > entry.seq;
        if held.entries_of(key).any(later) {
            return false;
        }
        let row = held.scope(&key.scope);
        let of_another_history = row.is_some_and(|row| {
            row.epoch()
                .is_some_and(|epoch| Some(epoch) != server.epoch.as_ref())
        });
        let number = server.applied.get(&entry.mutation.id);
        let Some(number) = number.filter(|_| !of_another_history) else {
            return false;
        };
        // Its verdict was forgotten while it was on its way once more, and it was applied anew: the page, which tells of
        // the first time, is older than that.
        let through = row.and_then(|row| row.through).unwrap_or_default();
        if call == StoreCall::Apply && *number > through {
            return false;
        }
        // What has appended nothing has no state of its own.
        let made = server.log.get(number);
        if made.is_none_or(|made| {
            made.key != *key || made.payload.as_ref() != entry.mutation.op.payload()
        }) {
            return false;
        }
        let newest = self.newest.entry((device, key.clone())).or_default();
        *newest = (*newest).max(*number);
        true
    }

    fn shown(
        &mut self,
        device: usize,
        key: &RecordKey,
        held: &Snapshot,
        truth: &Truth,
    ) -> Result<(), String> {
        let Some(server) = truth.server.scopes.get(&key.scope) else {
            return Ok(());
        };
        // Of another history than the server's: what is older cannot be told.
        let row = held.scope(&key.scope);
        if row
            .and_then(|row| row.epoch())
            .is_some_and(|epoch| Some(epoch) != server.epoch.as_ref())
        {
            return Ok(());
        }
        let newest = self.newest.get(&(device, key.clone())).copied();
        let shown = match held.record(key) {
            Some(row)
                if row.marks.contains(Marks::PENDING) || row.marks.contains(Marks::FAILED) =>
            {
                return Ok(());
            }
            Some(row) => server.number_of(key, &row.payload),
            None if held.entries_of(key).any(Entry::is_pending) => return Ok(()),
            None => match newest {
                // It is not there, so that it must have been deleted since.
                Some(newest) => match server.deleted_from(key, newest) {
                    Some(seq) => Some(seq),
                    None => return Err(format!("hides {key}, which was shown as change {newest}")),
                },
                None => None,
            },
        };
        let Some(shown) = shown else { return Ok(()) };
        if newest.is_some_and(|newest| shown < newest) {
            return Err(format!(
                "shows {key} as of change {shown}, after change {}",
                newest.unwrap_or_default()
            ));
        }
        self.newest.insert((device, key.clone()), shown);
        Ok(())
    }
}
