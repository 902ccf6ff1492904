//! Once the faults have stopped, everything is settled within a bounded time, with no user event.

use sync_core::store::Entry;

use super::Invariant;
use crate::simulator::{seen::Seen, truth::Truth};

pub(crate) struct Stall;

impl Invariant for Stall {
    fn name(&self) -> &'static str {
        "no stall"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 11: the outbox empties and every active scope catches up"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        let (Seen::Flushed { devices } | Seen::End { devices }) = seen else {
            return Ok(());
        };
        for (device, held) in *devices {
            let left = held.counts;
            let is_choked =
                |entry: &&Entry| entry.is_pending() && truth.waits_for_ever(&entry.mutation.key);
            let choked = held.entries.iter().filter(is_choked).count() as u64;
            if left.pending > choked {
                return Err(format!("device {device} still has {left:?}"));
            }
            // An app that is hidden sends, and does not look for news.
            if matches!(seen, Seen::Flushed { .. }) {
                continue;
            }
            if left.pending + left.acknowledged > choked {
                return Err(format!("device {device} still has {left:?}"));
            }
            for row in &held.scopes {
                let scope = &row.scope;
                let reads = truth.reads.get(&(*device, scope.clone()));
                let may_read = reads.is_some_and(|reads| reads.may);
                let head = truth
                    .server
                    .scopes
                    .get(scope)
                    .map_or(0, |server| server.head);
                if may_read && row.drained.unwrap_or(0) < head {
                    return Err(format!(
                        "device {device} has pulled {scope} through {:?}; the head is {head}",
                        row.drained
                    ));
                }
                if row.resync.is_some() && may_read {
                    return Err(format!("device {device} is still at the resync of {scope}"));
                }
            }
        }
        Ok(())
    }
}
