//! A mutation is set aside only for cause: a verdict, proof that it is what fails, or an earlier edit of its record.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::MutationId,
    store::{DEFAULT_VERDICT_RETENTION, Entry, EntryState, FailReason, Failed, Pending},
    transport::{TransportErrorKind, Verdict},
};

use super::Invariant;
use crate::simulator::{
    network::Asked,
    seen::{Seen, TabId},
    snapshot::Snapshot,
    truth::{CONFIRMED, Decided, Truth},
};

/// How often a mutation must have been refused alone before it is set aside.
const ATTEMPTS: u32 = 3;

#[derive(Default)]
pub(crate) struct Blame {
    under_way: BTreeMap<u64, Vec<MutationId>>,
    sent_by: BTreeMap<MutationId, usize>,
    suspects: BTreeMap<MutationId, Suspect>,
    too_large: BTreeSet<MutationId>,
}

#[derive(Default)]
struct Suspect {
    refused: u32,
    /// Whether another mutation of the device, sent alone, was decided since the first refusal.
    proven: bool,
}

impl Invariant for Blame {
    fn name(&self) -> &'static str {
        "blame"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 3: only a mutation that is refused while others go through is set aside"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Sent {
                tab,
                request,
                asked: Asked::Push(push),
            } => {
                let ids: Vec<_> = push.mutations.iter().map(|m| m.mutation.id).collect();
                self.sent_by.extend(ids.iter().map(|id| (*id, tab.device)));
                self.under_way.insert(*request, ids);
            }
            Seen::Over { request, .. } => {
                self.under_way.remove(request);
            }
            Seen::Refused { request, kind, .. } => {
                if let Some([alone]) = self.under_way.get(request).map(Vec::as_slice) {
                    match kind {
                        TransportErrorKind::BadRequest | TransportErrorKind::Unavailable => {
                            self.suspects.entry(*alone).or_default().refused += 1;
                        }
                        TransportErrorKind::TooLarge => {
                            self.too_large.insert(*alone);
                        }
                        _ => {}
                    }
                }
            }
            Seen::Decided { request, answer } => {
                if let ([sent], [answer]) = (&*request.mutations, &*answer.answers)
                    && !matches!(answer.verdict, Verdict::Retry { .. })
                {
                    self.went_through(sent.mutation.id);
                }
            }
            Seen::Stored {
                tab, before, after, ..
            } if !after.shares_entries(before) => {
                for entry in after.entries.iter() {
                    let EntryState::Failed(failed) = &entry.state else {
                        continue;
                    };
                    let was = before.entry(entry.mutation.id).map(|was| &was.state);
                    let Some(EntryState::Pending(was)) = was else {
                        continue;
                    };
                    if !self.is_due(*tab, entry, was, failed, after, truth) {
                        return Err(format!(
                            "{tab}: {} was set aside as {:?} without cause",
                            entry.mutation.id, failed.reason
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Blame {
    fn went_through(&mut self, id: MutationId) {
        let device = self.sent_by.get(&id);
        for (suspect, seen) in &mut self.suspects {
            seen.proven |= *suspect != id && self.sent_by.get(suspect) == device;
        }
    }

    fn is_due(
        &self,
        tab: TabId,
        entry: &Entry,
        was: &Pending,
        failed: &Failed,
        after: &Snapshot,
        truth: &Truth,
    ) -> bool {
        let (id, key) = (entry.mutation.id, &entry.mutation.key);
        match failed.reason {
            FailReason::Rejected => truth.was_ever(id, Decided::Rejected),
            // Where the scope was pulled, one more pull has shown that there is access, and not to this. Where it never
            // was, that its pulls are refused is evidence, as it is for a purge.
            FailReason::Forbidden => {
                let reads = truth.reads.get(&(tab.device, key.scope.clone()));
                let refused = reads.is_some_and(|reads| reads.refused_for() >= CONFIRMED);
                let pulled = after.scope(&key.scope).is_some_and(|row| row.pulled);
                refused || (pulled && truth.was_ever(id, Decided::Forbidden))
            }
            FailReason::Poison => self
                .suspects
                .get(&id)
                .is_some_and(|suspect| suspect.refused >= ATTEMPTS && suspect.proven),
            FailReason::TooLarge => self.too_large.contains(&id),
            FailReason::OutcomeUnknown => {
                let row = after.scope(&key.scope);
                let keeps = row.and_then(|row| row.verdict_retention);
                let keeps = keeps.unwrap_or(DEFAULT_VERDICT_RETENTION);
                let is_old = |sent| failed.at.since(sent) > keeps;
                was.sent_at.is_some_and(is_old) || truth.clock_set_back.contains(&tab.device)
            }
            FailReason::Predecessor => after
                .entries_of(key)
                .any(|other| other.seq < entry.seq && other.is_failed()),
            _ => false,
        }
    }
}
