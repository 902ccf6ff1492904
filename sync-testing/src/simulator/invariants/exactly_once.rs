//! A mutation is applied once, however often it arrives, and its answer stays the same.

use std::{collections::BTreeMap, time::Duration};

use sync_core::{
    model::{MutationId, Scope, Version},
    time::Time,
    transport::Verdict,
};

use super::Invariant;
use crate::simulator::{seen::Seen, truth::Truth};

/// The longest that a request is on its way.
const ON_THE_WAY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct ExactlyOnce {
    /// The version that each mutation was answered with first, in the history of the server that goes on.
    answered: BTreeMap<MutationId, Version>,
    /// When each mutation was applied first, in whatever history.
    first: BTreeMap<MutationId, Time>,
    /// Whose each number is.
    numbers: BTreeMap<(Scope, u64), MutationId>,
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
        }
        let Seen::Decided { request, answer } = seen else {
            return Ok(());
        };
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
            let at = *self.first.entry(id).or_insert(truth.now);
            match self.answered.get(&id) {
                Some(first) if first != version => {
                    let scope = &sent.mutation.key.scope;
                    if may_be_forgotten(id, scope, truth.now.since(at), truth) {
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

/// Whether the server need not know a verdict of this age any more: it has kept it as long as it says, and the
/// device has sent the mutation again because it has not heard how long that is, or cannot tell the time that has
/// passed, or before the time was up.
fn may_be_forgotten(id: MutationId, scope: &Scope, age: Duration, truth: &Truth) -> bool {
    let heard = truth.pending.get(&id).is_some_and(|place| {
        let of = (place.device, scope.clone());
        truth.heard_retention.contains(&of) && !truth.clock_set_back.contains(&place.device)
    });
    age > truth.retention && !(heard && age > truth.retention + ON_THE_WAY)
}
