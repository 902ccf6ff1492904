//! The push side: one push at a time, and which scopes it may touch.

mod answer;
mod batch;
mod hold;
mod narrowing;
mod refusal;

use std::time::Duration;

use self::{
    batch::Batch,
    hold::Hold,
    narrowing::{Narrowed, Round},
    refusal::Failure,
};
use super::{
    Action, Context, FlushEnd, PauseReason, PushEnd, PushPlan, Settings, Ticket, backoff::Backoff,
    pull::Pulls,
};
use crate::{
    model::{MutationId, Scope},
    ordered::{OrderedMap, OrderedSet},
    store::Pick,
    time::Time,
};

/// All that is remembered about pushing.
#[derive(Debug)]
pub(super) struct Pushes {
    /// From when on a round of everything that is not held is wanted.
    wanted: Option<Time>,
    flight: Option<Flight>,
    backoff: Backoff,
    batch: Batch,
    holds: OrderedMap<Scope, Hold>,
    /// What is to be sent alone next, to learn whether a refusal was the mutation's fault.
    probe: Option<Round>,
    /// Whether the last round was a narrowed one: the next is then a common one, if both are due.
    last_was_own: bool,
    /// The head of the batch that keeps failing, and how often it has.
    failing: Option<(MutationId, u32)>,
    /// Scopes with settled mutations; one that is not active is pulled after the flush.
    settled: OrderedSet<Scope>,
}

#[derive(Debug)]
struct Flight {
    ticket: Ticket,
    round: Round,
}

/// How a round ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct RoundEnd {
    pub(super) flush: FlushEnd,
    pub(super) pause: Option<PauseReason>,
}

