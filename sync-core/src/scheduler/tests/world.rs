//! A small world around the scheduler: an outbox, a server and a clock that jumps from one event to the next.

use std::collections::{BTreeMap, BTreeSet};

use super::{super::random::Random, *};
use crate::ordered::OrderedSet;

/// Whatever the server does, and the app.
#[derive(Debug)]
pub(super) struct World {
    pub(super) scheduler: Scheduler,
    pub(super) now: u64,
    pub(super) outbox: Vec<Sent>,
    pub(super) server: Server,
    pub(super) active: BTreeSet<Scope>,
    flights: Vec<(u64, Flight)>,
    attempting: bool,
    last_number: u128,
    /// All actions with their times.
    pub(super) log: Vec<(u64, String)>,
    /// The times of requests: of a push that settled nothing, and of a pull that did not drain, by scope.
    pub(super) vain_pushes: Vec<u64>,
    pub(super) vain_pulls: BTreeMap<Scope, Vec<u64>>,
    pub(super) pulls: BTreeMap<Scope, Vec<u64>>,
    pub(super) drained: BTreeMap<Scope, u64>,
    pub(super) set_aside: Vec<(u128, u64)>,
    pub(super) syncs: BTreeSet<u64>,
    /// Timers that led to no action.
    pub(super) idle_timers: u64,
}

#[derive(Debug)]
enum Flight {
    Push(PushPlan),
    Pull(Ticket, Scope),
    Purge(Scope),
}

/// How the server behaves.
#[derive(Debug)]
pub(super) struct Server {
    /// Every request fails in this way.
    pub(super) down: Option<TransportErrorKind>,
    /// A batch with one of these fails in this way.
    pub(super) poison: BTreeMap<u128, TransportErrorKind>,
    /// Every request ends in some random way.
    pub(super) chaos: bool,
    /// How long a request takes, in ms.
    pub(super) latency: u64,
    random: Random,
}

impl Server {
    fn roll(&mut self, sides: u64) -> u64 {
        let highest = Duration::from_millis(sides - 1);
        u64::try_from(self.random.between(Duration::ZERO, highest).as_millis()).unwrap()
    }

    fn any_kind(&mut self) -> TransportErrorKind {
        use TransportErrorKind as Kind;
        let kinds = [
            Kind::Network,
            Kind::Timeout,
            Kind::Unavailable,
            Kind::Unavailable,
            Kind::Foreign,
            Kind::Malformed,
            Kind::Forbidden,
            Kind::CursorExpired,
            Kind::TooLarge,
            Kind::BadRequest,
        ];
        kinds[usize::try_from(self.roll(10)).unwrap()]
    }

    fn any_wait(&mut self) -> Option<Duration> {
        (self.roll(4) == 0).then(|| Duration::from_millis(self.roll(20_000)))
    }

