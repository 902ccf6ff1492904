//! No mutation leaves the outbox but for a reason: applied, in conflict, failed and listed, discarded, cancelled, or
//! revoked with its copy kept.

use std::collections::BTreeSet;

use sync_core::{
    model::{MutationId, RecordKey},
    store::{Enqueued, Entry, EntryState},
};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{
        plan::Act,
        seen::{Seen, TabId},
        snapshot::Snapshot,
        truth::{Decided, Truth},
    },
};

#[derive(Default)]
pub(crate) struct Terminal {
    /// Whether the last log-out was one that may lose something.
    forced: bool,
    /// Mutations that an enqueue has left in an outbox; another engine may have been quick to do more about them.
    enqueued: BTreeSet<MutationId>,
    /// Mutations that have reached the server: they may have verdicts that nobody has heard.
    arrived: BTreeSet<MutationId>,
}

impl Invariant for Terminal {
    fn name(&self) -> &'static str {
        "nothing is lost"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 1: a mutation leaves the outbox only settled or discarded"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Step(step) => {
                if let Act::Relogin(force) = step.act {
                    self.forced = force;
                }
                Ok(())
            }
            Seen::Arrived { request } => {
                let ids = request.mutations.iter().map(|sent| sent.mutation.id);
                self.arrived.extend(ids);
                Ok(())
            }
            Seen::Stored {
                tab,
                call,
                before,
                after,
            } => {
                let unsynced = before.entries.len() + before.conflicts.len() + before.revoked.len();
                if *call == StoreCall::Wipe && !self.forced && unsynced > 0 {
                    return Err(format!("{tab}: a log-out has lost {unsynced} rows"));
                }
                if *call == StoreCall::Enqueue {
                    let pending = after.entries.iter().filter(|entry| entry.is_pending());
                    self.enqueued.extend(pending.map(|entry| entry.mutation.id));
                }
                if after.shares_entries(before) {
                    return Ok(());
                }
                for (entry, now) in after.still(before) {
                    match now {
                        Some(now) => {
                            changed(*tab, *call, entry, now, after, truth)?;
                            merged(*tab, *call, entry, now, before)?;
                        }
                        None => self.left(*tab, *call, entry, before, after, truth)?,
                    }
                }
                Ok(())
            }
            Seen::Enqueued {
                tab,
                keys,
                outcomes,
            } => self.enqueued(*tab, keys, outcomes),
            _ => Ok(()),
        }
    }
}

impl Terminal {
    /// What was enqueued was in the outbox of its device, if nothing of the same call has cancelled it.
    fn enqueued(
        &self,
        tab: TabId,
        keys: &[RecordKey],
        outcomes: &[Enqueued],
    ) -> Result<(), String> {
        if keys.len() != outcomes.len() {
            return Err(format!(
                "{tab}: {} edits have {} outcomes",
                keys.len(),
                outcomes.len()
            ));
        }
        let cancels = outcomes.contains(&Enqueued::Cancelled);
        for outcome in outcomes {
            if let Enqueued::Queued(id) = outcome
                && !cancels
                && !self.enqueued.contains(id)
            {
                return Err(format!(
                    "{tab}: {id} was enqueued, and is not in the outbox"
                ));
            }
        }
        Ok(())
    }

    /// Whether an entry may leave the overlay in this call.
    fn left(
        &self,
        tab: TabId,
        call: StoreCall,
        entry: &Entry,
        before: &Snapshot,
        after: &Snapshot,
        truth: &Truth,
    ) -> Result<(), String> {
        let id = entry.mutation.id;
        let applied = truth.ever_applied.contains(&id);
        let lost = truth.was_ever(id, Decided::Conflict);
        let in_conflict = before.conflict(id).is_some() || after.conflict(id).is_some();
        // A later edit of the record that was applied decides for those before it, whatever became of them.
        let is_later = |other: &&Entry| {
            other.seq > entry.seq && truth.ever_applied.contains(&other.mutation.id)
        };
        let mut later = before
            .entries_of(&entry.mutation.key)
            .filter(is_later)
            .map(|other| other.mutation.id);
        let allowed = match (call, &entry.state) {
            (StoreCall::Wipe, _) => true,
            (StoreCall::Purge, EntryState::Acknowledged(ack)) if ack.lost => true,
            (StoreCall::Purge, _) => after.revoked(id).is_some(),
            (StoreCall::Enqueue, EntryState::Pending(pending)) => pending.sent_at.is_none(),
            // What becomes of them is judged with all failed edits of the record.
            (StoreCall::Enqueue | StoreCall::Retry | StoreCall::Discard, EntryState::Failed(_)) => {
                true
            }
            (StoreCall::Settle, EntryState::Pending(_)) => {
                // Who has lost the access to a record is not shown what an edit of it has lost to.
                applied || (lost && (in_conflict || later.any(|id| after.entry(id).is_none())))
            }
            (StoreCall::Apply, EntryState::Pending(_)) => {
                let unheard = self.arrived.contains(&id) && !truth.verdicts.contains_key(&id);
                applied || ((lost || unheard) && later.next().is_some())
            }
            (StoreCall::Apply, EntryState::Failed(_)) => applied,
            (StoreCall::Apply, EntryState::Acknowledged(_)) => {
                lost || (applied && !is_of_lost_history(entry, before, after, truth))
            }
            (
                StoreCall::Settle | StoreCall::Resync | StoreCall::Sweep,
                EntryState::Acknowledged(_),
            ) => applied || lost,
            _ => false,
        };
        if allowed {
            return Ok(());
        }
        Err(format!(
            "{tab}: {call:?} has dropped {id} of {}, which was {:?}; the server's verdicts are {:?}",
            entry.mutation.key,
            entry.kind(),
            truth.verdicts.get(&id)
        ))
    }
}

