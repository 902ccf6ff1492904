//! The pulls of one scope.

use crate::{
    scheduler::{backoff::Backoff, revocation::Evidence},
    time::Time,
};

/// The pulls of one scope.
#[derive(Debug, Default)]
pub(super) struct ScopePulls {
    pub(super) active: bool,
    pub(super) flight: Option<Flight>,
    pub(super) want: Option<Want>,
    pub(super) poll_at: Time,
    pub(super) drained_at: Option<Time>,
    pub(super) not_before: Time,
    pub(super) backoff: Backoff,
    pub(super) evidence: Evidence,
    pub(super) purging: bool,
}

/// A pull that is under way.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) began: Time,
    /// What it was begun for; none when it only polls.
    pub(super) cause: Option<Want>,
    /// A trigger that came since.
    pub(super) again: Option<Want>,
}

/// A pull that a trigger asks for. It stays until a pull has succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scheduler) struct Want {
    /// Not before.
    pub(super) at: Time,
    /// Whether it outlives the scope's being active.
    pub(super) firm: bool,
}

impl Want {
    pub(in crate::scheduler) fn firm(at: Time) -> Self {
        Self { at, firm: true }
    }

    pub(in crate::scheduler) fn while_active(at: Time) -> Self {
        Self { at, firm: false }
    }
}

impl ScopePulls {
    /// When it is to be pulled next; none while it is, or when nothing asks for it.
    pub(super) fn due(&self, polling: bool) -> Option<Time> {
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

    pub(super) fn ask(&mut self, want: Want) {
        match &mut self.flight {
            Some(flight) => flight.again = merge(flight.again, Some(want)),
            None => self.want = merge(self.want, Some(want)),
        }
    }

    /// The pull under way is over. A trigger that came meanwhile is due now.
    pub(super) fn land(&mut self) -> Option<Flight> {
        let flight = self.flight.take()?;
        self.want = merge(self.want, flight.again);
        Some(flight)
    }

    /// Puts the want back that a pull has not met.
    pub(super) fn restore(&mut self, flight: Option<Flight>) {
        let cause = flight.and_then(|flight| flight.cause);
        let cause = cause.filter(|want| want.firm || self.active);
        self.want = merge(self.want, cause);
    }

    pub(super) fn matters(&self, now: Time) -> bool {
        self.active
            || self.flight.is_some()
            || self.want.is_some()
            || self.evidence.is_some()
            || self.purging
            || self.not_before > now
            || self.backoff.until().is_some_and(|until| until > now)
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
