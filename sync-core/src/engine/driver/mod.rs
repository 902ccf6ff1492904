//! The driver: the thin loop that feeds the scheduler and performs its actions.

mod actions;
mod inputs;
mod leading;
mod pull;
mod push;
mod work;

use std::{
    fmt,
    future::poll_fn,
    sync::{Arc, atomic::Ordering},
    task::Poll,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    stream::FuturesUnordered,
};

use self::{
    leading::LEAD_PATIENCE,
    work::{Fenced, Work, is_fenced},
};
use super::{
    DriverState, EngineSettings,
    shared::{Command, Shared},
};
use crate::{
    coordination::{Lease, Notice, Notices, Standing},
    error::StoreError,
    model::Scope,
    ordered::OrderedMap,
    platform::Task,
    policy::{Resolve, Upgrade},
    scheduler::{self, PullEnd, PushEnd, Scheduler, SyncReport, Ticket},
    store::{Fence, Touched},
    time::Time,
    transport::Transport,
};

/// The part of an engine that pushes and pulls. The app spawns [`Driver::run`] on its own executor.
#[must_use = "nothing is synced until the driver runs"]
pub struct Driver {
    commands: mpsc::UnboundedReceiver<Command>,
    notices: Box<dyn Notices>,
    tasks: FuturesUnordered<Task<Ended>>,
    acquiring: Option<Task<Result<Box<dyn Lease>, StoreError>>>,
    /// When another engine is taken to have the lead, if this one has not got it by then.
    follows_at: Option<Time>,
    lease: Option<Box<dyn Lease>>,
    scheduler: Scheduler,
    work: Work,
    /// How many guards keep a scope active here.
    active: OrderedMap<Scope, usize>,
    /// Until when other engines want a scope.
    announced: OrderedMap<Scope, Time>,
    announce_at: Time,
    /// Whether the app is visible here.
    visible: bool,
    /// Until when it is taken to be visible in another engine.
    seen_until: Option<Time>,
    lead_again_at: Option<Time>,
    /// How the leader stands, as the others were told last.
    said: Standing,
    /// Manual syncs that were asked for before it was known who leads.
    early: Vec<(Vec<Scope>, oneshot::Sender<SyncReport>)>,
    reports: OrderedMap<u64, oneshot::Sender<SyncReport>>,
    next_report: u64,
    idle: Vec<oneshot::Sender<()>>,
    stopping: Option<Vec<oneshot::Sender<()>>>,
}

/// Why [`Driver::run_until_idle`] has returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunEnd {
    /// Everything is done that can be done now.
    Idle,
    /// The time is up; what was in flight goes on with the next call.
    TimeUp,
    /// The engine was shut down, or its last handle is gone, or its database wiped.
    Ended,
}

/// The end of what went on beside the loop.
enum Ended {
    Push(Ticket, Result<PushEnd, Fenced>),
    Pull(Ticket, Scope, Result<Pulled, Fenced>),
    /// Whether the store has done it.
    Purge(Scope, Result<bool, Fenced>),
    Rechecked(Touched),
}

/// What has become of a pull.
struct Pulled {
    end: PullEnd,
    /// Whether there is something in the outbox.
    to_push: bool,
}

/// What has woken the loop.
enum Woken {
    Command(Option<Command>),
    Ended(Ended),
    Notice(Notice),
    Acquired(Result<Box<dyn Lease>, StoreError>),
    Lost,
    Timer,
}

impl Driver {
    pub(super) fn new(
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
        transport: Arc<dyn Transport>,
        settings: EngineSettings,
        upgrade: Arc<dyn Upgrade>,
        resolve: Arc<dyn Resolve>,
        seed: u64,
    ) -> Self {
        let scheduler = Scheduler::new(settings.scheduler.clone(), seed);
        Self {
            commands,
            notices: shared.peers.listen(shared.peer, Arc::clone(&shared.clock)),
            tasks: FuturesUnordered::new(),
            acquiring: None,
            follows_at: None,
            lease: None,
            scheduler,
            active: OrderedMap::new(),
            announced: OrderedMap::new(),
            announce_at: Time::default(),
            visible: true,
            seen_until: None,
            lead_again_at: None,
            said: Standing::default(),
            early: Vec::new(),
            reports: OrderedMap::new(),
            next_report: 1,
            idle: Vec::new(),
            stopping: None,
            work: Work {
                traits: transport.traits(),
                transport,
                settings: Arc::new(settings),
                upgrade,
                resolve,
                fence: Fence::default(),
                stop: Arc::default(),
                shared,
            },
        }
    }