/// Whether the server has forgotten, in a restore that the device knows of, that it has applied this mutation, and
/// no later own one of the record stands for it.
fn is_of_lost_history(entry: &Entry, before: &Snapshot, after: &Snapshot, truth: &Truth) -> bool {
    let scope = &entry.mutation.key.scope;
    let Some(server) = truth.server.scopes.get(scope) else {
        return false;
    };
    let row = after.scope(scope);
    let knows =
        row.is_some_and(|row| row.epoch().is_some() && row.epoch() == server.epoch.as_ref());
    let is_applied = |entry: &Entry| server.applied.contains_key(&entry.mutation.id);
    let mut later = before.entries_of(&entry.mutation.key);
    knows && !is_applied(entry) && !later.any(|e| e.seq > entry.seq && is_applied(e))
}

/// Only the last entry of a scope takes a later edit in: what was written in between is not overtaken.
fn merged(
    tab: TabId,
    call: StoreCall,
    was: &Entry,
    now: &Entry,
    before: &Snapshot,
) -> Result<(), String> {
    if call != StoreCall::Enqueue || was.mutation.op == now.mutation.op {
        return Ok(());
    }
    let (id, scope) = (was.mutation.id, &was.mutation.key.scope);
    let of_scope = |entry: &&Entry| entry.is_pending() && entry.mutation.key.scope == *scope;
    let is_last = before.entries.iter().rfind(of_scope) == Some(was);
    if is_last {
        return Ok(());
    }
    Err(format!(
        "{tab}: an edit was merged into {id}, past others of {scope}"
    ))
}

/// Whether an entry may go from one state to another in this call.
fn changed(
    tab: TabId,
    call: StoreCall,
    was: &Entry,
    now: &Entry,
    after: &Snapshot,
    truth: &Truth,
) -> Result<(), String> {
    let id = was.mutation.id;
    let verdicts = truth.verdicts.get(&id);
    let refuse = |what: &str| {
        Err(format!(
            "{tab}: {call:?} {what} {id} of {}; the server's verdicts are {verdicts:?}",
            was.mutation.key
        ))
    };
    match (&was.state, &now.state) {
        (EntryState::Pending(_), EntryState::Acknowledged(_)) => {
            let lost = truth.was_ever(id, Decided::Conflict) && after.conflict(id).is_some();
            if !truth.ever_applied.contains(&id) && !lost {
                return refuse("takes for applied");
            }
        }
        // Whether it was set aside for a reason is another invariant's.
        (EntryState::Pending(_), EntryState::Failed(_)) => {}
        (EntryState::Pending(before), EntryState::Pending(_)) => {
            if before.sent_at.is_some() && was.mutation.op != now.mutation.op {
                return refuse("has merged into what was sent,");
            }
        }
        // A server that was restored has forgotten it.
        (EntryState::Acknowledged(_), EntryState::Pending(_)) if truth.restores > 0 => {}
        (EntryState::Acknowledged(_), EntryState::Acknowledged(_)) => {}
        // What is tried again after a verdict is a new mutation.
        (EntryState::Failed(was_so), EntryState::Failed(is_so))
            if was_so == is_so && was.mutation.op == now.mutation.op => {}
        _ => return refuse("has brought back"),
    }
    Ok(())
}
