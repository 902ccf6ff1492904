//! The push side: one push at a time, and which scopes it may touch.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Action, Context, FlushEnd, Outcome, PauseReason, PushEnd, PushPlan, Sent, Settings, Ticket,
    backoff::Backoff,
    narrowing::{Narrowed, Round},
    pull::{Pulls, Want},
};
use crate::{
    model::{MutationId, Scope},
    store::{FailReason, Pick},
    time::Time,
    transport::TransportErrorKind,
};

/// All that is remembered about pushing.
#[derive(Debug)]
pub(super) struct Pushes {
    /// From when on a round of everything that is not held is wanted.
    wanted: Option<Time>,
    flight: Option<Flight>,
    backoff: Backoff,
    batch: Batch,
    holds: BTreeMap<Scope, Hold>,
    /// What is to be sent alone next, to learn whether a refusal was the mutation's fault.
    probe: Option<Round>,
    /// Whether the last round was a narrowed one: the next is then a common one, if both are due.
    last_was_own: bool,
    /// The head of the batch that keeps failing, and how often it has.
    failing: Option<(MutationId, u32)>,
    /// Scopes with settled mutations; one that is not active is pulled after the flush.
    settled: BTreeSet<Scope>,
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

/// How large a batch may be now.
#[derive(Debug)]
struct Batch {
    count: u32,
    bytes: u64,
    /// How many were answered at this size.
    answered: u32,
}

/// A scope that does not go with the others, or has not lately.
#[derive(Debug, Default)]
struct Hold {
    backoff: Backoff,
    /// Waits until a pull with this ticket or a later one has drained.
    pull: Option<Ticket>,
    /// Refused for lack of access; the pull decides what that means.
    parked: Vec<MutationId>,
    /// Sent too long ago to be sent again; the pull may still settle them.
    forgotten: Vec<MutationId>,
    purging: bool,
    narrowed: Option<Narrowed>,
}

/// What a round has brought upon a scope.
#[derive(Debug, Default)]
struct Setback {
    /// It has to be pulled first.
    pull: bool,
    retry_after: Option<Duration>,
}

impl Batch {
    fn new(settings: &Settings) -> Self {
        Self {
            count: settings.batch_count,
            bytes: settings.batch_bytes,
            answered: 0,
        }
    }

    fn halve(&mut self, sent: usize) {
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        self.count = (self.count.min(sent) / 2).max(1);
        self.bytes = (self.bytes / 2).max(1);
        self.answered = 0;
    }

    fn answered(&mut self, settings: &Settings) {
        self.answered = self.answered.saturating_add(1);
        if self.answered >= settings.regrow_after {
            self.answered = 0;
            self.count = self.count.saturating_mul(2).min(settings.batch_count);
            self.bytes = self.bytes.saturating_mul(2).min(settings.batch_bytes);
        }
    }
}

impl Hold {
    /// From when on it may go; none while it waits for something else than time.
    fn free_at(&self) -> Option<Time> {
        if self.pull.is_some() || self.purging {
            return None;
        }
        let spaced = self.narrowed.as_ref().map(|narrowed| narrowed.not_before);
        Some(self.backoff.until().max(spaced).unwrap_or_default())
    }

    fn is_free(&self, now: Time) -> bool {
        self.free_at().is_some_and(|at| at <= now)
    }

    fn narrowed(&mut self, limit: u32) -> &mut Narrowed {
        self.narrowed.get_or_insert_with(|| Narrowed::new(limit))
    }
}

impl Pushes {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            wanted: None,
            flight: None,
            backoff: Backoff::default(),
            batch: Batch::new(settings),
            holds: BTreeMap::new(),
            probe: None,
            last_was_own: false,
            failing: None,
            settled: BTreeSet::new(),
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

    /// Forgets all that the next leader has to find out anew; the backoff stays.
    pub(super) fn stop(&mut self, settings: &Settings) {
        let backoff = std::mem::take(&mut self.backoff);
        *self = Self::new(settings);
        self.backoff = backoff;
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
        if let Some(probe) = &self.probe {
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
                for (scope, hold) in &mut self.holds {
                    if hold.narrowed.is_some() || !hold.is_free(now) {
                        pick.hold.insert(scope.clone());
                    } else {
                        hold.backoff.release();
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
                    let suspected = hold
                        .narrowed
                        .as_ref()
                        .is_some_and(|n| !n.suspects.is_empty());
                    if suspected || !hold.is_free(now) {
                        pick.hold.insert(other.clone());
                    }
                }
            }
            Round::ProbeNext(scope) => {
                max_count = 1;
                pick.only = Some(scope.clone());
                if let Some(narrowed) = self.holds.get(scope).and_then(|h| h.narrowed.as_ref()) {
                    pick.skip = narrowed.suspects.iter().map(|s| s.key.clone()).collect();
                }
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
                self.answered(&round, &sent, &outcomes, left_out, cx, pulls);
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
                pause = self.refused(round, ticket, &sent, kind, retry_after, cx, pulls);
            }
            PushEnd::Local => {
                flush = FlushEnd::Local;
                self.fail(None, cx);
                self.put_back(round, cx.now);
            }
        }
        Some(RoundEnd { flush, pause })
    }