    /// Pushes and pulls until the engine is shut down or its last handle is dropped; then ends after the request
    /// in flight. Dropping the future is safe: what was in flight has an unknown outcome, and is sent again.
    pub fn run(mut self) -> impl Future<Output = ()> {
        // Now, not at the first poll: a sync that is asked for right after spawning is not refused.
        self.set_state(DriverState::Starting);
        async move {
            self.go(None).await;
        }
    }

    /// As [`run`](Self::run), but returns as soon as everything is done that can be done now, or `limit` has
    /// passed: for the background tasks of mobile systems, and for tests. It can be called again.
    ///
    /// *Can be done now* is less than *done*: where another engine leads, or the engine is paused, edits may still be
    /// pending. [`SyncEngine::status`](super::SyncEngine::status) counts them. A program that ends afterwards drops
    /// the driver and closes its store first, so that the lead is given up and not left to run out. Until then
    /// it keeps the lead, and no other engine of the process can have it.
    pub async fn run_until_idle(&mut self, limit: Duration) -> RunEnd {
        self.set_state(DriverState::Starting);
        let until = self.now() + limit;
        let end = self.go(Some(until)).await;
        self.set_state(DriverState::NotRunning);
        end
    }

    fn set_state(&self, state: DriverState) {
        self.work
            .shared
            .hub
            .update(|runtime| runtime.driver = state);
    }

    async fn go(&mut self, until: Option<Time>) -> RunEnd {
        self.announce_at = self.now();
        // Of the last edits of the process before this one nobody may have heard.
        let shared = &self.work.shared;
        shared.peers.send(shared.peer, &Notice::Enqueued);
        // Time has passed since the driver last ran, and the lead may be free now.
        self.timer();
        self.follows_at = self.acquiring.as_ref().map(|_| self.now() + LEAD_PATIENCE);
        loop {
            self.take_in();
            self.begin_early_syncs();
            self.act().await;
            self.publish();
            if self.stopping.is_some() && self.tasks.is_empty() {
                self.end().await;
                return RunEnd::Ended;
            }
            if self.is_idle() {
                for idle in self.idle.drain(..) {
                    // An error only says that the app does not wait any more.
                    let _ = idle.send(());
                }
                if until.is_some() {
                    return RunEnd::Idle;
                }
            }
            if until.is_some_and(|until| self.now() >= until) {
                return RunEnd::TimeUp;
            }
            let woken = self.wait(until).await;
            self.handle(woken).await;
        }
    }

    fn now(&self) -> Time {
        self.work.shared.now()
    }

    fn feed(&mut self, event: scheduler::Event) {
        let now = self.now();
        self.scheduler.handle(now, event);
    }

    /// Whether nothing is left to be done now: here, or where another engine leads, by this one.
    fn is_idle(&self) -> bool {
        let at_rest = if self.leads() {
            let state = self.scheduler.state();
            state.idle || !state.online || state.paused.is_some()
        } else {
            self.follows()
        };
        at_rest && self.tasks.is_empty() && self.stopping.is_none()
    }

