//! What the status counts is what is in the outbox.

use sync_core::store::{self, EntryKind};

use super::Invariant;
use crate::simulator::{seen::Seen, snapshot::Snapshot, truth::Truth};

pub(crate) struct Counts;

impl Invariant for Counts {
    fn name(&self) -> &'static str {
        "status counts"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 1: what waits is counted from the durable outbox"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
        match seen {
            Seen::Looked { tab, counts, held } => {
                equal(*counts, held).map_err(|what| format!("{tab} says {what}"))
            }
            Seen::Stored { before, after, .. }
                if after.shares_entries(before) && after.counts == before.counts =>
            {
                Ok(())
            }
            Seen::Stored {
                tab, call, after, ..
            } => equal(after.counts, after)
                .map_err(|what| format!("{tab} counts after {call:?} {what}")),
            _ => Ok(()),
        }
    }
}

fn equal(said: store::Counts, held: &Snapshot) -> Result<(), String> {
    let count = |kind| {
        held.entries
            .iter()
            .filter(|entry| entry.kind() == kind)
            .count() as u64
    };
    let counted = store::Counts {
        pending: count(EntryKind::Pending),
        failed: count(EntryKind::Failed),
        acknowledged: count(EntryKind::Acknowledged),
    };
    if said == counted {
        return Ok(());
    }
    Err(format!("{said:?}; there are {counted:?}"))
}
