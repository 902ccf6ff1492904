//! The pull side: which scope is pulled when.

mod roster;
mod scope;

use std::time::Duration;

use super::{Action, Context, Settings, Ticket, revocation::Refusal};
use crate::{model::Scope, time::Time};

pub(super) use self::scope::Want;
use self::{
    roster::{Place, Roster},
    scope::{Flight, ScopePulls},
};

/// All that is remembered about pulling.
#[derive(Debug)]
pub(super) struct Pulls {
    roster: Roster,
    /// The pulls under way, few enough to look through.
    in_flight: Vec<(Ticket, Place)>,
}

/// A pull that has just ended. What it has come to is to be said next.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) struct Landed(Place);

impl Pulls {
    pub(super) fn new(polling: bool) -> Self {
        Self {
            roster: Roster::new(polling),
            in_flight: Vec::new(),
        }
    }

    pub(super) fn activate(&mut self, scope: &Scope, now: Time, settings: &Settings) {
        let place = self.roster.find_or_add(scope, now);
        self.roster.change(place, |pulls| {
            if !pulls.active {
                pulls.active = true;
                pulls.poll_at = poll_time(now, settings);
                pulls.ask(Want::while_active(now));
            }
        });
    }

    pub(super) fn deactivate(&mut self, scope: &Scope) {
        let Some(place) = self.roster.find(scope) else {
            return;
        };
        self.roster.change(place, |pulls| {
            pulls.active = false;
            pulls.want = pulls.want.filter(|want| want.firm);
            if let Some(flight) = &mut pulls.flight {
                flight.again = flight.again.filter(|want| want.firm);
            }
        });
    }

    pub(super) fn is_active(&self, scope: &Scope) -> bool {
        let place = self.roster.find(scope);
        place.is_some_and(|place| self.roster.pulls(place).active)
    }

    /// Asks for a pull of a scope. While one is under way, for one more after it.
    pub(super) fn want(&mut self, scope: &Scope, want: Want, now: Time) {
        let place = self.roster.find_or_add(scope, now);
        self.roster.change(place, |pulls| pulls.ask(want));
    }

    /// Has every active scope pulled at this time, unless a trigger of its own has asked for it before.
    pub(super) fn want_active(&mut self, at: Time) {
        self.roster.change_all(|_, pulls| {
            if pulls.active && !pulls.want.is_some_and(|want| want.firm) {
                pulls.want = Some(Want::while_active(at));
                pulls.poll_at = pulls.poll_at.max(at);
            }
        });
    }

    /// Asks for pulls of the active scopes that were last drained longer ago than this.
    pub(super) fn want_stale(&mut self, now: Time, staleness: Duration) {
        self.roster.change_all(|_, pulls| {
            let fresh = |at: Time| now.since(at) <= staleness;
            if pulls.active && !pulls.drained_at.is_some_and(fresh) {
                pulls.ask(Want::while_active(now));
            }
        });
    }