    async fn wait(&mut self, until: Option<Time>) -> Woken {
        let deadline = [
            self.scheduler.next_deadline(),
            (!self.active.is_empty() && !self.leads()).then_some(self.announce_at),
            self.announced.values().min().copied(),
            self.seen_until,
            self.lead_again_at,
            self.follows_at.filter(|at| *at > self.now()),
            until,
        ]
        .into_iter()
        .flatten()
        .min();
        let clock = Arc::clone(&self.work.shared.clock);
        let Self {
            commands,
            notices,
            tasks,
            acquiring,
            lease,
            stopping,
            ..
        } = self;
        let mut timer = deadline.map(|deadline| clock.sleep_until(deadline));
        let mut notice = notices.next();
        let mut lost = lease.as_mut().map(|lease| lease.lost());
        poll_fn(|cx| {
            if stopping.is_none()
                && let Poll::Ready(command) = commands.poll_next_unpin(cx)
            {
                return Poll::Ready(Woken::Command(command));
            }
            if let Poll::Ready(Some(ended)) = tasks.poll_next_unpin(cx) {
                return Poll::Ready(Woken::Ended(ended));
            }
            if let Some(lost) = &mut lost
                && lost.poll_unpin(cx).is_ready()
            {
                return Poll::Ready(Woken::Lost);
            }
            if let Some(acquire) = acquiring
                && let Poll::Ready(acquired) = acquire.poll_unpin(cx)
            {
                return Poll::Ready(Woken::Acquired(acquired));
            }
            if let Poll::Ready(notice) = notice.poll_unpin(cx) {
                return Poll::Ready(Woken::Notice(notice));
            }
            if let Some(timer) = &mut timer
                && timer.poll_unpin(cx).is_ready()
            {
                return Poll::Ready(Woken::Timer);
            }
            Poll::Pending
        })
        .await
    }

    async fn handle(&mut self, woken: Woken) {
        match woken {
            Woken::Command(command) => self.command(command),
            Woken::Ended(ended) => self.ended(ended).await,
            Woken::Notice(notice) => self.notice(notice),
            Woken::Acquired(acquired) => {
                self.acquiring = None;
                self.follows_at = None;
                self.lead(acquired).await;
            }
            Woken::Lost => self.step_down().await,
            Woken::Timer => self.timer(),
        }
    }

    async fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Push(ticket, Ok(end)) => self.feed(scheduler::Event::PushEnded { ticket, end }),
            Ended::Pull(ticket, scope, Ok(Pulled { end, to_push })) => {
                self.feed(scheduler::Event::PullEnded { ticket, scope, end });
                if to_push {
                    self.feed(scheduler::Event::Enqueued);
                }
            }
            Ended::Purge(scope, Ok(purged)) => {
                self.feed(scheduler::Event::PurgeEnded { scope, purged });
            }
            Ended::Push(_, Err(Fenced))
            | Ended::Pull(_, _, Err(Fenced))
            | Ended::Purge(_, Err(Fenced)) => self.step_down().await,
            Ended::Rechecked(touched) => {
                let shared = &self.work.shared;
                if touched.is_empty() {
                    shared.hub.all_touched();
                    shared.peers.send(shared.peer, &Notice::Changed);
                } else {
                    shared.touched(&touched);
                    shared.peers.send(shared.peer, &Notice::Enqueued);
                }
                if shared.wiped.load(Ordering::Relaxed) {
                    self.stop(None);
                }
                self.feed(scheduler::Event::Enqueued);
            }
        }
    }

    fn publish(&mut self) {
        let state = self.scheduler.state();
        let (leads, follows) = (self.leads(), self.follows());
        let paused = match leads {
            true => state.paused,
            false => self.said.paused.filter(|_| follows),
        };
        let driver = match paused {
            Some(reason) => DriverState::Paused(reason),
            None if leads => DriverState::Leading,
            None if follows => DriverState::Following,
            None => DriverState::Starting,
        };
        let mut last_error = None;
        self.work.shared.hub.update(|runtime| {
            if leads {
                last_error.clone_from(&runtime.last_error);
            }
            runtime.driver = driver;
            runtime.pushing = state.pushing;
            runtime
                .progress
                .retain(|scope, _| state.pulling.contains(scope));
            runtime.pulling = state.pulling;
        });
        let standing = Standing { paused, last_error };
        if leads && self.said != standing {
            let shared = &self.work.shared;
            shared
                .peers
                .send(shared.peer, &Notice::Leads(standing.clone()));
            self.said = standing;
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.set_state(DriverState::NotRunning);
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("account", &self.work.shared.account)
            .field("leads", &self.leads())
            .finish_non_exhaustive()
    }
}
