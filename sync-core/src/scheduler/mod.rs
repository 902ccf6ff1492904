//! The scheduler: when to push, which scope to pull, and what to make of failures.
//!
//! A state machine without I/O, clock or randomness of its own: events and the time go in, actions and the next
//! deadline come out. Its driver is a loop that
//!
//! 1. feeds what happens to [`Scheduler::handle`], with the time,
//! 2. carries out what [`Scheduler::poll_action`] returns, until that is nothing,
//! 3. sleeps until [`Scheduler::next_deadline`], and then feeds [`Event::Timer`].
//!
//! | event | push | pull |
//! | --- | --- | --- |
//! | mutation enqueued | at once | no |
//! | poll timer | no | active scopes |
//! | becomes visible | flush | active scopes, if stale |
//! | network back, or resumed | flush | active scopes, after the flush |
//! | started | flush, after the initial delay | active scopes, after the initial delay |
//! | scope activated | no | that scope |
//! | poke | no | that scope, active or not |
//! | manual sync | flush | the scopes named, after the flush; active or not |
//!
//! *After the flush* means after its first round has ended, well or badly, or after
//! [`Settings::flush_wait`]. A flush goes on round after round until there is nothing to take.
//!
//! One push is in flight at a time, and one pull a scope. A trigger that arrives in flight runs once more
//! afterwards. A failure arms its own retry. Nothing is attempted, and no deadline given, while the network is
//! gone, the engine paused or the lead elsewhere.
//!
//! ```
//! use sync_core::{
//!     model::Scope,
//!     scheduler::{Action, Event, Scheduler, Settings},
//!     time::Time,
//! };
//!
//! let mut scheduler = Scheduler::new(Settings::default(), 42);
//! let at = Time::from_millis;
//! scheduler.handle(at(0), Event::Started);
//! scheduler.handle(at(10), Event::Activated(Scope::from("baby-1")));
//! assert!(matches!(scheduler.poll_action(), Some(Action::Pull { .. })));
//! assert_eq!(scheduler.poll_action(), None);
//! assert_eq!(scheduler.next_deadline(), Some(at(1_000)));
//! scheduler.handle(at(1_000), Event::Timer);
//! assert!(matches!(scheduler.poll_action(), Some(Action::Push(_))));
//! ```

mod action;
mod backoff;
mod event;
mod pull;
mod push;
mod random;
mod revocation;
mod settings;
mod sync_now;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use action::{Action, FlushEnd, NoAttempt, PauseReason, PushPlan, State, SyncEnd, SyncReport};
pub use event::{Event, Outcome, PullEnd, PushEnd, Sent, Ticket};
pub use settings::Settings;

use crate::{model::Scope, ordered::OrderedSet, time::Time, transport::TransportErrorKind};

use self::{
    pull::{Pulls, Want},
    push::Pushes,
    random::Random,
    revocation::Refusal,
    sync_now::{AfterFlush, Syncs},
};

/// Decides when to push and which scope to pull. See the [module](self).
#[derive(Debug)]
pub struct Scheduler {
    running: bool,
    online: bool,
    visible: bool,
    paused: Option<PauseReason>,
    pushes: Pushes,
    pulls: Pulls,
    syncs: Syncs,
    cx: Context,
}

/// What every part of the scheduler works with.
#[derive(Debug)]
struct Context {
    now: Time,
    settings: Settings,
    random: Random,
    next_ticket: Ticket,
    /// What was begun before this has been begun with an older token.
    resumed: Ticket,
    actions: VecDeque<Action>,
}

impl Context {
    fn ticket(&mut self) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket = Ticket(ticket.0 + 1);
        ticket
    }

    /// Whether a refusal of whoever asked pauses the engine: not if the app has supplied a token since.
    fn pause_reason(&self, kind: TransportErrorKind, ticket: Ticket) -> Option<PauseReason> {
        let reason = match kind {
            TransportErrorKind::Unauthorized => PauseReason::AuthRequired,
            TransportErrorKind::OtherAccount => PauseReason::OtherAccount,
            _ => return None,
        };
        (ticket >= self.resumed).then_some(reason)
    }
}

