//! Tests of the whole machine: what goes in, and the list of actions that comes out.

mod failures;
mod narrowing;
mod properties;
mod revocation;
mod sync_now;
mod triggers;
mod world;

use std::{collections::BTreeMap, time::Duration};

use uuid::Uuid;

use super::{
    Action, Event, Outcome, PullEnd, PushEnd, PushPlan, Scheduler, Sent, Settings, SyncReport,
    Ticket,
};
use crate::{
    model::{MutationId, RecordKey, Scope},
    time::Time,
    transport::TransportErrorKind,
};

/// A scheduler, the time, and what is in flight.
#[derive(Debug)]
struct Rig {
    scheduler: Scheduler,
    now: u64,
    push: Option<Ticket>,
    pulls: BTreeMap<Scope, Ticket>,
}

impl Rig {
    /// Not started yet.
    fn new() -> Self {
        Self::with(Settings::default())
    }

    fn with(settings: Settings) -> Self {
        Self {
            scheduler: Scheduler::new(settings, 1),
            now: 0,
            push: None,
            pulls: BTreeMap::new(),
        }
    }

    /// Started long ago, with these scopes active; everything was just flushed and drained, at 100 s.
    fn settled(scopes: &[&str]) -> Self {
        Self::settled_with(Settings::default(), scopes)
    }

    fn settled_with(settings: Settings, scopes: &[&str]) -> Self {
        let mut rig = Self::with(settings);
        rig.feed(Event::Started);
        rig.now = 100_000;
        rig.feed(Event::Timer);
        for scope in scopes {
            rig.feed(Event::Activated(Scope::from(*scope)));
        }
        rig.push_nothing();
        while let Some(scope) = rig.pulls.keys().next().cloned() {
            rig.pull_ends(scope.as_str(), PullEnd::Drained);
        }
        assert_eq!((rig.push, rig.pulls.len()), (None, 0));
        rig
    }

    fn feed(&mut self, event: Event) -> Vec<String> {
        self.scheduler.handle(Time::from_millis(self.now), event);
        let mut actions = Vec::new();
        while let Some(action) = self.scheduler.poll_action() {
            match &action {
                Action::Push(plan) => {
                    assert_eq!(self.push.replace(plan.ticket), None, "two pushes in flight");
                }
                Action::Pull { ticket, scope } => {
                    let before = self.pulls.insert(scope.clone(), *ticket);
                    assert_eq!(before, None, "two pulls of {scope} in flight");
                }
                _ => {}
            }
            actions.push(show(&action));
        }
        actions
    }

    /// Feeds an event after this many milliseconds; nothing is due in between.
    fn after(&mut self, millis: u64, event: Event) -> Vec<String> {
        self.now += millis;
        if let Some(deadline) = self.scheduler.next_deadline() {
            assert!(
                deadline.as_millis() >= self.now || event == Event::Timer,
                "a deadline was missed"
            );
        }
        self.feed(event)
    }

    /// Lets this much time pass, with all the timers that are due in it.
    fn pass(&mut self, millis: u64) -> Vec<String> {
        let end = self.now + millis;
        let mut actions = Vec::new();
        while let Some(deadline) = self.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(deadline);
            actions.extend(self.feed(Event::Timer));
        }
        self.now = end;
        actions
    }

    fn deadline(&self) -> Option<u64> {
        self.scheduler.next_deadline().map(Time::as_millis)
    }

    /// How long from now the next deadline is.
    fn wait(&self) -> Option<u64> {
        self.deadline().map(|at| at - self.now)
    }

    fn push_ends(&mut self, end: PushEnd) -> Vec<String> {
        let ticket = self.push.take().expect("a push is in flight");
        self.feed(Event::PushEnded { ticket, end })
    }

    fn push_nothing(&mut self) -> Vec<String> {
        self.push_ends(nothing())
    }

    fn push_fails(&mut self, kind: TransportErrorKind, sent: &[Sent]) -> Vec<String> {
        self.push_ends(refused(kind, sent))
    }

    fn pull_ends(&mut self, scope: &str, end: PullEnd) -> Vec<String> {
        let scope = Scope::from(scope);
        let ticket = self.pulls.remove(&scope).expect("a pull is in flight");
        self.feed(Event::PullEnded { ticket, scope, end })
    }

    fn pull_fails(&mut self, scope: &str, kind: TransportErrorKind) -> Vec<String> {
        self.pull_ends(scope, failed(kind))
    }
}

/// An action in a few words.
fn show(action: &Action) -> String {
    match action {
        Action::Push(PushPlan {
            pick, max_count, ..
        }) => {
            let mut text = String::from("push");
            if let Some(only) = &pick.only {
                text += &format!(" only {only}");
            }
            for scope in &pick.hold {
                text += &format!(" not {scope}");
            }
            for id in &pick.skip {
                text += &format!(" skip {}", number(*id));
            }
            if *max_count != Settings::default().batch_count {
                text += &format!(" max {max_count}");
            }
            text
        }
        Action::Pull { scope, .. } => format!("pull {scope}"),
        Action::Purge { scope } => format!("purge {scope}"),
        Action::FailForbidden { scope, ids } => format!("forbidden {scope}: {}", numbers(ids)),
        Action::SettleForgotten { scope, ids } => format!("forgotten {scope}: {}", numbers(ids)),
        Action::SetAside { id, reason, .. } => format!("set aside {}: {reason:?}", number(*id)),
        Action::Pause(reason) => format!("pause {reason:?}"),
        Action::Report(SyncReport { id, flush, scopes }) => {
            format!("report {id}: {flush:?} {scopes:?}").replace("Scope(\"", "(\"")
        }
    }
}

fn numbers(ids: &[MutationId]) -> String {
    let numbers: Vec<_> = ids.iter().map(|id| number(*id).to_string()).collect();
    numbers.join(" ")
}

fn number(id: MutationId) -> u128 {
    id.as_uuid().as_u128()
}

fn id(number: u128) -> MutationId {
    MutationId::from(Uuid::from_u128(number))
}

/// A mutation of a record of its own.
fn sent(number: u128, scope: &str) -> Sent {
    Sent {
        id: id(number),
        key: RecordKey::new(scope, "t", format!("r{number}").as_str()),
    }
}

fn nothing() -> PushEnd {
    PushEnd::Nothing {
        waiting: Default::default(),
        forgotten: Vec::new(),
    }
}

/// All of these have the same outcome.
fn answered(sent: &[Sent], outcome: Outcome) -> PushEnd {
    let outcomes: Vec<_> = sent.iter().map(|sent| (sent.id, outcome)).collect();
    answered_each(sent, &outcomes)
}

fn answered_each(sent: &[Sent], outcomes: &[(MutationId, Outcome)]) -> PushEnd {
    PushEnd::Answered {
        sent: sent.to_vec(),
        outcomes: outcomes.to_vec(),
        waiting: Default::default(),
        forgotten: Vec::new(),
    }
}

fn refused(kind: TransportErrorKind, sent: &[Sent]) -> PushEnd {
    PushEnd::Refused {
        sent: sent.to_vec(),
        kind,
        retry_after: None,
    }
}

/// A failure of a pull of a scope that had been pulled before.
fn failed(kind: TransportErrorKind) -> PullEnd {
    PullEnd::Failed {
        kind,
        retry_after: None,
        had_access: true,
    }
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn none() -> Vec<String> {
    Vec::new()
}