    fn any_outcome(&mut self) -> Option<Outcome> {
        let outcomes = [
            None,
            Some(Outcome::Forbidden),
            Some(Outcome::Doubted),
            Some(Outcome::Retry {
                after: self.any_wait(),
                resync: self.roll(2) == 0,
            }),
        ];
        outcomes[usize::try_from(self.roll(4)).unwrap()]
    }
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            scheduler: Scheduler::new(Settings::default(), seed),
            now: 0,
            outbox: Vec::new(),
            server: Server {
                down: None,
                poison: BTreeMap::new(),
                chaos: false,
                latency: 20,
                random: Random::new(seed ^ 0xfeed),
            },
            active: BTreeSet::new(),
            flights: Vec::new(),
            attempting: false,
            last_number: 0,
            log: Vec::new(),
            vain_pushes: Vec::new(),
            vain_pulls: BTreeMap::new(),
            pulls: BTreeMap::new(),
            drained: BTreeMap::new(),
            set_aside: Vec::new(),
            syncs: BTreeSet::new(),
            idle_timers: 0,
        }
    }

    /// Started, with these mutations pending: each is of a record of its own, in this scope.
    pub(super) fn with_outbox(seed: u64, scopes: &[&str]) -> Self {
        let mut world = Self::new(seed);
        world.feed(Event::Started);
        for scope in scopes {
            world.enqueue(scope);
        }
        world
    }

    pub(super) fn enqueue(&mut self, scope: &str) {
        self.last_number += 1;
        self.outbox.push(sent(self.last_number, scope));
        self.feed(Event::Enqueued);
    }

    pub(super) fn pending(&self) -> Vec<u128> {
        self.outbox.iter().map(|sent| number(sent.id)).collect()
    }

    /// What is in flight is lost, as when another engine takes the lead.
    pub(super) fn stop(&mut self) {
        self.flights.clear();
        self.feed(Event::Stopped);
    }

    pub(super) fn feed(&mut self, event: Event) {
        let timer = event == Event::Timer;
        match &event {
            Event::Activated(scope) => {
                self.active.insert(scope.clone());
            }
            Event::Deactivated(scope) => {
                self.active.remove(scope);
            }
            Event::SyncNow { id, .. } => {
                self.syncs.insert(*id);
            }
            _ => {}
        }
        self.scheduler.handle(Time::from_millis(self.now), event);
        let state = self.scheduler.state();
        self.attempting = state.running && state.online && state.paused.is_none();
        let mut idle = true;
        while let Some(action) = self.scheduler.poll_action() {
            idle = false;
            self.log.push((self.now, show(&action)));
            self.perform(action);
        }
        if timer && idle {
            self.idle_timers += 1;
        }
        let deadline = self.scheduler.next_deadline();
        assert!(
            deadline.is_none_or(|at| at.as_millis() > self.now),
            "a deadline in the past: {deadline:?} at {}",
            self.now
        );
        assert!(self.attempting || deadline.is_none(), "an idle deadline");
    }

    fn perform(&mut self, action: Action) {
        let done = self.now + self.server.latency;
        match action {
            Action::Push(plan) => {
                assert!(self.attempting, "a push while nothing may be attempted");
                let pushing = |(_, flight): &(u64, Flight)| matches!(flight, Flight::Push(_));
                assert!(!self.flights.iter().any(pushing), "two pushes in flight");
                // Taking nothing costs no request.
                let done = if self.take(&plan).is_empty() {
                    self.now
                } else {
                    done
                };
                self.flights.push((done, Flight::Push(plan)));
            }
            Action::Pull { ticket, scope } => {
                assert!(self.attempting, "a pull while nothing may be attempted");
                let pulled = self.flights.iter().filter_map(|(_, flight)| match flight {
                    Flight::Pull(_, scope) => Some(scope),
                    _ => None,
                });
                let pulled: Vec<_> = pulled.collect();
                assert!(!pulled.contains(&&scope), "two pulls of {scope} in flight");
                assert!(pulled.len() < 4, "too many pulls in flight");
                self.pulls.entry(scope.clone()).or_default().push(self.now);
                self.flights.push((done, Flight::Pull(ticket, scope)));
            }
            Action::Purge { scope } => self.flights.push((self.now, Flight::Purge(scope))),
            Action::FailForbidden { ids, .. } | Action::SettleForgotten { ids, .. } => {
                self.outbox.retain(|sent| !ids.contains(&sent.id));
            }
            Action::SetAside { id, .. } => {
                self.set_aside.push((number(id), self.now));
                self.outbox.retain(|sent| sent.id != id);
            }
            Action::Pause(_) => {}
            Action::Report(report) => {
                assert!(self.syncs.remove(&report.id), "a report nobody waits for");
            }
        }
    }

    fn take(&self, plan: &PushPlan) -> Vec<Sent> {
        let pick = &plan.pick;
        let mut passed = OrderedSet::new();
        let fits = |sent: &&Sent| {
            let scope = &sent.key.scope;
            if pick.skip.contains(&sent.id) {
                passed.insert(sent.key.clone());
            }
            pick.only.as_ref().is_none_or(|only| only == scope)
                && !pick.hold.contains(scope)
                && !passed.contains(&sent.key)
        };
        let count = usize::try_from(plan.max_count).unwrap();
        self.outbox
            .iter()
            .filter(fits)
            .take(count)
            .cloned()
            .collect()
    }

    fn settle(&mut self, ids: &[MutationId]) {
        self.outbox.retain(|sent| !ids.contains(&sent.id));
    }

    fn push(&mut self, plan: &PushPlan) -> PushEnd {
        let sent = self.take(plan);
        let poisoned = sent
            .iter()
            .find_map(|sent| self.server.poison.get(&number(sent.id)));
        let refusal = self.server.down.or_else(|| poisoned.copied());
        if sent.is_empty() {
            return nothing();
        }
        if let Some(kind) = refusal {
            self.vain_pushes.push(self.now);
            return refused(kind, &sent);
        }
        if self.server.chaos {
            self.vain_pushes.push(self.now);
            return self.vain_answer(sent);
        }
        self.settle(&sent.iter().map(|sent| sent.id).collect::<Vec<_>>());
        answered(&sent, Outcome::Settled)
    }

    /// An answer that settles nothing.
    fn vain_answer(&mut self, sent: Vec<Sent>) -> PushEnd {
        let server = &mut self.server;
        match server.roll(8) {
            0 => PushEnd::Local,
            1 => PushEnd::Nothing {
                waiting: sent.iter().map(|sent| sent.key.scope.clone()).collect(),
                forgotten: Vec::new(),
            },
            2 => PushEnd::Nothing {
                waiting: OrderedSet::new(),
                forgotten: vec![(sent[0].key.scope.clone(), sent[0].id)],
            },
            3..6 => {
                let outcomes = sent.iter();
                let outcomes = outcomes.filter_map(|sent| Some((sent.id, server.any_outcome()?)));
                let outcomes: Vec<_> = outcomes.collect();
                answered_each(&sent, &outcomes)
            }
            _ => PushEnd::Refused {
                sent,
                kind: server.any_kind(),
                retry_after: server.any_wait(),
            },
        }
    }

    fn pull(&mut self, scope: &Scope) -> PullEnd {
        let had_access = self.drained.contains_key(scope);
        let drains = !self.server.chaos || self.server.roll(4) == 0;
        let kind = match self.server.down {
            None if drains => {
                self.drained.insert(scope.clone(), self.now);
                return PullEnd::Drained;
            }
            None => self.server.any_kind(),
            Some(kind) => kind,
        };
        self.vain_pulls
            .entry(scope.clone())
            .or_default()
            .push(self.now);
        let retry_after = if self.server.chaos {
            self.server.any_wait()
        } else {
            None
        };
        PullEnd::Failed {
            kind,
            retry_after,
            had_access,
        }
    }

    /// Lets time pass up to this moment, with nothing but timers and completions.
    pub(super) fn run_until(&mut self, end: u64) {
        for events in 0.. {
            assert!(events < 100_000, "it spins");
            let landing = self.flights.iter().map(|(at, _)| *at).min();
            let deadline = self.scheduler.next_deadline().map(Time::as_millis);
            let Some(next) = [landing, deadline].into_iter().flatten().min() else {
                break;
            };
            if next > end {
                break;
            }
            self.now = self.now.max(next);
            let Some(index) = self.flights.iter().position(|(at, _)| *at <= self.now) else {
                self.feed(Event::Timer);
                continue;
            };
            let event = match self.flights.remove(index).1 {
                Flight::Push(plan) => Event::PushEnded {
                    ticket: plan.ticket,
                    end: self.push(&plan),
                },
                Flight::Pull(ticket, scope) => Event::PullEnded {
                    ticket,
                    end: self.pull(&scope),
                    scope,
                },
                Flight::Purge(scope) => {
                    let purged = !self.server.chaos || self.server.roll(2) == 0;
                    if purged {
                        self.drained.remove(&scope);
                        self.outbox.retain(|sent| sent.key.scope != scope);
                    }
                    Event::PurgeEnded { scope, purged }
                }
            };
            self.feed(event);
        }
        self.now = self.now.max(end);
    }
}

/// The most of these moments that fall into any one minute.
pub(super) fn most_in_a_minute(moments: &[u64]) -> usize {
    let in_minute = |(index, from): (usize, &u64)| {
        moments[index..]
            .iter()
            .take_while(|at| **at < from + 60_000)
            .count()
    };
    moments.iter().enumerate().map(in_minute).max().unwrap_or(0)
}
