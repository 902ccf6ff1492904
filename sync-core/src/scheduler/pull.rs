//! The pull side: which scope is pulled when.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    Action, Context, Settings, Ticket,
    backoff::Backoff,
    revocation::{Evidence, Refusal},
};
use crate::{model::Scope, time::Time};

/// All scopes that are active, or of which something is remembered.
#[derive(Debug)]
pub(super) struct Pulls {
    scopes: BTreeMap<Scope, ScopePulls>,
    /// When each scope is due, in order, so that the next deadline costs no search.
    agenda: BTreeSet<(Time, Scope)>,
    in_flight: usize,
    /// Whether active scopes are polled now.
    polling: bool,
    /// Above how many scopes the ones of which nothing matters any more are forgotten.
    forget_above: usize,
}

/// The pulls of one scope.
#[derive(Debug, Default)]
struct ScopePulls {
    active: bool,
    flight: Option<Flight>,
    want: Option<Want>,
    poll_at: Time,
    drained_at: Option<Time>,
    not_before: Time,
    backoff: Backoff,
    evidence: Evidence,
    purging: bool,
    /// Its place in the agenda.
    due: Option<Time>,
}

/// A pull that is under way.
#[derive(Debug)]
struct Flight {
    ticket: Ticket,
    began: Time,
    /// What it was begun for; none when it only polls.
    cause: Option<Want>,
    /// A trigger that came since.
    again: Option<Want>,
}

/// A pull that a trigger asks for. It stays until a pull has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Want {
    /// Not before.
    pub(super) at: Time,
    /// Whether it outlives the scope's being active.
    pub(super) firm: bool,
}

impl Want {
    pub(super) fn firm(at: Time) -> Self {
        Self { at, firm: true }
    }

    pub(super) fn while_active(at: Time) -> Self {
        Self { at, firm: false }
    }
}

fn merge(one: Option<Want>, other: Option<Want>) -> Option<Want> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Want {
            at: one.at.min(other.at),
            firm: one.firm || other.firm,
        }),
        (one, other) => one.or(other),
    }
}

/// A pull that has just ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Landed {
    began: Time,
    cause: Option<Want>,
}

impl ScopePulls {
    fn due(&self, polling: bool) -> Option<Time> {
        if self.flight.is_some() || self.purging {
            return None;
        }
        let poll = (polling && self.active).then_some(self.poll_at);
        let at = match (self.want.map(|want| want.at), poll) {
            (Some(want), Some(poll)) => want.min(poll),
            (want, poll) => want.or(poll)?,
        };
        let gate = self.backoff.until().unwrap_or_default();
        Some(at.max(gate).max(self.not_before))
    }

    fn ask(&mut self, want: Want) {
        match &mut self.flight {
            Some(flight) => flight.again = merge(flight.again, Some(want)),
            None => self.want = merge(self.want, Some(want)),
        }
    }

    /// Puts a want back that its pull has not met.
    fn restore(&mut self, cause: Option<Want>) {
        let cause = cause.filter(|want| want.firm || self.active);
        self.want = merge(self.want, cause);
    }

    fn matters(&self, now: Time) -> bool {
        self.active
            || self.flight.is_some()
            || self.want.is_some()
            || self.evidence.is_some()
            || self.purging
            || self.not_before > now
            || self.backoff.until().is_some_and(|until| until > now)
    }
}

impl Pulls {
    pub(super) fn new(polling: bool) -> Self {
        Self {
            scopes: BTreeMap::new(),
            agenda: BTreeSet::new(),
            in_flight: 0,
            polling,
            forget_above: 64,
        }
    }

    /// Changes one scope and keeps its place in the agenda right.
    fn change<R>(
        &mut self,
        scope: &Scope,
        now: Time,
        change: impl FnOnce(&mut ScopePulls) -> R,
    ) -> R {
        // Most changes are to a scope that is known, and cost one search and no clone.
        if let Some(pulls) = self.scopes.get_mut(scope) {
            let result = change(pulls);
            enter(&mut self.agenda, scope, pulls, self.polling);
            return result;
        }
        self.forget_idle(now);
        let pulls = self.scopes.entry(scope.detached()).or_default();
        let result = change(pulls);
        enter(&mut self.agenda, scope, pulls, self.polling);
        result
    }

    /// Changes all scopes and keeps the agenda right.
    fn change_all(&mut self, mut change: impl FnMut(&Scope, &mut ScopePulls)) {
        for (scope, pulls) in &mut self.scopes {
            change(scope, pulls);
            enter(&mut self.agenda, scope, pulls, self.polling);
        }
    }

    fn forget_idle(&mut self, now: Time) {
        if self.scopes.len() >= self.forget_above {
            self.scopes.retain(|_, pulls| pulls.matters(now));
            self.forget_above = 64.max(self.scopes.len() * 2);
        }
    }

