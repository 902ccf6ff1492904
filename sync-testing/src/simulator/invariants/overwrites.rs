//! Which changes were made over others that their authors had not seen.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::model::{Mutation, MutationId, Scope, Version};

use crate::simulator::truth::{Appended, Truth};

/// The changes of the server's history, by who made them.
#[derive(Default)]
pub(super) struct Overwrites {
    makers: BTreeMap<(Scope, u64), MutationId>,
    /// The number that each was answered with last: a verdict that was forgotten is made anew.
    newest: BTreeMap<MutationId, u64>,
    /// In whatever history: after a restore the answers are repeated.
    applied: BTreeSet<MutationId>,
    /// Those that the server has merged with others: the edits of others in each, and the numbers of these.
    merges: BTreeMap<MutationId, Vec<(u64, MutationId)>>,
    restores: u64,
}

impl Overwrites {
    /// Takes in that a mutation was applied. The mutations whose changes it has overwritten, if they were there and the
    /// author of this one cannot have known of them; a merge holds several.
    pub(super) fn applied(
        &mut self,
        sent: &Mutation,
        version: &Version,
        truth: &Truth,
    ) -> Vec<MutationId> {
        if truth.restores != self.restores {
            self.restores = truth.restores;
            self.makers.clear();
            self.merges.clear();
            self.newest.clear();
        }
        self.newest.insert(sent.id, version.seq);
        let Some(made) = change(sent, version, truth) else {
            return Vec::new();
        };
        let place = (sent.key.scope.clone(), version.seq);
        if self.makers.insert(place, sent.id).is_some() {
            return Vec::new();
        }
        let is_first = self.applied.insert(sent.id);
        let unseen = self.unseen(sent, version, truth).unwrap_or_default();
        if made.payload.as_ref() != sent.op.payload() {
            self.merges.insert(sent.id, unseen);
            return Vec::new();
        }
        // Made anew after its verdict was forgotten, it stands alone.
        self.merges.remove(&sent.id);
        let unseen = unseen.into_iter().filter(|_| is_first);
        unseen.map(|(_, id)| id).collect()
    }

    /// The edits that the record held before, as far as the author cannot have known of them.
    fn unseen(
        &self,
        sent: &Mutation,
        version: &Version,
        truth: &Truth,
    ) -> Option<Vec<(u64, MutationId)>> {
        let server = truth.server.scopes.get(&sent.key.scope)?;
        let mut earlier = server.log.range(..version.seq).rev();
        let (seq, before) = earlier.find(|(_, change)| change.key == sent.key)?;
        let maker = *self.makers.get(&(sent.key.scope.clone(), *seq))?;
        // That a record was deleted is known for as long as its tombstone is kept.
        let is_forgotten = || {
            let sent = truth.sent.get(&maker);
            sent.is_none_or(|sent| truth.now.since(*sent) > truth.retention)
        };
        if before.payload.is_none() && is_forgotten() {
            return None;
        }
        // Who has written on saw what was sent, and not what a merge made of it.
        let follows = sent.after.is_some_and(|after| {
            let number = server.applied.get(&after).max(self.newest.get(&after));
            number.is_some_and(|number| number >= seq) && !self.merges.contains_key(&after)
        });
        if follows {
            return None;
        }
        let saw = sent.base_version.as_ref().map_or(0, |saw| {
            let is_of_now = saw.epoch == version.epoch;
            if is_of_now { saw.seq } else { u64::MAX }
        });
        let held = self.merges.get(&maker).into_iter().flatten();
        let edits = held.copied().chain([(*seq, maker)]);
        let unseen = edits.filter(|(seq, id)| saw < *seq && sent.after != Some(*id));
        Some(unseen.collect())
    }
}

/// The change that a mutation was applied as; none where it had nothing to do.
fn change<'t>(sent: &Mutation, version: &Version, truth: &'t Truth) -> Option<&'t Appended> {
    let server = truth.server.scopes.get(&sent.key.scope)?;
    let made = server.log.get(&version.seq)?;
    // A delete of what was gone names the newest change there is.
    let mut numbers = server.applied.iter();
    let is_anothers = numbers.any(|(id, seq)| *id != sent.id && *seq == version.seq);
    (made.key == sent.key && !is_anothers).then_some(made)
}
