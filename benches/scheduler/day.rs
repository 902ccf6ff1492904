//! An app in use, as the scheduler sees it: ten scopes on screen, edits, pokes, a timer, and the answers to what the
//! scheduler asks for.

use std::collections::VecDeque;

use sync_core::{
    model::{MutationId, RecordKey, Scope},
    ordered::OrderedSet,
    scheduler::{Action, Event, Outcome, PullEnd, PushEnd, Scheduler, Sent, Settings, Ticket},
    time::{Time, Timestamp},
};

const SCOPES: u64 = 10;
/// How long a request takes, in milliseconds.
const ANSWER: u64 = 40;

/// An app in use, and the scheduler that it feeds.
struct Day {
    scheduler: Scheduler,
    scopes: Vec<Scope>,
    now: u64,
    /// Answers on their way, with when they come.
    answers: VecDeque<(u64, Event)>,
    /// How many edits wait to be pushed.
    pending: u64,
    edits: u64,
    random: u64,
    record: Recording,
}

/// What was fed to a scheduler, and when. A new scheduler of the same seed answers it in the same way.
#[derive(Clone, Default)]
pub(crate) struct Recording {
    pub(crate) events: Vec<(Time, Event)>,
    /// How many actions the scheduler has asked for.
    pub(crate) actions: u64,
}

impl Recording {
    /// The first so many events of a day.
    pub(crate) fn of_day(events: usize) -> Self {
        let mut day = Day::new();
        while day.record.events.len() < events {
            day.go_on();
        }
        day.record
    }

    /// Feeds it to a new scheduler as its driver does: polls all actions after each event, and asks for the deadline.
    pub(crate) fn play(self) {
        let mut scheduler = scheduler();
        let mut actions = 0;
        for (at, event) in self.events {
            scheduler.handle(at, event);
            while let Some(action) = scheduler.poll_action() {
                std::hint::black_box(action);
                actions += 1;
            }
            std::hint::black_box(scheduler.next_deadline());
        }
        assert_eq!(actions, self.actions, "it was not the same day");
    }
}

fn scheduler() -> Scheduler {
    Scheduler::new(Settings::default(), 1)
}

impl Day {
    fn new() -> Self {
        let mut day = Self {
            scheduler: scheduler(),
            scopes: (0..SCOPES)
                .map(|n| Scope::from(format!("baby-{n}")))
                .collect(),
            now: 0,
            answers: VecDeque::new(),
            pending: 0,
            edits: 0,
            random: 1,
            record: Recording::default(),
        };
        day.feed(Event::Started);
        for scope in day.scopes.clone() {
            day.feed(Event::Activated(scope));
        }
        day
    }

    /// What happens next: an answer or the timer that is due, or else something that the user or the server does.
    fn go_on(&mut self) {
        let happens = self.now + 20 + self.draw() % 60;
        let answered = self.answers.front().map(|(at, _)| *at);
        let timer = self.scheduler.next_deadline().map(Time::as_millis);
        let next = [answered, timer].into_iter().flatten().min();
        match next {
            Some(at) if at <= happens => {
                self.now = self.now.max(at);
                let event = match self.answers.pop_front() {
                    Some((due, event)) if due <= at => event,
                    Some(later) => {
                        self.answers.push_front(later);
                        Event::Timer
                    }
                    None => Event::Timer,
                };
                self.feed(event);
            }
            _ => {
                self.now = happens;
                let event = self.something();
                self.feed(event);
            }
        }
    }

    fn something(&mut self) -> Event {
        let which = self.draw() % SCOPES;
        let scope = self.scopes[which as usize].clone();
        match self.draw() % 1_000 {
            0 => Event::Visible(false),
            1..6 => Event::Visible(true),
            6 => Event::Online(false),
            7..12 => Event::Online(true),
            12..16 => Event::SyncNow {
                id: self.edits,
                scopes: Vec::new(),
            },
            16..20 => Event::Deactivated(scope),
            20..30 => Event::Activated(scope),
            30..450 => Event::Poked(scope),
            _ => {
                self.pending += 1;
                Event::Enqueued
            }
        }
    }

    fn feed(&mut self, event: Event) {
        let now = Time::from_millis(self.now);
        self.record.events.push((now, event.clone()));
        self.scheduler.handle(now, event);
        while let Some(action) = self.scheduler.poll_action() {
            self.record.actions += 1;
            let answer = match action {
                Action::Push(plan) => Event::PushEnded {
                    ticket: plan.ticket,
                    end: self.pushed(),
                },
                Action::Pull { ticket, scope } => self.pulled(ticket, scope),
                _ => continue,
            };
            self.answers.push_back((self.now + ANSWER, answer));
        }
    }

    fn pushed(&mut self) -> PushEnd {
        let batch = std::mem::take(&mut self.pending);
        if batch == 0 {
            return PushEnd::Nothing {
                waiting: OrderedSet::new(),
                forgotten: Vec::new(),
            };
        }
        let sent = (0..batch).map(|_| {
            self.edits += 1;
            let scope = self.scopes[(self.edits % SCOPES) as usize].clone();
            let minted = Timestamp::from_millis(self.now.cast_signed());
            Sent {
                id: MutationId::following(None, minted, u128::from(self.edits)),
                key: RecordKey::new(scope.as_str(), "feed_log", "1"),
            }
        });
        let sent: Vec<Sent> = sent.collect();
        PushEnd::Answered {
            outcomes: sent
                .iter()
                .map(|sent| (sent.id, Outcome::Settled))
                .collect(),
            sent,
            waiting: OrderedSet::new(),
            forgotten: Vec::new(),
        }
    }

    fn pulled(&self, ticket: Ticket, scope: Scope) -> Event {
        Event::PullEnded {
            ticket,
            scope,
            end: PullEnd::Drained,
        }
    }

    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
