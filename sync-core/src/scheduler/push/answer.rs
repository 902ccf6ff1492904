//! What a round has brought that was answered, or that found nothing to send.

use super::{
    super::{Action, Context, Outcome, Sent, Settings, pull::Pulls},
    Narrowed, Pushes, Round,
    hold::Setback,
};
use crate::{
    model::{MutationId, Scope},
    ordered::{OrderedMap, sort_by},
    store::FailReason,
    time::Time,
};

impl Pushes {
    pub(super) fn nothing(
        &mut self,
        round: Round,
        left_out: OrderedMap<Scope, Setback>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        let now = cx.now;
        match round {
            Round::Common => {
                // Of the scopes that could have gone, none has anything to send.
                self.holds.retain(|scope, hold| {
                    !hold.in_round || !hold.is_free(now) || left_out.contains_key(scope)
                });
                self.failing = None;
            }
            Round::Own(scope) => {
                if let Some(hold) = self.holds.get_mut(&scope)
                    && !left_out.contains_key(&scope)
                {
                    hold.narrowed = None;
                    if hold.is_free(now) {
                        self.holds.remove(&scope);
                    }
                }
            }
            Round::ProbeOthers(scope) => self.probe = Some(Round::ProbeNext(scope)),
            // Where all that is left is suspected, one that was refused in passing can only clear itself.
            Round::ProbeNext(scope) => {
                let suspects = self
                    .holds
                    .get(&scope)
                    .map_or(0, |hold| hold.suspects().len());
                if suspects > 1 {
                    self.probe = Some(Round::ProbeSuspect(scope));
                }
            }
            Round::ProbeSuspect(_) => {}
        }
        self.set_back(left_out, cx, pulls);
    }

    pub(super) fn answered(
        &mut self,
        round: &Round,
        sent: &[Sent],
        mut outcomes: Vec<(MutationId, Outcome)>,
        mut setbacks: OrderedMap<Scope, Setback>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        let now = cx.now;
        // In this order they can be found; as a rule they are in it already.
        sort_by(&mut outcomes, |(a, _), (b, _)| a.cmp(b));
        let outcome_of = |id: MutationId| {
            let index = outcomes.binary_search_by_key(&id, |(its, _)| *its);
            index.ok().map(|index| outcomes[index].1)
        };
        if let Round::Own(scope) = round {
            self.head_is(scope, sent[0].id);
        }
        if *round == Round::Common {
            self.want(now);
        }
        if !sent.iter().any(|sent| outcome_of(sent.id).is_some()) {
            self.fail(None, cx);
            self.set_back(setbacks, cx, pulls);
            return;
        }
        self.backoff.reset();
        self.batch.answered(&cx.settings);
        self.failing = None;
        let (mut settled, mut rest_wanted) = (0_usize, false);
        for Sent { id, key } in sent {
            let scope = &key.scope;
            let outcome = outcome_of(*id);
            match outcome {
                Some(Outcome::Settled | Outcome::Rejected) => {
                    settled += 1;
                    if outcome == Some(Outcome::Settled) && !self.settled.contains(scope) {
                        self.settled.insert(scope.detached());
                    }
                    if let Some(hold) = self.holds.get_mut(scope) {
                        // Its backoff would have brought the rest of it back; a narrowed one comes by itself.
                        rest_wanted |= hold.narrowed.is_none() && hold.backoff.until().is_some();
                        hold.backoff.reset();
                    }
                }
                Some(Outcome::Forbidden) => {
                    let hold = self.holds.get_or_default(scope.detached());
                    hold.parked.push(*id);
                    setbacks.get_or_default(scope.clone()).pull = true;
                }
                Some(Outcome::Retry { after, resync }) => {
                    let setback = setbacks.get_or_default(scope.clone());
                    setback.pull |= resync;
                    setback.retry_after = setback.retry_after.max(after);
                }
                Some(Outcome::Doubted) => {
                    setbacks.get_or_default(scope.clone()).pull = true;
                }
                // Its order is kept by holding what follows it in its scope, too.
                None => {
                    setbacks.get_or_default(scope.clone());
                }
            }
            if outcome.is_some()
                && let Some(narrowed) = self.narrowed(scope)
            {
                narrowed.clear(*id);
            }
        }
        if rest_wanted {
            self.want(now);
        }
        if settled == 0 {
            // However many scopes are put off, one answer after the other.
            self.backoff.space(now, &cx.settings);
        } else {
            self.went_through(sent.len() == 1, cx);
            if let Round::Own(scope) = round {
                self.widen(scope, now, &cx.settings);
            }
        }
        self.set_back(setbacks, cx, pulls);
    }

    pub(super) fn narrowed(&mut self, scope: &Scope) -> Option<&mut Narrowed> {
        self.holds.get_mut(scope)?.narrowed.as_mut()
    }

    pub(super) fn head_is(&mut self, scope: &Scope, id: MutationId) {
        if let Some(narrowed) = self.narrowed(scope) {
            narrowed.head_is(id);
        }
    }

    /// Something was settled: what is refused while this goes through is refused for reasons of its own.
    fn went_through(&mut self, alone: bool, cx: &mut Context) {
        for hold in self.holds.values_mut() {
            if let Some(narrowed) = &mut hold.narrowed {
                narrowed.isolated = true;
                if alone {
                    narrowed.prove();
                }
            }
        }
        self.convict(cx);
    }

    /// Sets aside what has been refused often enough.
    pub(super) fn convict(&mut self, cx: &mut Context) {
        for hold in self.holds.values_mut() {
            let Some(narrowed) = &mut hold.narrowed else {
                continue;
            };
            for id in narrowed.convict(cx.settings.poison_attempts) {
                narrowed.limit = 1;
                narrowed.not_before = cx.now;
                hold.backoff.forgive();
                cx.actions.push_back(Action::SetAside {
                    id,
                    reason: FailReason::Poison,
                    message: format!(
                        "refused {} times when sent alone, while others went through",
                        cx.settings.poison_attempts
                    ),
                });
            }
        }
    }

    /// A narrowed scope makes progress: it may send more at a time, and in the end goes with the others again.
    fn widen(&mut self, scope: &Scope, now: Time, settings: &Settings) {
        let Some(narrowed) = self.narrowed(scope) else {
            return;
        };
        narrowed.limit = narrowed.limit.saturating_mul(2);
        if narrowed.limit >= settings.batch_count && narrowed.suspects.is_empty() {
            if let Some(hold) = self.holds.get_mut(scope) {
                hold.narrowed = None;
            }
            self.want(now);
        }
    }
}