    /// Has every active scope pulled, and every other that wants to be, but not before `by`. Returns which.
    pub(super) fn put_off(&mut self, by: Time) -> Vec<Scope> {
        let mut scopes = Vec::new();
        self.roster.change_all(|scope, pulls| {
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
        self.roster.set_polling(polling);
    }

    /// A manual sync of a scope: its failures are forgiven, and a pull is asked for, unless the server has asked not
    /// to be asked for it now. Returns whether it is.
    pub(super) fn want_anew(&mut self, scope: &Scope, now: Time) -> bool {
        let place = self.roster.find_or_add(scope, now);
        self.roster.change(place, |pulls| {
            pulls.backoff.forgive();
            let may_ask = pulls.flight.is_some() || !pulls.backoff.is_asked(now);
            if may_ask {
                pulls.ask(Want::firm(now));
            }
            may_ask
        })
    }

    /// A reconnect: all failures are forgiven.
    pub(super) fn forgive_all(&mut self) {
        self.roster.change_all(|_, pulls| pulls.backoff.forgive());
    }

    /// What was refused to somebody else is no evidence.
    pub(super) fn clear_evidence(&mut self) {
        self.roster.change_all(|_, pulls| pulls.evidence.clear());
    }

    /// Begins what is due, as far as the limit allows.
    pub(super) fn begin(&mut self, cx: &mut Context) {
        while let Some((due, place)) = self.roster.first_due()
            && due <= cx.now
            && self.in_flight.len() < cx.settings.parallel_pulls
        {
            self.roster.change(place, |pulls| {
                pulls.not_before = cx.now + cx.settings.pull_spacing;
                pulls.flight = Some(Flight {
                    began: cx.now,
                    cause: pulls.want.take(),
                    again: None,
                });
            });
            let ticket = cx.ticket();
            self.in_flight.push((ticket, place));
            let scope = self.roster.scope(place).clone();
            cx.actions.push_back(Action::Pull { ticket, scope });
        }
    }

    /// When the next pull begins; none while the limit of parallel ones is reached.
    pub(super) fn next(&self, settings: &Settings) -> Option<Time> {
        if self.in_flight.len() < settings.parallel_pulls {
            self.roster.first_due().map(|(due, _)| due)
        } else {
            None
        }
    }

    /// Takes a pull out of flight; none if it is unknown.
    pub(super) fn land(&mut self, scope: &Scope, ticket: Ticket) -> Option<Landed> {
        let is_it =
            |(its, place): &(Ticket, Place)| *its == ticket && self.roster.scope(*place) == scope;
        let index = self.in_flight.iter().position(is_it)?;
        let (_, place) = self.in_flight.swap_remove(index);
        Some(Landed(place))
    }

    /// It has drained.
    pub(super) fn drained(&mut self, Landed(place): Landed, cx: &Context) {
        self.roster.change(place, |pulls| {
            pulls.land();
            pulls.backoff.reset();
            pulls.evidence.clear();
            pulls.drained_at = Some(cx.now);
            pulls.poll_at = poll_time(cx.now, &cx.settings);
        });
    }

    /// It has failed, and is tried again after a backoff.
    pub(super) fn failed(
        &mut self,
        Landed(place): Landed,
        retry_after: Option<Duration>,
        cx: &mut Context,
    ) {
        let now = cx.now;
        self.roster.change(place, |pulls| {
            let flight = pulls.land();
            pulls
                .backoff
                .fail(now, retry_after, &cx.settings, &mut cx.random);
            pulls.poll_at = now;
            pulls.restore(flight);
        });
    }

    /// Nothing was learnt from it: what it was begun for is still wanted.
    pub(super) fn put_back(&mut self, Landed(place): Landed, cx: &Context) {
        self.roster.change(place, |pulls| {
            let flight = pulls.land();
            pulls.poll_at = poll_time(cx.now, &cx.settings);
            pulls.restore(flight);
        });
    }

    /// The server has refused it. `needed`: mutations wait for it.
    pub(super) fn refused(
        &mut self,
        Landed(place): Landed,
        had_access: bool,
        needed: bool,
        cx: &mut Context,
    ) -> Refusal {
        let now = cx.now;
        self.roster.change(place, |pulls| {
            let flight = pulls.land();
            let began = flight.as_ref().map_or(now, |flight| flight.began);
            pulls.backoff.fail(now, None, &cx.settings, &mut cx.random);
            let refusal = pulls
                .evidence
                .refused(began, now, cx.settings.confirm_after);
            match refusal {
                Refusal::Unconfirmed(at) => {
                    pulls.poll_at = at;
                    if had_access || needed {
                        pulls.ask(Want::firm(at));
                    } else if pulls.active {
                        pulls.restore(flight);
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
        let Some(place) = self.roster.find(scope) else {
            return false;
        };
        self.roster.change(place, |pulls| {
            if !pulls.purging {
                return false;
            }
            pulls.purging = false;
            if purged {
                pulls.evidence.clear();
                pulls.drained_at = None;
                pulls.want = pulls.want.filter(|_| pulls.active);
            } else {
                pulls.ask(Want::firm(now));
            }
            true
        })
    }

    /// Forgets all that the next leader has to find out anew; the backoffs stay.
    pub(super) fn stop(&mut self) {
        self.in_flight.clear();
        self.roster.change_all(|_, pulls| {
            pulls.flight = None;
            pulls.want = None;
            pulls.purging = false;
            pulls.evidence.clear();
        });
    }

    /// Whether nothing is in flight or wanted, polls aside.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
            && self
                .roster
                .iter()
                .all(|(_, pulls)| pulls.want.is_none() && !pulls.purging)
    }

    pub(super) fn pulling(&self) -> Vec<Scope> {
        self.names(|pulls| pulls.flight.is_some())
    }

    pub(super) fn active(&self) -> Vec<Scope> {
        self.names(|pulls| pulls.active)
    }

    fn names(&self, which: impl Fn(&ScopePulls) -> bool) -> Vec<Scope> {
        self.roster
            .iter()
            .filter(|(_, pulls)| which(pulls))
            .map(|(scope, _)| scope.clone())
            .collect()
    }
}

fn poll_time(now: Time, settings: &Settings) -> Time {
    now + settings.poll_interval
}