impl Pushes {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            wanted: None,
            flight: None,
            backoff: Backoff::default(),
            batch: Batch::new(settings),
            holds: OrderedMap::new(),
            probe: None,
            last_was_own: false,
            failing: None,
            settled: OrderedSet::new(),
        }
    }

    /// Asks for a flush. While a push is under way, for one more round after it.
    pub(super) fn want(&mut self, at: Time) {
        self.wanted = Some(self.wanted.map_or(at, |wanted| wanted.min(at)));
    }

    /// A manual sync or a reconnect: the failures are forgiven.
    pub(super) fn forgive(&mut self) {
        self.backoff.forgive();
        for hold in self.holds.values_mut() {
            hold.backoff.forgive();
        }
    }

    /// Forgets all that the next leader has to find out anew; the backoff stays, and what the server has asked for.
    pub(super) fn stop(&mut self, settings: &Settings, now: Time) {
        let backoff = std::mem::take(&mut self.backoff);
        let holds = std::mem::take(&mut self.holds).into_iter();
        let holds = holds.filter_map(|(scope, hold)| Some((scope, hold.patience(now)?)));
        *self = Self {
            backoff,
            holds: holds.collect(),
            ..Self::new(settings)
        };
    }

    pub(super) fn in_flight(&self) -> bool {
        self.flight.is_some()
    }

    pub(super) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    pub(super) fn is_idle(&self, now: Time) -> bool {
        self.flight.is_none() && self.settled.is_empty() && self.plan(now).is_none()
    }

    pub(super) fn held(&self, now: Time) -> Vec<Scope> {
        self.holds
            .iter()
            .filter(|(_, hold)| hold.narrowed.is_some() || !hold.is_free(now))
            .map(|(scope, _)| scope.clone())
            .collect()
    }

    /// When the next push begins; none while one is in flight.
    pub(super) fn next(&self, now: Time) -> Option<Time> {
        if self.flight.is_some() {
            return None;
        }
        self.plan(now).map(|(at, _)| at)
    }

    /// The next round and when it may begin.
    fn plan(&self, now: Time) -> Option<(Time, Round)> {
        let gate = self.backoff.until().unwrap_or_default();
        if let Some(probe) = self.probe.as_ref().filter(|probe| self.is_of_use(probe)) {
            return Some((gate, probe.clone()));
        }
        let mut common = self.wanted;
        let mut own: Option<(Time, &Scope)> = None;
        for (scope, hold) in &self.holds {
            let Some(free_at) = hold.free_at() else {
                continue;
            };
            if hold.narrowed.is_some() {
                if own.is_none_or(|(at, _)| free_at < at) {
                    own = Some((free_at, scope));
                }
            } else if hold.backoff.until().is_some() {
                common = Some(common.map_or(free_at, |at| at.min(free_at)));
            }
        }
        let common = common.map(|at| at.max(gate));
        let own = own.map(|(at, scope)| (at.max(gate), scope));
        match (common, own) {
            (Some(at), Some((own_at, scope))) => {
                let own_first = if at <= now && own_at <= now {
                    !self.last_was_own
                } else {
                    own_at < at
                };
                Some(if own_first {
                    (own_at, Round::Own(scope.clone()))
                } else {
                    (at, Round::Common)
                })
            }
            (Some(at), None) => Some((at, Round::Common)),
            (None, Some((at, scope))) => Some((at, Round::Own(scope.clone()))),
            (None, None) => None,
        }
    }

    /// Whether there is still a suspect that a probe could prove, and nothing that forbids it.
    fn is_of_use(&self, probe: &Round) -> bool {
        match probe {
            Round::Common | Round::Own(_) => false,
            Round::ProbeOthers(scope) | Round::ProbeNext(scope) | Round::ProbeSuspect(scope) => {
                let suspected = |hold: &Hold| !hold.suspects().is_empty();
                let hold = self.holds.get(scope);
                hold.is_some_and(|hold| hold.free_at().is_some() && suspected(hold))
            }
        }
    }

    /// Begins the next round, if it is due.
    pub(super) fn begin(&mut self, cx: &mut Context) {
        if self.flight.is_some() {
            return;
        }
        let now = cx.now;
        let Some((at, round)) = self.plan(now) else {
            return;
        };
        if at > now {
            return;
        }
        let mut pick = Pick::default();
        let mut max_count = self.batch.count;
        self.last_was_own = false;
        match &round {
            Round::Common => {
                self.wanted = None;
                for (scope, hold) in self.holds.iter_mut() {
                    hold.in_round = hold.narrowed.is_none() && hold.is_free(now);
                    if hold.in_round {
                        hold.backoff.release();
                    } else {
                        pick.hold.insert(scope.clone());
                    }
                }
            }
            Round::Own(scope) => {
                self.last_was_own = true;
                pick.only = Some(scope.clone());
                if let Some(narrowed) = self.holds.get(scope).and_then(|h| h.narrowed.as_ref()) {
                    max_count = max_count.min(narrowed.limit);
                }
            }
            Round::ProbeOthers(scope) => {
                max_count = 1;
                pick.hold.insert(scope.clone());
                for (other, hold) in &self.holds {
                    if !hold.suspects().is_empty() || !hold.is_free(now) {
                        pick.hold.insert(other.clone());
                    }
                }
            }
            Round::ProbeNext(scope) => {
                max_count = 1;
                pick.only = Some(scope.clone());
                if let Some(hold) = self.holds.get(scope) {
                    pick.skip = hold.suspects().iter().map(|suspect| suspect.id).collect();
                }
            }
            Round::ProbeSuspect(_) => {}
        }
        if let Round::ProbeSuspect(scope) = &round {
            max_count = 1;
            pick.only = Some(scope.clone());
            if let Some(narrowed) = self.narrowed(scope) {
                pick.skip = narrowed.all_but_one();
            }
        }
        self.probe = None;
        let ticket = cx.ticket();
        self.flight = Some(Flight { ticket, round });
        cx.actions.push_back(Action::Push(PushPlan {
            ticket,
            pick,
            max_count,
            max_bytes: self.batch.bytes,
        }));
    }

    /// A push is over; none if it is unknown.
    pub(super) fn ended(
        &mut self,
        ticket: Ticket,
        end: PushEnd,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) -> Option<RoundEnd> {
        let Flight { round, .. } = self.flight.take_if(|flight| flight.ticket == ticket)?;
        let (mut flush, mut pause) = (FlushEnd::Answered, None);
        match end {
            PushEnd::Answered {
                sent,
                outcomes,
                waiting,
                forgotten,
            } if !sent.is_empty() => {
                let left_out = self.left_out(waiting, forgotten);
                self.answered(&round, &sent, outcomes, left_out, cx, pulls);
            }
            PushEnd::Nothing { waiting, forgotten }
            | PushEnd::Answered {
                waiting, forgotten, ..
            } => {
                let left_out = self.left_out(waiting, forgotten);
                self.nothing(round, left_out, cx, pulls);
            }
            PushEnd::Refused {
                sent,
                kind,
                retry_after,
            } => {
                flush = FlushEnd::Failed(kind);
                let failure = Failure {
                    round,
                    ticket,
                    sent: &sent,
                    kind,
                    retry_after,
                };
                pause = self.refused(failure, cx, pulls);
            }
            PushEnd::Local => {
                flush = FlushEnd::Local;
                self.fail(None, cx);
                self.put_back(round, cx.now);
            }
        }
        Some(RoundEnd { flush, pause })
    }

    pub(super) fn has_settled(&self) -> bool {
        !self.settled.is_empty()
    }

    /// The scopes with settled mutations, to be pulled now that the flush has come to a halt.
    pub(super) fn take_settled(&mut self) -> OrderedSet<Scope> {
        std::mem::take(&mut self.settled)
    }

    fn fail(&mut self, retry_after: Option<Duration>, cx: &mut Context) {
        self.backoff
            .fail(cx.now, retry_after, &cx.settings, &mut cx.random);
    }

    /// The same round is to be tried again.
    fn put_back(&mut self, round: Round, now: Time) {
        match round {
            Round::Common => self.want(now),
            // Its hold brings it back.
            Round::Own(_) => {}
            probe => self.probe = Some(probe),
        }
    }
}