    pub(super) fn activate(&mut self, scope: &Scope, now: Time, settings: &Settings) {
        self.change(scope, now, |pulls| {
            if !pulls.active {
                pulls.active = true;
                pulls.poll_at = poll_time(now, settings);
                pulls.ask(Want::while_active(now));
            }
        });
    }

    pub(super) fn deactivate(&mut self, scope: &Scope, now: Time) {
        if !self.scopes.contains_key(scope) {
            return;
        }
        self.change(scope, now, |pulls| {
            pulls.active = false;
            pulls.want = pulls.want.filter(|want| want.firm);
            if let Some(flight) = &mut pulls.flight {
                flight.again = flight.again.filter(|want| want.firm);
            }
        });
    }

    pub(super) fn is_active(&self, scope: &Scope) -> bool {
        self.scopes.get(scope).is_some_and(|pulls| pulls.active)
    }

    /// Asks for a pull of a scope. While one is under way, for one more after it.
    pub(super) fn want(&mut self, scope: &Scope, want: Want, now: Time) {
        self.change(scope, now, |pulls| pulls.ask(want));
    }

    /// Has every active scope pulled at this time, unless a trigger of its own has asked for it before.
    pub(super) fn want_active(&mut self, at: Time) {
        self.change_all(|_, pulls| {
            if pulls.active && !pulls.want.is_some_and(|want| want.firm) {
                pulls.want = Some(Want::while_active(at));
                pulls.poll_at = pulls.poll_at.max(at);
            }
        });
    }

    /// Asks for pulls of the active scopes that were last drained longer ago than this.
    pub(super) fn want_stale(&mut self, now: Time, staleness: Duration) {
        self.change_all(|_, pulls| {
            let fresh = |at: Time| now.since(at) <= staleness;
            if pulls.active && !pulls.drained_at.is_some_and(fresh) {
                pulls.ask(Want::while_active(now));
            }
        });
    }

    /// Has every active scope pulled, and every other that wants to be, but not before `by`. Returns which.
    pub(super) fn put_off(&mut self, by: Time) -> Vec<Scope> {
        let mut scopes = Vec::new();
        self.change_all(|scope, pulls| {
            if !pulls.active && pulls.want.is_none() {
                return;
            }
            scopes.push(scope.clone());
            if pulls.flight.is_none() {
                let firm = pulls.want.is_some_and(|want| want.firm);
                pulls.want = Some(Want { at: by, firm });
                pulls.poll_at = pulls.poll_at.max(by);
            }
        });
        scopes
    }

    /// Polls from now on, or does not.
    pub(super) fn set_polling(&mut self, polling: bool) {
        if self.polling != polling {
            self.polling = polling;
            self.change_all(|_, _| {});
        }
    }

    /// A manual sync of a scope: its failures are forgiven.
    pub(super) fn forgive(&mut self, scope: &Scope, now: Time) {
        if self.scopes.contains_key(scope) {
            self.change(scope, now, |pulls| pulls.backoff.forgive());
        }
    }

    /// A reconnect: all failures are forgiven.
    pub(super) fn forgive_all(&mut self) {
        self.change_all(|_, pulls| pulls.backoff.forgive());
    }

    /// Whether the server has asked not to be asked for this scope now.
    pub(super) fn is_asked_to_wait(&self, scope: &Scope, now: Time) -> bool {
        self.scopes
            .get(scope)
            .is_some_and(|pulls| pulls.flight.is_none() && pulls.backoff.is_asked(now))
    }

    /// What was refused to somebody else is no evidence.
    pub(super) fn clear_evidence(&mut self) {
        self.change_all(|_, pulls| pulls.evidence.clear());
    }

    /// Begins what is due, as far as the limit allows.
    pub(super) fn begin(&mut self, cx: &mut Context) {
        while self.in_flight < cx.settings.parallel_pulls {
            if self.agenda.first().is_none_or(|(due, _)| *due > cx.now) {
                return;
            }
            let Some((_, scope)) = self.agenda.pop_first() else {
                return;
            };
            let Some(pulls) = self.scopes.get_mut(&scope) else {
                continue;
            };
            let ticket = cx.ticket();
            pulls.due = None;
            pulls.not_before = cx.now + cx.settings.pull_spacing;
            pulls.flight = Some(Flight {
                ticket,
                began: cx.now,
                cause: pulls.want.take(),
                again: None,
            });
            self.in_flight += 1;
            cx.actions.push_back(Action::Pull { ticket, scope });
        }
    }

    /// When the next pull begins; none while the limit of parallel ones is reached.
    pub(super) fn next(&self, settings: &Settings) -> Option<Time> {
        if self.in_flight < settings.parallel_pulls {
            self.agenda.first().map(|(due, _)| *due)
        } else {
            None
        }
    }

