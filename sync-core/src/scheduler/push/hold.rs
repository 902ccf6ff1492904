//! Scopes that do not go with the others: until some time, until a pull, or on their own.

use std::time::Duration;

use super::{
    super::{
        Action, Context, Ticket,
        backoff::Backoff,
        pull::{Pulls, Want},
    },
    Pushes,
    narrowing::{Narrowed, Suspect},
};
use crate::{
    model::{MutationId, Scope},
    ordered::{OrderedMap, OrderedSet},
    time::Time,
};

/// A scope that does not go with the others, or has not lately.
#[derive(Debug, Default)]
pub(super) struct Hold {
    pub(super) backoff: Backoff,
    /// Waits until a pull with this ticket or a later one has drained.
    pub(super) pull: Option<Ticket>,
    /// Refused for lack of access; the pull decides what that means.
    pub(super) parked: Vec<MutationId>,
    /// Sent too long ago to be sent again; the pull may still settle them.
    pub(super) forgotten: Vec<MutationId>,
    pub(super) purging: bool,
    /// Whether the last common round could have taken something of it.
    pub(super) in_round: bool,
    pub(super) narrowed: Option<Narrowed>,
}

/// What a round has brought upon a scope.
#[derive(Debug, Default)]
pub(super) struct Setback {
    /// It has to be pulled first.
    pub(super) pull: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Hold {
    /// From when on it may go; none while it waits for something else than time.
    pub(super) fn free_at(&self) -> Option<Time> {
        if self.pull.is_some() || self.purging {
            return None;
        }
        let spaced = self.narrowed.as_ref().map(|narrowed| narrowed.not_before);
        Some(self.backoff.until().max(spaced).unwrap_or_default())
    }

    /// What stays of it when all else is forgotten: the server's word on when to come back, if that is still to be.
    pub(super) fn patience(self, now: Time) -> Option<Self> {
        self.backoff.is_asked(now).then(|| Self {
            backoff: self.backoff,
            ..Self::default()
        })
    }

    pub(super) fn is_free(&self, now: Time) -> bool {
        self.free_at().is_some_and(|at| at <= now)
    }

    pub(super) fn suspects(&self) -> &[Suspect] {
        self.narrowed
            .as_ref()
            .map_or(&[], |narrowed| &narrowed.suspects)
    }

    pub(super) fn narrowed(&mut self, limit: u32) -> &mut Narrowed {
        self.narrowed.get_or_insert_with(|| Narrowed::new(limit))
    }
}

impl Pushes {
    /// The scopes that a take has left out until they are pulled.
    pub(super) fn left_out(
        &mut self,
        waiting: OrderedSet<Scope>,
        forgotten: Vec<(Scope, MutationId)>,
    ) -> OrderedMap<Scope, Setback> {
        let mut setbacks: OrderedMap<Scope, Setback> = OrderedMap::new();
        if waiting.is_empty() && forgotten.is_empty() {
            return setbacks;
        }
        for scope in waiting {
            setbacks.get_or_default(scope).pull = true;
        }
        for (scope, id) in forgotten {
            let hold = self.holds.get_or_default(scope.detached());
            if !hold.forgotten.contains(&id) {
                hold.forgotten.push(id);
            }
            setbacks.get_or_default(scope).pull = true;
        }
        // One that waits already goes on waiting for the same pull.
        setbacks.retain(|scope, _| self.holds.get(scope).is_none_or(|h| h.pull.is_none()));
        setbacks
    }

    pub(super) fn set_back(
        &mut self,
        setbacks: OrderedMap<Scope, Setback>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        let now = cx.now;
        for (scope, setback) in setbacks {
            let hold = self.holds.get_or_default(scope.detached());
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

    /// Whether mutations of a scope wait for a pull of it.
    pub(in crate::scheduler) fn waits_for_pull(&self, scope: &Scope) -> bool {
        self.holds
            .get(scope)
            .is_some_and(|hold| hold.pull.is_some())
    }

    /// A pull of a scope has drained: what waited for it goes on.
    pub(in crate::scheduler) fn pull_drained(
        &mut self,
        scope: &Scope,
        ticket: Ticket,
        cx: &mut Context,
    ) {
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
    pub(in crate::scheduler) fn never_granted(&mut self, scope: &Scope, cx: &mut Context) {
        let gave_up = self.give_up_parked(scope, cx);
        if let Some(hold) = self.holds.get_mut(scope)
            && (gave_up || hold.pull.is_some())
        {
            // Such a pull is not going to come. What else waits for one, the next take will say.
            hold.pull = None;
            let forgotten = std::mem::take(&mut hold.forgotten);
            if !forgotten.is_empty() {
                cx.actions.push_back(Action::SettleForgotten {
                    scope: scope.clone(),
                    ids: forgotten,
                });
            }
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
    pub(in crate::scheduler) fn purge(&mut self, scope: &Scope) {
        self.holds.get_or_default(scope.detached()).purging = true;
    }

    /// The purge is over.
    pub(in crate::scheduler) fn purge_ended(&mut self, scope: &Scope, purged: bool, now: Time) {
        if purged {
            let hold = self.holds.remove(scope);
            if let Some(hold) = hold.and_then(|hold| hold.patience(now)) {
                self.holds.insert(scope.clone(), hold);
            }
        } else if let Some(hold) = self.holds.get_mut(scope) {
            hold.purging = false;
        }
        self.want_after_hold(scope, now);
    }
}
