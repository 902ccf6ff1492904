//! A mutation is set aside as the cause of failures only on proof.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::MutationId,
    store::{EntryState, FailReason},
    transport::{TransportErrorKind, Verdict},
};

use super::Invariant;
use crate::simulator::{network::Asked, seen::Seen, truth::Truth};

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

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
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
            } => {
                for entry in &after.entries {
                    let EntryState::Failed(failed) = &entry.state else {
                        continue;
                    };
                    let id = entry.mutation.id;
                    let is_new = before.entry(id).is_some_and(|was| was.is_pending());
                    if is_new && !self.is_proven(id, failed.reason) {
                        return Err(format!(
                            "{tab}: {id} was set aside as {:?} without proof",
                            failed.reason
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

    fn is_proven(&self, id: MutationId, reason: FailReason) -> bool {
        match reason {
            FailReason::Poison => self
                .suspects
                .get(&id)
                .is_some_and(|suspect| suspect.refused >= ATTEMPTS && suspect.proven),
            FailReason::TooLarge => self.too_large.contains(&id),
            _ => true,
        }
    }
}