    /// Takes a pull out of flight; none if it is unknown. A trigger that came meanwhile is due now.
    pub(super) fn land(&mut self, scope: &Scope, ticket: Ticket, now: Time) -> Option<Landed> {
        let flight = self.scopes.get(scope)?.flight.as_ref()?;
        if flight.ticket != ticket {
            return None;
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        self.change(scope, now, |pulls| {
            let flight = pulls.flight.take()?;
            pulls.want = merge(pulls.want, flight.again);
            Some(Landed {
                began: flight.began,
                cause: flight.cause,
            })
        })
    }

    /// It has drained.
    pub(super) fn drained(&mut self, scope: &Scope, cx: &Context) {
        self.change(scope, cx.now, |pulls| {
            pulls.backoff.reset();
            pulls.evidence.clear();
            pulls.drained_at = Some(cx.now);
            pulls.poll_at = poll_time(cx.now, &cx.settings);
        });
    }

    /// It has failed, and is tried again after a backoff.
    pub(super) fn failed(
        &mut self,
        scope: &Scope,
        landed: Landed,
        retry_after: Option<Duration>,
        cx: &mut Context,
    ) {
        let now = cx.now;
        self.change(scope, now, |pulls| {
            pulls
                .backoff
                .fail(now, retry_after, &cx.settings, &mut cx.random);
            pulls.poll_at = now;
            pulls.restore(landed.cause);
        });
    }

    /// Nothing was learnt from it: what it was begun for is still wanted.
    pub(super) fn put_back(&mut self, scope: &Scope, landed: Landed, cx: &Context) {
        self.change(scope, cx.now, |pulls| {
            pulls.poll_at = poll_time(cx.now, &cx.settings);
            pulls.restore(landed.cause);
        });
    }

    /// The server has refused it. `needed`: mutations wait for it.
    pub(super) fn refused(
        &mut self,
        scope: &Scope,
        landed: Landed,
        had_access: bool,
        needed: bool,
        cx: &mut Context,
    ) -> Refusal {
        let now = cx.now;
        self.change(scope, now, |pulls| {
            pulls.backoff.fail(now, None, &cx.settings, &mut cx.random);
            let refusal = pulls
                .evidence
                .refused(landed.began, now, cx.settings.confirm_after);
            match refusal {
                Refusal::Unconfirmed(at) => {
                    pulls.poll_at = at;
                    if had_access || needed {
                        pulls.ask(Want::firm(at));
                    } else if pulls.active {
                        pulls.restore(landed.cause);
                    }
                }
                Refusal::Confirmed => {
                    pulls.poll_at = now;
                    if had_access {
                        pulls.purging = true;
                    } else {
                        // Each pair of refusals counts once.
                        pulls.evidence.clear();
                        if needed {
                            pulls.ask(Want::firm(now));
                        }
                    }
                }
            }
            refusal
        })
    }

    /// The purge of a scope is over. Where the store could not do it, access is asked about once more.
    pub(super) fn purge_ended(&mut self, scope: &Scope, purged: bool, now: Time) -> bool {
        if !self.scopes.get(scope).is_some_and(|pulls| pulls.purging) {
            return false;
        }
        self.change(scope, now, |pulls| {
            pulls.purging = false;
            if purged {
                pulls.evidence.clear();
                pulls.drained_at = None;
                pulls.want = pulls.want.filter(|_| pulls.active);
            } else {
                pulls.ask(Want::firm(now));
            }
        });
        true
    }

    /// Forgets all that the next leader has to find out anew; the backoffs stay.
    pub(super) fn stop(&mut self) {
        self.in_flight = 0;
        self.change_all(|_, pulls| {
            pulls.flight = None;
            pulls.want = None;
            pulls.purging = false;
            pulls.evidence.clear();
        });
    }

    /// Whether nothing is in flight or wanted, polls aside.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0
            && self
                .scopes
                .values()
                .all(|pulls| pulls.want.is_none() && !pulls.purging)
    }

    pub(super) fn pulling(&self) -> Vec<Scope> {
        self.names(|pulls| pulls.flight.is_some())
    }

    pub(super) fn active(&self) -> Vec<Scope> {
        self.names(|pulls| pulls.active)
    }

    fn names(&self, which: impl Fn(&ScopePulls) -> bool) -> Vec<Scope> {
        self.scopes
            .iter()
            .filter(|(_, pulls)| which(pulls))
            .map(|(scope, _)| scope.clone())
            .collect()
    }
}

fn poll_time(now: Time, settings: &Settings) -> Time {
    now + settings.poll_interval
}

/// Moves a scope to its right place in the agenda.
fn enter(
    agenda: &mut BTreeSet<(Time, Scope)>,
    scope: &Scope,
    pulls: &mut ScopePulls,
    polling: bool,
) {
    let due = pulls.due(polling);
    if due == pulls.due {
        return;
    }
    if let Some(old) = pulls.due.take() {
        agenda.remove(&(old, scope.clone()));
    }
    if let Some(due) = due {
        agenda.insert((due, scope.clone()));
    }
    pulls.due = due;
}
