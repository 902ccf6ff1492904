//! The mutations of a scope are applied in the order in which a device has enqueued them.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{Mutation, MutationId, RecordKey, Scope},
    store::Seq,
    transport::{TransportErrorKind, Verdict},
};

use super::Invariant;
use crate::simulator::{
    network::Asked,
    seen::Seen,
    truth::{Decided, Truth},
};

#[derive(Default)]
pub(crate) struct Order {
    /// The newest that each device has had applied in a scope.
    in_scope: BTreeMap<(usize, Scope), Seq>,
    of_record: BTreeMap<(usize, RecordKey), Seq>,
    decided: BTreeSet<MutationId>,
    pushes: BTreeMap<u64, usize>,
    /// Devices that may be narrowing a refusal down: to tell whether a suspect is to blame, they send one mutation
    /// that follows it alone. Such a probe keeps the order of its record only.
    narrowing: BTreeSet<usize>,
    restores: u64,
}

impl Invariant for Order {
    fn name(&self) -> &'static str {
        "order"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 3: the mutations of a scope arrive in the order of their enqueueing"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if truth.restores != self.restores {
            self.restores = truth.restores;
            self.in_scope.clear();
            self.of_record.clear();
            self.decided.clear();
        }
        match seen {
            Seen::Sent {
                tab,
                request,
                asked: Asked::Push(_),
            } => {
                self.pushes.insert(*request, tab.device);
            }
            Seen::Refused { request, kind, .. } => {
                let narrows = matches!(
                    kind,
                    TransportErrorKind::BadRequest | TransportErrorKind::Unavailable
                );
                if let Some(device) = self.pushes.get(request).filter(|_| narrows) {
                    self.narrowing.insert(*device);
                }
            }
            Seen::Stored { tab, after, .. } if after.counts.pending == 0 => {
                self.narrowing.remove(&tab.device);
            }
            Seen::Decided { request, answer } => {
                for sent in &request.mutations {
                    let id = sent.mutation.id;
                    let mut answers = answer.answers.iter();
                    let verdict = answers.find(|a| a.id == id).map(|a| &a.verdict);
                    let decided = verdict.is_some_and(|v| !matches!(v, Verdict::Retry { .. }));
                    // Its place is where it was decided first. Once the server has forgotten a verdict, it decides anew.
                    if !decided || !self.decided.insert(id) {
                        continue;
                    }
                    if let Some(Verdict::Applied { .. }) = verdict {
                        self.applied(&sent.mutation, request.mutations.len() == 1, truth)?;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl Order {
    fn applied(&mut self, mutation: &Mutation, alone: bool, truth: &Truth) -> Result<(), String> {
        let (id, key) = (mutation.id, &mutation.key);
        let is_refusal =
            |verdict: &Decided| matches!(verdict, Decided::Rejected | Decided::Forbidden);
        let before = mutation.after.and_then(|after| truth.verdicts.get(&after));
        if let Some(refused) = before.filter(|all| all.iter().all(is_refusal)) {
            return Err(format!(
                "{id} was applied, and what it was made over is {refused:?}"
            ));
        }
        // What is not in an outbox any more was given up by its user, and has come late.
        let Some(place) = truth.pending.get(&id) else {
            return Ok(());
        };
        let device = place.device;
        let of_record = self.of_record.insert((device, key.clone()), place.seq);
        let scope = (device, key.scope.clone());
        let is_probe = alone && self.narrowing.contains(&device);
        let in_scope = match is_probe {
            true => self.in_scope.get(&scope).copied(),
            false => self.in_scope.insert(scope, place.seq),
        };
        if truth.restored_unnoticed(device, &key.scope) {
            return Ok(());
        }
        if of_record.is_some_and(|newest| newest > place.seq) {
            return Err(format!(
                "{id} of {key} was applied after a later one of the record"
            ));
        }
        if in_scope.is_some_and(|newest| newest > place.seq) {
            return Err(format!(
                "{id} was applied after a later one of {}",
                key.scope
            ));
        }
        Ok(())
    }
}