    /// The scopes with settled mutations, once the flush has come to a halt.
    pub(super) fn settled(&mut self, now: Time) -> BTreeSet<Scope> {
        let goes_on = self.flight.is_some() || self.next(now).is_some_and(|at| at <= now);
        if goes_on || self.settled.is_empty() {
            BTreeSet::new()
        } else {
            std::mem::take(&mut self.settled)
        }
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
            probe @ (Round::ProbeOthers(_) | Round::ProbeNext(_)) => self.probe = Some(probe),
        }
    }

    /// The scopes that a take has left out until they are pulled.
    fn left_out(
        &mut self,
        waiting: BTreeSet<Scope>,
        forgotten: Vec<(Scope, MutationId)>,
    ) -> BTreeMap<Scope, Setback> {
        let mut setbacks: BTreeMap<Scope, Setback> = BTreeMap::new();
        for scope in waiting {
            setbacks.entry(scope).or_default().pull = true;
        }
        for (scope, id) in forgotten {
            let hold = self.holds.entry(scope.detached()).or_default();
            if !hold.forgotten.contains(&id) {
                hold.forgotten.push(id);
            }
            setbacks.entry(scope).or_default().pull = true;
        }
        // One that waits already goes on waiting for the same pull.
        setbacks.retain(|scope, _| self.holds.get(scope).is_none_or(|h| h.pull.is_none()));
        setbacks
    }

    fn set_back(
        &mut self,
        setbacks: BTreeMap<Scope, Setback>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        let now = cx.now;
        for (scope, setback) in setbacks {
            let hold = self.holds.entry(scope.detached()).or_default();
            let (backoff, after) = (&mut hold.backoff, setback.retry_after);
            if setback.pull {
                backoff.fail_leniently(now, after, &cx.settings, &mut cx.random);
                hold.pull = Some(cx.next_ticket);
                pulls.want(&scope, Want::firm(now), now);
            } else {
                backoff.fail(now, after, &cx.settings, &mut cx.random);
            }
        }
    }

