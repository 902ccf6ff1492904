//! A mutation is applied once, however often it arrives, and its answer stays the same.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{MutationId, Page, Scope, Version},
    time::Time,
    transport::{PushAnswer, PushRequest, Verdict},
};

use super::Invariant;
use crate::simulator::{
    seen::Seen,
    truth::{ON_THE_WAY, Truth},
};

#[derive(Default)]
pub(crate) struct ExactlyOnce {
    /// The version that each mutation was answered with first, in the history of the server that goes on.
    answered: BTreeMap<MutationId, Version>,
    /// When the server was seen to apply each mutation first, in whatever history.
    decided: BTreeMap<MutationId, Time>,
    /// When each mutation was known to be applied first, in whatever history: decided, or read.
    first: BTreeMap<MutationId, Time>,
    /// Whose each number is.
    numbers: BTreeMap<(Scope, u64), MutationId>,
    /// The change that each mutation was pulled as.
    pulled: BTreeMap<MutationId, u64>,
    /// Those that the server had forgotten when it decided them again: a change of them may be pulled at any time after.
    forgotten: BTreeSet<MutationId>,
    restores: u64,
}

impl Invariant for ExactlyOnce {
    fn name(&self) -> &'static str {
        "exactly once"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 2: an acknowledged mutation was applied exactly once"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if truth.restores != self.restores {
            self.restores = truth.restores;
            self.answered.clear();
            self.numbers.clear();
            self.pulled.clear();
        }
        if let Seen::Read {
            scope,
            page: Some(page),
            ..
        } = seen
        {
            return self.read(scope, page, truth);
        }
        let Seen::Decided { request, answer } = seen else {
            return Ok(());
        };
        self.applied_is_not_refused(request, answer, truth)?;
        for answer in &answer.answers {
            let Verdict::Applied {
                version: Some(version),
                ..
            } = &answer.verdict
            else {
                continue;
            };
            let id = answer.id;
            let Some(sent) = request.mutations.iter().find(|sent| sent.mutation.id == id) else {
                return Err(format!("the server answers for {id}, which was not sent"));
            };
            // What was read before may have been decided by a server that was killed before it could answer.
            if !self.first.contains_key(&id) {
                self.decided.insert(id, truth.now);
            }
            self.first.entry(id).or_insert(truth.now);
            match self.answered.get(&id).cloned() {
                Some(first) if first != *version => {
                    let scope = &sent.mutation.key.scope;
                    if self.may_be_forgotten(id, scope, truth) {
                        continue;
                    }
                    return Err(format!(
                        "{id} was applied as {}, and once more as {}",
                        first.seq, version.seq
                    ));
                }
                Some(_) => continue,
                None => self.answered.insert(id, version.clone()),
            };
            // A delete of what was not there appends nothing, and shares the number of the newest change.
            if sent.mutation.op.payload().is_none() {
                continue;
            }
            let place = (sent.mutation.key.scope.clone(), version.seq);
            if let Some(other) = self.numbers.insert(place, id) {
                let (scope, seq) = (&sent.mutation.key.scope, version.seq);
                return Err(format!("{id} and {other} are both change {seq} of {scope}"));
            }
        }
        Ok(())
    }
}

impl ExactlyOnce {
    /// A mutation is pulled as one change only.
    fn read(&mut self, scope: &Scope, page: &Page, truth: &Truth) -> Result<(), String> {
        for change in &page.changes {
            let (Some(id), Some(seq)) = (change.mutation_id, change.seq) else {
                continue;
            };
            self.first.entry(id).or_insert(truth.now);
            let first = *self.pulled.entry(id).or_insert(seq);
            let answered = self.answered.get(&id).map_or(first, |version| version.seq);
            if (first != seq || answered != seq) && !self.may_be_forgotten(id, scope, truth) {
                return Err(format!(
                    "{id} was pulled as change {first}, and is change {seq}"
                ));
            }
        }
        Ok(())
    }

    /// What was applied is never answered otherwise.
    fn applied_is_not_refused(
        &mut self,
        request: &PushRequest,
        answer: &PushAnswer,
        truth: &Truth,
    ) -> Result<(), String> {
        for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
            if matches!(
                answer.verdict,
                Verdict::Applied { .. } | Verdict::Retry { .. }
            ) {
                continue;
            }
            let (id, scope) = (sent.mutation.id, &sent.mutation.key.scope);
            let pulled = self.pulled.get(&id).copied();
            let answered = self.answered.get(&id).map(|version| version.seq);
            if let Some(seq) = pulled.or(answered)
                && !self.may_be_forgotten(id, scope, truth)
            {
                return Err(format!("{id} is change {seq}, and the server refuses it"));
            }
        }
        Ok(())
    }

    /// Whether the server need not know a verdict any more: it has kept it as long as it says, and the device has
    /// sent the mutation again because it has not heard how long that is, or cannot tell the time that has passed, or
    /// before the time was up.
    fn may_be_forgotten(&mut self, id: MutationId, scope: &Scope, truth: &Truth) -> bool {
        let since = |at: Option<&Time>| truth.now.since(at.copied().unwrap_or(truth.now));
        let latest = self.decided.get(&id).or(truth.sent.get(&id));
        let (at_most, at_least) = (since(latest), since(self.first.get(&id)));
        let heard = truth.pending.get(&id).is_some_and(|place| {
            let of = (place.device, scope.clone());
            let heard = truth.heard_retention.get(&of);
            since(heard) > ON_THE_WAY && !truth.clock_set_back.contains(&place.device)
        });
        let now = at_most > truth.retention && !(heard && at_least > truth.retention + ON_THE_WAY);
        if now {
            self.forgotten.insert(id);
        }
        now || self.forgotten.contains(&id)
    }
}