impl Scheduler {
    /// A scheduler that has not been started; online and visible until it is told otherwise.
    ///
    /// The same seed and the same events make the same actions.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let settings = settings.bounded();
        Self {
            running: false,
            online: true,
            visible: true,
            paused: None,
            pushes: Pushes::new(&settings),
            pulls: Pulls::new(settings.polls()),
            syncs: Syncs::default(),
            cx: Context {
                now: Time::default(),
                settings,
                random: Random::new(seed),
                next_ticket: Ticket(1),
                resumed: Ticket(0),
                actions: VecDeque::new(),
            },
        }
    }

    /// Takes in what has happened. A time before the last one counts as the last one.
    pub fn handle(&mut self, now: Time, event: Event) {
        self.cx.now = self.cx.now.max(now);
        let now = self.cx.now;
        match event {
            Event::Timer => {}
            Event::Enqueued => self.pushes.want(now),
            Event::Poked(scope) => self.pulls.want(&scope, Want::firm(now), now),
            Event::Activated(scope) => self.pulls.activate(&scope, now, &self.cx.settings),
            Event::Deactivated(scope) => self.pulls.deactivate(&scope),
            Event::Visible(visible) => self.on_visible(visible),
            Event::Online(online) => self.on_online(online),
            Event::Started => self.on_started(),
            Event::Stopped => self.on_stopped(),
            Event::Resumed => self.on_resumed(),
            Event::SyncNow { id, scopes } => self.on_sync_now(id, scopes),
            Event::PushEnded { ticket, end } => {
                let ended = self
                    .pushes
                    .ended(ticket, end, &mut self.cx, &mut self.pulls);
                if let Some(ended) = ended {
                    let released = self.syncs.round_ended(ticket, ended.flush, &self.cx);
                    self.pull_after_flush(released);
                    self.pause(ended.pause);
                }
            }
            Event::PullEnded { ticket, scope, end } => self.on_pull_ended(ticket, &scope, end),
            Event::PurgeEnded { scope, purged } => {
                if self.pulls.purge_ended(&scope, purged, now) {
                    self.pushes.purge_ended(&scope, purged, now);
                    if purged {
                        self.syncs.pulled(&scope, None, SyncEnd::Revoked);
                    }
                }
            }
        }
        self.advance();
    }

    /// The next thing to do; none when there is nothing more. To be called until then, after each event.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.cx.actions.pop_front()
    }

    /// When [`Event::Timer`] is to be fed; none when only another event can change anything.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        if self.hindrance().is_some() {
            return None;
        }
        let push = self.pushes.next(self.cx.now);
        let pull = self.pulls.next(&self.cx.settings);
        [push, pull, self.syncs.next()].into_iter().flatten().min()
    }

    /// Where things stand.
    #[must_use]
    pub fn state(&self) -> State {
        let now = self.cx.now;
        let attempts = self.hindrance().is_none();
        State {
            running: self.running,
            online: self.online,
            visible: self.visible,
            paused: self.paused,
            pushing: self.pushes.in_flight(),
            pulling: self.pulls.pulling(),
            active: self.pulls.active(),
            held: self.pushes.held(now),
            next_push: self.pushes.next(now).filter(|_| attempts),
            next_pull: self.pulls.next(&self.cx.settings).filter(|_| attempts),
            failed_pushes: self.pushes.failures(),
            idle: self.pushes.is_idle(now) && self.pulls.is_idle() && self.syncs.is_idle(),
        }
    }

    /// Why nothing is attempted; none when it is.
    fn hindrance(&self) -> Option<NoAttempt> {
        if !self.running {
            Some(NoAttempt::NotLeading)
        } else if let Some(reason) = self.paused {
            Some(NoAttempt::Paused(reason))
        } else if !self.online {
            Some(NoAttempt::Offline)
        } else {
            None
        }
    }

    /// Begins all that is due.
    fn advance(&mut self) {
        if self.hindrance().is_none() {
            self.pushes.begin(&mut self.cx);
            let now = self.cx.now;
            let flush_at = if self.pushes.in_flight() {
                Some(now)
            } else {
                self.pushes.next(now)
            };
            let halted = flush_at.is_none_or(|at| at > now);
            if halted && self.pushes.has_settled() {
                self.pull_settled();
            }
            let released = self.syncs.overdue(flush_at, &self.cx);
            self.pull_after_flush(released);
            self.pulls.begin(&mut self.cx);
        }
        self.syncs.report(&mut self.cx);
    }

    fn on_started(&mut self) {
        if std::mem::replace(&mut self.running, true) || self.hindrance().is_some() {
            return;
        }
        let at = self.cx.now + self.cx.settings.initial_delay;
        self.pushes.want(at);
        self.pulls.want_active(at);
    }

    fn on_stopped(&mut self) {
        if !std::mem::replace(&mut self.running, false) {
            return;
        }
        // Whoever leads next finds out for itself.
        self.paused = None;
        self.pushes.stop(&self.cx.settings, self.cx.now);
        self.pulls.stop();
        self.syncs.abandon(NoAttempt::NotLeading, &mut self.cx);
    }

    fn on_visible(&mut self, visible: bool) {
        let settings = &self.cx.settings;
        let became_visible = visible && !self.visible;
        self.visible = visible;
        self.pulls
            .set_polling(settings.polls() && (visible || settings.poll_hidden));
        if became_visible {
            let now = self.cx.now;
            self.pushes.want(now);
            self.pulls.want_stale(now, settings.staleness());
        }
    }

    fn on_online(&mut self, online: bool) {
        let came_back = online && !self.online;
        let went = !online && self.online;
        self.online = online;
        if went && self.running && self.paused.is_none() {
            self.syncs.abandon(NoAttempt::Offline, &mut self.cx);
        } else if came_back {
            self.begin_anew();
        }
    }

    fn on_resumed(&mut self) {
        if self.paused.take().is_some() {
            self.cx.resumed = self.cx.next_ticket;
            self.pulls.clear_evidence();
            self.begin_anew();
        }
    }

    /// The network is back, or somebody is logged in again: flush, then pull.
    fn begin_anew(&mut self) {
        if self.hindrance().is_some() {
            return;
        }
        let now = self.cx.now;
        let by = now + self.cx.settings.flush_wait;
        self.pushes.forgive();
        self.pushes.want(now);
        self.pulls.forgive_all();
        let scopes = self.pulls.put_off(by);
        if !scopes.is_empty() {
            self.syncs.wait(AfterFlush {
                round: self.cx.next_ticket,
                by,
                scopes,
                sync: None,
            });
        }
    }

    fn on_sync_now(&mut self, id: u64, scopes: Vec<Scope>) {
        let scopes = if scopes.is_empty() {
            self.pulls.active()
        } else {
            let distinct: OrderedSet<_> = scopes.into_iter().collect();
            distinct.into_iter().collect()
        };
        if let Some(why) = self.hindrance() {
            Syncs::decline(id, scopes, why, &mut self.cx);
            return;
        }
        let now = self.cx.now;
        self.pushes.forgive();
        self.pushes.want(now);
        self.syncs.wait(AfterFlush {
            round: self.cx.next_ticket,
            by: now + self.cx.settings.flush_wait,
            scopes,
            sync: Some(id),
        });
    }

    /// The flush has come to a halt: pulls bring what is to be seen of the mutations that it has settled.
    fn pull_settled(&mut self) {
        let now = self.cx.now;
        for scope in self.pushes.take_settled() {
            // What polls an active scope brings the acknowledged mutations of it, too.
            if !self.cx.settings.polls() || !self.pulls.is_active(&scope) {
                self.pulls.want(&scope, Want::firm(now), now);
            }
        }
    }

    /// The pulls that have waited for a flush.
    fn pull_after_flush(&mut self, released: Vec<AfterFlush>) {
        let now = self.cx.now;
        for AfterFlush { scopes, sync, .. } in released {
            for scope in scopes {
                if sync.is_none() {
                    self.pulls.want(&scope, Want::while_active(now), now);
                } else if !self.pulls.want_anew(&scope, now) {
                    let end = SyncEnd::Failed(TransportErrorKind::Unavailable);
                    self.syncs.pulled(&scope, None, end);
                }
            }
        }
    }

    fn on_pull_ended(&mut self, ticket: Ticket, scope: &Scope, end: PullEnd) {
        let Some(landed) = self.pulls.land(scope, ticket) else {
            return;
        };
        let sync_end = match end {
            PullEnd::Drained => {
                self.pulls.drained(landed, &self.cx);
                self.pushes.pull_drained(scope, ticket, &mut self.cx);
                SyncEnd::Synced
            }
            PullEnd::Local => {
                self.pulls.failed(landed, None, &mut self.cx);
                SyncEnd::Local
            }
            PullEnd::Failed {
                kind: kind @ (TransportErrorKind::Unauthorized | TransportErrorKind::OtherAccount),
                ..
            } => {
                self.pulls.put_back(landed, &self.cx);
                let pause = self.cx.pause_reason(kind, ticket);
                self.pause(pause);
                SyncEnd::Failed(kind)
            }
            PullEnd::Failed {
                kind: kind @ TransportErrorKind::Forbidden,
                had_access,
                ..
            } => {
                let needed = self.pushes.waits_for_pull(scope);
                let cx = &mut self.cx;
                match self.pulls.refused(landed, had_access, needed, cx) {
                    Refusal::Unconfirmed(_) => SyncEnd::Failed(kind),
                    Refusal::Confirmed if had_access => {
                        self.pushes.purge(scope);
                        let scope = scope.clone();
                        self.cx.actions.push_back(Action::Purge { scope });
                        SyncEnd::Revoked
                    }
                    Refusal::Confirmed => {
                        self.pushes.never_granted(scope, &mut self.cx);
                        SyncEnd::Failed(kind)
                    }
                }
            }
            PullEnd::Failed {
                kind, retry_after, ..
            } => {
                self.pulls.failed(landed, retry_after, &mut self.cx);
                SyncEnd::Failed(kind)
            }
        };
        self.syncs.pulled(scope, Some(ticket), sync_end);
    }

    fn pause(&mut self, reason: Option<PauseReason>) {
        if let Some(reason) = reason
            && self.paused.is_none()
        {
            self.paused = Some(reason);
            self.cx.actions.push_back(Action::Pause(reason));
            self.syncs.abandon(NoAttempt::Paused(reason), &mut self.cx);
        }
    }
}