    fn nothing(
        &mut self,
        round: Round,
        left_out: BTreeMap<Scope, Setback>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        let now = cx.now;
        match round {
            Round::Common => {
                // Of the scopes that could have gone, none has anything to send.
                self.holds.retain(|scope, hold| {
                    hold.narrowed.is_some() || !hold.is_free(now) || left_out.contains_key(scope)
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
            Round::ProbeNext(_) => {}
        }
        self.set_back(left_out, cx, pulls);
    }

    fn answered(
        &mut self,
        round: &Round,
        sent: &[Sent],
        outcomes: &[(MutationId, Outcome)],
        mut setbacks: BTreeMap<Scope, Setback>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        let now = cx.now;
        let outcomes: BTreeMap<_, _> = outcomes.iter().copied().collect();
        if let Round::Own(scope) = round {
            self.head_is(scope, sent[0].id);
        }
        if *round == Round::Common {
            self.want(now);
        }
        if !sent.iter().any(|sent| outcomes.contains_key(&sent.id)) {
            self.fail(None, cx);
            self.set_back(setbacks, cx, pulls);
            return;
        }
        self.backoff.reset();
        self.batch.answered(&cx.settings);
        self.failing = None;
        let mut settled = 0_usize;
        for Sent { id, key } in sent {
            let scope = &key.scope;
            let outcome = outcomes.get(id).copied();
            match outcome {
                Some(Outcome::Settled | Outcome::Rejected) => {
                    settled += 1;
                    if outcome == Some(Outcome::Settled) && !self.settled.contains(scope) {
                        self.settled.insert(scope.detached());
                    }
                    if let Some(hold) = self.holds.get_mut(scope) {
                        hold.backoff.reset();
                    }
                }
                Some(Outcome::Forbidden) => {
                    let hold = self.holds.entry(scope.detached()).or_default();
                    hold.parked.push(*id);
                    setbacks.entry(scope.clone()).or_default().pull = true;
                }
                Some(Outcome::Retry { after, resync }) => {
                    let setback = setbacks.entry(scope.clone()).or_default();
                    setback.pull |= resync;
                    setback.retry_after = setback.retry_after.max(after);
                }
                Some(Outcome::Doubted) => {
                    setbacks.entry(scope.clone()).or_default().pull = true;
                }
                // Its order is kept by holding what follows it in its scope, too.
                None => {
                    setbacks.entry(scope.clone()).or_default();
                }
            }
            if outcome.is_some()
                && let Some(narrowed) = self.narrowed(scope)
            {
                narrowed.clear(*id);
            }
        }
        if settled > 0 {
            self.went_through(sent.len() == 1, cx);
            if let Round::Own(scope) = round {
                self.widen(scope, now, &cx.settings);
            }
        }
        self.set_back(setbacks, cx, pulls);
    }

    fn narrowed(&mut self, scope: &Scope) -> Option<&mut Narrowed> {
        self.holds.get_mut(scope)?.narrowed.as_mut()
    }

    fn head_is(&mut self, scope: &Scope, id: MutationId) {
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
    fn convict(&mut self, cx: &mut Context) {
        for hold in self.holds.values_mut() {
            let Some(narrowed) = &mut hold.narrowed else {
                continue;
            };
            for id in narrowed.convict(cx.settings.poison_attempts) {
                narrowed.limit = 1;
                narrowed.not_before = cx.now;
                hold.backoff.reset();
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

    #[expect(
        clippy::too_many_arguments,
        reason = "each is a fact about the refusal"
    )]
    fn refused(
        &mut self,
        round: Round,
        ticket: Ticket,
        sent: &[Sent],
        kind: TransportErrorKind,
        retry_after: Option<Duration>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) -> Option<PauseReason> {
        use TransportErrorKind as Kind;
        if let (Round::Own(scope), Some(head)) = (&round, sent.first()) {
            self.head_is(scope, head.id);
        }
        match kind {
            Kind::Unauthorized | Kind::OtherAccount => {
                self.backoff.space(cx.now, &cx.settings);
                self.put_back(round, cx.now);
                return cx.pause_reason(kind, ticket);
            }
            Kind::TooLarge => self.too_large(round, sent, cx),
            Kind::CursorExpired => {
                let setbacks = sent.iter().map(|sent| {
                    let setback = Setback {
                        pull: true,
                        retry_after,
                    };
                    (sent.key.scope.clone(), setback)
                });
                self.backoff.space(cx.now, &cx.settings);
                self.set_back(setbacks.collect(), cx, pulls);
                if round == Round::Common {
                    self.want(cx.now);
                }
            }
            Kind::BadRequest | Kind::Forbidden => self.narrow(&round, sent, kind, cx, pulls),
            Kind::Network => {
                self.fail(retry_after, cx);
                self.put_back(round, cx.now);
            }
            Kind::Timeout | Kind::Unavailable | Kind::Foreign | Kind::Malformed => {
                if kind == Kind::Timeout && sent.len() > 1 {
                    // On a slow line a smaller batch may make it in time.
                    self.batch.halve(sent.len());
                }
                let again_and_again = round != Round::Common || self.keeps_failing(sent, cx);
                if again_and_again && retry_after.is_none() {
                    self.narrow(&round, sent, kind, cx, pulls);
                } else {
                    self.fail(retry_after, cx);
                    self.put_back(round, cx.now);
                }
            }
        }
        None
    }

    /// Counts the failures of one and the same batch, and says whether there were enough of them.
    fn keeps_failing(&mut self, sent: &[Sent], cx: &Context) -> bool {
        let Some(head) = sent.first() else {
            return false;
        };
        let times = match self.failing {
            Some((id, times)) if id == head.id => times + 1,
            _ => 1,
        };
        self.failing = Some((head.id, times));
        times >= cx.settings.narrow_after
    }

    fn too_large(&mut self, round: Round, sent: &[Sent], cx: &mut Context) {
        match sent {
            [Sent { id, key }] => {
                // Were everything too large, this would not empty the outbox in a moment.
                self.backoff
                    .fail_leniently(cx.now, None, &cx.settings, &mut cx.random);
                if let Some(narrowed) = self.narrowed(&key.scope) {
                    narrowed.clear(*id);
                }
                cx.actions.push_back(Action::SetAside {
                    id: *id,
                    reason: FailReason::TooLarge,
                    message: "too large for the server, even alone".to_owned(),
                });
            }
            // Half of nothing, or of one, cannot help.
            _ if sent.is_empty() || self.batch.count == 1 => self.fail(None, cx),
            _ => self.batch.halve(sent.len()),
        }
        self.put_back(round, cx.now);
    }

    /// A batch was refused as a whole, or keeps failing: who is it?
    fn narrow(
        &mut self,
        round: &Round,
        sent: &[Sent],
        kind: TransportErrorKind,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        use TransportErrorKind as Kind;
        let now = cx.now;
        self.failing = None;
        if *round == Round::Common {
            self.want(now);
        }
        let scopes: BTreeSet<_> = sent.iter().map(|sent| &sent.key.scope).collect();
        let isolated = scopes.iter().all(|scope| {
            let narrowed = self.holds.get(*scope).and_then(|h| h.narrowed.as_ref());
            narrowed.is_some_and(|narrowed| narrowed.isolated)
        });
        if isolated || matches!(kind, Kind::BadRequest | Kind::Forbidden) {
            // The server is there for the others.
            self.backoff.space(now, &cx.settings);
        } else {
            self.fail(None, cx);
        }
        match sent {
            [] => {}
            [alone] if kind == Kind::Forbidden => {
                let scope = &alone.key.scope;
                let hold = self.holds.entry(scope.detached()).or_default();
                hold.parked.push(alone.id);
                let setback = Setback {
                    pull: true,
                    retry_after: None,
                };
                self.set_back(BTreeMap::from([(scope.clone(), setback)]), cx, pulls);
            }
            [alone] => {
                let scope = &alone.key.scope;
                let hold = self.holds.entry(scope.detached()).or_default();
                hold.backoff.fail(now, None, &cx.settings, &mut cx.random);
                let narrowed = hold.narrowed(1);
                narrowed.limit = 1;
                // Only these can be a mutation's fault.
                if matches!(kind, Kind::BadRequest | Kind::Unavailable) {
                    narrowed.not_before = now + cx.settings.poison_spacing;
                    let to_prove = narrowed.refused_alone(alone, kind);
                    if to_prove && !matches!(round, Round::ProbeNext(_)) {
                        self.probe = Some(Round::ProbeOthers(scope.clone()));
                    }
                    self.convict(cx);
                }
            }
            _ if scopes.len() == 1 => {
                for scope in scopes {
                    let hold = self.holds.entry(scope.detached()).or_default();
                    hold.narrowed(1).limit = 1;
                }
            }
            _ => {
                for scope in scopes {
                    let hold = self.holds.entry(scope.detached()).or_default();
                    hold.narrowed(cx.settings.batch_count);
                }
            }
        }
    }

    /// Whether mutations of a scope wait for a pull of it.
    pub(super) fn waits_for_pull(&self, scope: &Scope) -> bool {
        self.holds
            .get(scope)
            .is_some_and(|hold| hold.pull.is_some())
    }

    /// A pull of a scope has drained: what waited for it goes on.
    pub(super) fn pull_drained(&mut self, scope: &Scope, ticket: Ticket, cx: &mut Context) {
        let Some(hold) = self.holds.get_mut(scope) else {
            return;
        };
        if hold.pull.take_if(|after| ticket >= *after).is_none() {
            return;
        }
        let forgotten = std::mem::take(&mut hold.forgotten);
        if !forgotten.is_empty() {
            cx.actions.push_back(Action::SettleForgotten {
                scope: scope.clone(),
                ids: forgotten,
            });
        }
        self.give_up_parked(scope, cx);
        self.want_after_hold(scope, cx.now);
    }

    /// Pulls of a scope that was never pulled with success have been refused twice.
    pub(super) fn never_granted(&mut self, scope: &Scope, cx: &mut Context) {
        if self.give_up_parked(scope, cx)
            && let Some(hold) = self.holds.get_mut(scope)
        {
            // What else waits for a pull, the next take will say.
            hold.pull = None;
            hold.forgotten.clear();
            self.want_after_hold(scope, cx.now);
        }
    }

    fn give_up_parked(&mut self, scope: &Scope, cx: &mut Context) -> bool {
        let Some(hold) = self.holds.get_mut(scope) else {
            return false;
        };
        let ids = std::mem::take(&mut hold.parked);
        if ids.is_empty() {
            return false;
        }
        hold.backoff.reset();
        let scope = scope.clone();
        cx.actions.push_back(Action::FailForbidden { scope, ids });
        true
    }

    fn want_after_hold(&mut self, scope: &Scope, now: Time) {
        let hold = self.holds.get(scope);
        // A narrowed one, or one with a backoff, comes back by itself.
        if hold.is_none_or(|hold| hold.narrowed.is_none() && hold.backoff.until().is_none()) {
            self.want(now);
        }
    }

    /// A scope is being purged: nothing of it is sent.
    pub(super) fn purge(&mut self, scope: &Scope) {
        self.holds.entry(scope.detached()).or_default().purging = true;
    }

    /// The purge is over.
    pub(super) fn purge_ended(&mut self, scope: &Scope, purged: bool, now: Time) {
        if purged {
            self.holds.remove(scope);
        } else if let Some(hold) = self.holds.get_mut(scope) {
            hold.purging = false;
        }
        self.want_after_hold(scope, now);
    }
}
