//! Which changes were made over others that their authors had not seen.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::model::{Mutation, MutationId, Scope, Version};

use crate::simulator::truth::Truth;

/// The changes of the server's history, by who made them.
#[derive(Default)]
pub(super) struct Overwrites {
    makers: BTreeMap<(Scope, u64), MutationId>,
    /// In whatever history: after a restore the answers are repeated.
    applied: BTreeSet<MutationId>,
    /// Those that the server has merged with others.
    merges: BTreeSet<MutationId>,
    restores: u64,
}

impl Overwrites {
    /// Takes in that a mutation was applied. The mutation whose change it has overwritten, if that one was there and
    /// the author of this one cannot have known of it.
    pub(super) fn applied(
        &mut self,
        sent: &Mutation,
        version: &Version,
        truth: &Truth,
    ) -> Option<MutationId> {
        if truth.restores != self.restores {
            self.restores = truth.restores;
            self.makers.clear();
        }
        let server = truth.server.scopes.get(&sent.key.scope)?;
        let made = server.log.get(&version.seq)?;
        // A delete of what was gone has made no change, and names the newest one there is.
        let mut numbers = server.applied.iter();
        let is_anothers = numbers.any(|(id, seq)| *id != sent.id && *seq == version.seq);
        if made.key != sent.key || is_anothers {
            return None;
        }
        let is_merge = made.payload.as_ref() != sent.op.payload();
        if is_merge {
            self.merges.insert(sent.id);
        }
        let place = (sent.key.scope.clone(), version.seq);
        let is_repeated = self.makers.insert(place, sent.id).is_some();
        if !self.applied.insert(sent.id) || is_repeated || is_merge {
            return None;
        }
        let mut earlier = server.log.range(..version.seq).rev();
        let (seq, before) = earlier.find(|(_, change)| change.key == sent.key)?;
        before.payload.as_ref()?;
        let maker = *self.makers.get(&(sent.key.scope.clone(), *seq))?;
        let saw = sent.base_version.as_ref();
        let saw = saw.is_some_and(|saw| saw.epoch != version.epoch || saw.seq >= *seq);
        let follows = sent.after.is_some_and(|after| {
            let number = server.applied.get(&after);
            after == maker || number.is_some_and(|number| number >= seq)
        });
        // Who has written on saw what was sent, and not what a merge made of it.
        let follows = follows && !self.merges.contains(&maker);
        (!saw && !follows).then_some(maker)
    }
}
