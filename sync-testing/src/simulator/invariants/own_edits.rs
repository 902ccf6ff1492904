//! A device that is alone with a record never conflicts with itself.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{MutationId, RecordKey},
    store::Entry,
    transport::Verdict,
};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{network::Asked, plan::Act, seen::Seen, truth::Truth},
};

/// A device from one loss of what it knew to the next.
type Life = (usize, u64);

#[derive(Default)]
pub(crate) struct OwnEdits {
    /// How often each device has lost what it knew.
    losses: BTreeMap<usize, u64>,
    sent_by: BTreeMap<MutationId, Life>,
    writers: BTreeMap<RecordKey, BTreeSet<Life>>,
    /// Records of which a device has set an edit aside: what the server made of it, the device does not know.
    doubtful: BTreeSet<(usize, RecordKey)>,
    /// Whether the server may have forgotten something that it had decided.
    forgetful: bool,
}

impl Invariant for OwnEdits {
    fn name(&self) -> &'static str {
        "own edits never conflict"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 3: a device's own chain of edits never conflicts with itself"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Restored => self.forgetful = true,
            // No history is longer than an hour.
            Seen::Step(step) if matches!(step.act, Act::Compact) => {
                self.forgetful |= truth.retention.as_secs() < 3_600;
            }
            Seen::Stored {
                tab,
                call: StoreCall::Purge | StoreCall::Wipe,
                ..
            } => *self.losses.entry(tab.device).or_default() += 1,
            Seen::Stored {
                tab, before, after, ..
            } if after.counts.failed > 0 && !after.shares_entries(before) => {
                for entry in after.entries.iter().filter(|entry| Entry::is_failed(entry)) {
                    self.doubtful
                        .insert((tab.device, entry.mutation.key.clone()));
                }
            }
            Seen::Sent {
                tab,
                asked: Asked::Push(push),
                ..
            } => {
                let losses = self.losses.get(&tab.device).copied().unwrap_or_default();
                for sent in &push.mutations {
                    self.sent_by
                        .entry(sent.mutation.id)
                        .or_insert((tab.device, losses));
                }
            }
            Seen::Decided { request, answer } => {
                for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
                    self.decided(sent.mutation.id, &sent.mutation.key, &answer.verdict)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl OwnEdits {
    fn decided(
        &mut self,
        id: MutationId,
        key: &RecordKey,
        verdict: &Verdict,
    ) -> Result<(), String> {
        let Some(life) = self.sent_by.get(&id).copied() else {
            return Ok(());
        };
        let writers = self.writers.entry(key.clone()).or_default();
        match verdict {
            Verdict::Applied { .. } => {
                writers.insert(life);
                Ok(())
            }
            Verdict::Conflict { .. }
                if writers.iter().all(|writer| *writer == life)
                    && !self.doubtful.contains(&(life.0, key.clone()))
                    && !self.forgetful =>
            {
                Err(format!(
                    "{id} of device {} is in conflict, and nobody else has written {key}",
                    life.0
                ))
            }
            _ => Ok(()),
        }
    }
}
