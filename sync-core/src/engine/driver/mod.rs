//! The driver: the thin loop that feeds the scheduler and performs its actions.

mod pull;
mod push;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use futures::{
    FutureExt, StreamExt,
    channel::{mpsc, oneshot},
    stream::FuturesUnordered,
};

use super::{
    DriverState, EngineSettings, Event,
    shared::{Command, Shared},
};
use crate::{
    coordination::{Lease, Notice, Notices},
    error::{StoreError, StoreErrorKind},
    model::{MutationId, Scope},
    platform::Task,
    policy::{Resolve, Upgrade},
    scheduler::{self, Action, PullEnd, PushEnd, Scheduler, SyncReport, Ticket},
    store::{Edit, EnqueueRequest, Fence, SettleRequest, Settlement, Touched},
    time::Time,
    transport::{ServerTraits, Transport, Verdict},
};

/// How often an engine that does not lead repeats which scopes it wants.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);
/// How long the leader keeps a scope active for another engine that has announced it.
const ANNOUNCED_FOR: Duration = Duration::from_secs(30);
/// How long an engine waits for the lead before it takes another one to have it.
const LEAD_PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before asking for the lead again after the database failed.
const LEAD_AGAIN: Duration = Duration::from_secs(1);

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
    active: BTreeMap<Scope, usize>,
    /// Until when other engines want a scope.
    announced: BTreeMap<Scope, Time>,
    announce_at: Time,
    lead_again_at: Option<Time>,
    /// Manual syncs that were asked for before it was known who leads.
    early: Vec<(Vec<Scope>, oneshot::Sender<SyncReport>)>,
    reports: HashMap<u64, oneshot::Sender<SyncReport>>,
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

/// What the futures of pushes and pulls need.
#[derive(Clone)]
struct Work {
    shared: Arc<Shared>,
    transport: Arc<dyn Transport>,
    traits: ServerTraits,
    settings: Arc<EngineSettings>,
    upgrade: Arc<dyn Upgrade>,
    resolve: Arc<dyn Resolve>,
    fence: Fence,
    stop: Arc<AtomicBool>,
}

/// The end of what went on beside the loop.
enum Ended {
    Push(Ticket, Result<PushEnd, Fenced>),
    Pull(Ticket, Scope, Result<Pulled, Fenced>),
    Rechecked(Touched),
}

/// What has become of a pull.
struct Pulled {
    end: PullEnd,
    /// Whether something may have gone back to the outbox.
    requeued: bool,
}

/// Another engine has taken the lead.
struct Fenced;

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
            active: BTreeMap::new(),
            announced: BTreeMap::new(),
            announce_at: Time::default(),
            lead_again_at: None,
            early: Vec::new(),
            reports: HashMap::new(),
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

    fn leads(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether another engine is taken to have the lead.
    fn follows(&self) -> bool {
        self.follows_at.is_some_and(|at| at <= self.now())
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

    /// Handles the commands and notices that wait, so that what was asked before is not overlooked when all seems
    /// done.
    fn take_in(&mut self) {
        while self.stopping.is_none()
            && let Ok(command) = self.commands.try_recv()
        {
            self.command(Some(command));
        }
        while let Some(notice) = self.notices.next().now_or_never() {
            self.notice(notice);
        }
    }

    /// Performs what the scheduler wants, in its order.
    async fn act(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.lead_if_wanted();
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Push(plan) => {
                    let ticket = plan.ticket;
                    let work = self.work.clone();
                    self.spawn(async move { Ended::Push(ticket, work.push(plan).await) });
                }
                Action::Pull { ticket, scope } => {
                    let work = self.work.clone();
                    self.spawn(async move {
                        let end = work.pull(scope.clone()).await;
                        Ended::Pull(ticket, scope, end)
                    });
                }
                Action::Purge { scope } => self.purge(scope).await,
                Action::FailForbidden { ids, .. } => {
                    let forbidden = |id| Settlement::Answer(id, Verdict::Forbidden);
                    self.settle(ids.into_iter().map(forbidden).collect()).await;
                }
                Action::SettleForgotten { ids, .. } => {
                    self.settle(ids.into_iter().map(Settlement::Forgotten).collect())
                        .await;
                }
                Action::SetAside {
                    id,
                    reason,
                    message,
                } => {
                    self.settle(vec![Settlement::SetAside(id, reason, message)])
                        .await;
                }
                Action::Pause(reason) => self.work.shared.hub.emit(Event::Paused { reason }),
                Action::Report(report) => {
                    if let Some(reply) = self.reports.remove(&report.id) {
                        let _ = reply.send(report);
                    }
                }
            }
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    fn spawn(&self, task: impl Future<Output = Ended> + Send + 'static) {
        self.tasks.push(task.boxed());
    }

    #[cfg(target_arch = "wasm32")]
    fn spawn(&self, task: impl Future<Output = Ended> + 'static) {
        self.tasks.push(task.boxed_local());
    }

    fn lead_if_wanted(&mut self) {
        if self.lease.is_none() && self.acquiring.is_none() && self.lead_again_at.is_none() {
            let leadership = self.work.shared.store.leadership();
            let clock = Arc::clone(&self.work.shared.clock);
            let acquire = async move { leadership.acquire(clock).await };
            #[cfg(not(target_arch = "wasm32"))]
            let acquire = acquire.boxed();
            #[cfg(target_arch = "wasm32")]
            let acquire = acquire.boxed_local();
            self.acquiring = Some(acquire);
            self.follows_at = Some(self.now() + LEAD_PATIENCE);
        }
    }

    async fn settle(&mut self, settlements: Vec<Settlement>) {
        match self.work.settle(settlements).await {
            Ok(_) => {}
            Err(error) if is_fenced(&error) => self.step_down().await,
            // Nothing is lost: the mutation is still in the outbox, and comes to this again.
            Err(error) => self.work.report_error(&error),
        }
    }

    async fn purge(&mut self, scope: Scope) {
        let shared = Arc::clone(&self.work.shared);
        let at = shared.clock.wall();
        let purged = match shared.store.purge(scope.clone(), at, self.work.fence).await {
            Ok(purged) => {
                shared.touched(&purged.touched);
                shared.hub.emit(Event::Revoked {
                    scope: scope.clone(),
                    unsynced: purged.revoked,
                });
                true
            }
            Err(error) if is_fenced(&error) => return self.step_down().await,
            Err(error) => {
                self.work.report_error(&error);
                false
            }
        };
        self.feed(scheduler::Event::PurgeEnded { scope, purged });
    }

    async fn wait(&mut self, until: Option<Time>) -> Woken {
        let deadline = [
            self.scheduler.next_deadline(),
            (!self.active.is_empty() && !self.leads()).then_some(self.announce_at),
            self.announced.values().min().copied(),
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

    fn command(&mut self, command: Option<Command>) {
        match command {
            None => self.stop(None),
            Some(Command::Shutdown(reply)) => self.stop(Some(reply)),
            Some(Command::Activate(scope)) => {
                let count = self.active.entry(scope.clone()).or_default();
                *count += 1;
                if *count == 1 && !self.announced.contains_key(&scope) {
                    self.feed(scheduler::Event::Activated(scope));
                }
                self.announce_at = self.now();
            }
            Some(Command::Deactivate(scope)) => {
                if let Some(count) = self.active.get_mut(&scope) {
                    *count -= 1;
                    if *count == 0 {
                        self.active.remove(&scope);
                        if !self.announced.contains_key(&scope) {
                            self.feed(scheduler::Event::Deactivated(scope));
                        }
                    }
                }
            }
            Some(Command::Enqueued) => self.feed(scheduler::Event::Enqueued),
            Some(Command::Recheck(touched)) => {
                let shared = Arc::clone(&self.work.shared);
                self.spawn(async move {
                    // Stores work in order: when an enqueue of nothing is through, so is the abandoned one.
                    let nothing: Vec<Edit> = Vec::new();
                    let request = EnqueueRequest {
                        account: shared.account.clone(),
                        stamp: shared.stamp(),
                        edits: nothing,
                    };
                    let _ = shared.store.enqueue(request).await;
                    Ended::Rechecked(touched)
                });
            }
            Some(Command::Visible(visible)) => {
                self.work.shared.hub.update(|r| r.visible = visible);
                self.feed(scheduler::Event::Visible(visible));
            }
            Some(Command::Online(online)) => {
                self.work.shared.hub.update(|r| r.online = online);
                self.feed(scheduler::Event::Online(online));
            }
            Some(Command::Poke(scope)) => self.feed(scheduler::Event::Poked(scope)),
            Some(Command::SyncNow(scopes, reply)) if self.knows_who_leads() => {
                self.sync_now(scopes, reply);
            }
            Some(Command::SyncNow(scopes, reply)) => self.early.push((scopes, reply)),
            Some(Command::Resume) => self.feed(scheduler::Event::Resumed),
            Some(Command::Idle(reply)) => self.idle.push(reply),
        }
    }

    fn sync_now(&mut self, scopes: Vec<Scope>, reply: oneshot::Sender<SyncReport>) {
        if !self.leads() {
            let peers = &self.work.shared.peers;
            peers.send(self.work.shared.peer, &Notice::SyncWanted(scopes.clone()));
        }
        let id = self.next_report;
        self.next_report += 1;
        self.reports.insert(id, reply);
        self.feed(scheduler::Event::SyncNow { id, scopes });
    }

    /// Whether this engine leads, or another one is taken to, or the lead cannot be had now.
    fn knows_who_leads(&self) -> bool {
        self.leads() || self.follows() || self.lead_again_at.is_some()
    }

    fn begin_early_syncs(&mut self) {
        if self.knows_who_leads() {
            for (scopes, reply) in std::mem::take(&mut self.early) {
                self.sync_now(scopes, reply);
            }
        }
    }

    fn stop(&mut self, reply: Option<oneshot::Sender<()>>) {
        self.work.stop.store(true, Ordering::Relaxed);
        self.stopping.get_or_insert_default().extend(reply);
    }

    async fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Push(ticket, Ok(end)) => self.feed(scheduler::Event::PushEnded { ticket, end }),
            Ended::Pull(ticket, scope, Ok(Pulled { end, requeued })) => {
                self.feed(scheduler::Event::PullEnded { ticket, scope, end });
                if requeued {
                    self.feed(scheduler::Event::Enqueued);
                }
            }
            Ended::Push(_, Err(Fenced)) | Ended::Pull(_, _, Err(Fenced)) => self.step_down().await,
            Ended::Rechecked(touched) => {
                self.work.shared.touched(&touched);
                self.feed(scheduler::Event::Enqueued);
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        let shared = &self.work.shared;
        match notice {
            Notice::Touched(views) => {
                let types = |(scope, types): (Scope, Vec<_>)| (scope, types.into_iter().collect());
                let touched = Touched(views.into_iter().map(types).collect());
                shared.hub.touched(&touched);
            }
            Notice::Changed => {
                shared.hub.all_touched();
                self.feed(scheduler::Event::Enqueued);
            }
            Notice::Enqueued => self.feed(scheduler::Event::Enqueued),
            Notice::Active(scopes) => {
                let until = self.now() + ANNOUNCED_FOR;
                for scope in scopes {
                    let known = self.announced.insert(scope.clone(), until).is_some();
                    if !known && !self.active.contains_key(&scope) {
                        self.feed(scheduler::Event::Activated(scope));
                    }
                }
            }
            Notice::SyncWanted(scopes) => {
                let id = self.next_report;
                self.next_report += 1;
                self.feed(scheduler::Event::SyncNow { id, scopes });
            }
        }
    }

    fn timer(&mut self) {
        let now = self.now();
        if self.lead_again_at.is_some_and(|at| at <= now) {
            self.lead_again_at = None;
        }
        let forgotten: Vec<Scope> = self
            .announced
            .extract_if(.., |_, until| *until <= now)
            .map(|(scope, _)| scope)
            .collect();
        for scope in forgotten {
            if !self.active.contains_key(&scope) {
                self.feed(scheduler::Event::Deactivated(scope));
            }
        }
        if !self.leads() && self.announce_at <= now {
            self.announce_at = now + ANNOUNCE_EVERY;
            if !self.active.is_empty() {
                let scopes = self.active.keys().cloned().collect();
                let shared = &self.work.shared;
                shared.peers.send(shared.peer, &Notice::Active(scopes));
            }
        }
        self.feed(scheduler::Event::Timer);
    }

    /// Begins to lead, with a token of its own.
    async fn lead(&mut self, acquired: Result<Box<dyn Lease>, StoreError>) {
        let shared = Arc::clone(&self.work.shared);
        let led = match acquired {
            Ok(lease) => match shared.store.lead(shared.account.clone()).await {
                Ok(fence) => Ok((lease, fence)),
                Err(error) => {
                    lease.release().await;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        match led {
            Ok((lease, fence)) => {
                self.lease = Some(lease);
                self.work.fence = fence;
                self.feed(scheduler::Event::Started);
            }
            Err(error) => {
                self.work.report_error(&error);
                match error.kind() {
                    // The database is another account's now, or nobody's: there is nothing left to do here.
                    StoreErrorKind::OtherAccount { .. } | StoreErrorKind::Invalid => {
                        self.stop(None);
                    }
                    _ => self.lead_again_at = Some(self.now() + LEAD_AGAIN),
                }
            }
        }
    }

    /// Stops leading: what is in flight is forgotten, its outcome is unknown.
    async fn step_down(&mut self) {
        self.tasks.clear();
        if let Some(lease) = self.lease.take() {
            lease.release().await;
        }
        self.feed(scheduler::Event::Stopped);
    }

    async fn end(&mut self) {
        self.step_down().await;
        while let Some(Action::Report(report)) = self.scheduler.poll_action() {
            if let Some(reply) = self.reports.remove(&report.id) {
                let _ = reply.send(report);
            }
        }
        self.work.shared.hub.update(|runtime| {
            runtime.driver = DriverState::NotRunning;
            runtime.pushing = false;
            runtime.pulling.clear();
            runtime.progress.clear();
        });
        // Whoever still waits for a report or for idleness is told by the dropped sender.
        self.early.clear();
        self.reports.clear();
        self.idle.clear();
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
        for reply in self
            .stopping
            .iter_mut()
            .flat_map(|replies| replies.drain(..))
        {
            let _ = reply.send(());
        }
    }

    fn publish(&self) {
        let state = self.scheduler.state();
        let driver = match (self.leads(), state.paused) {
            (true, Some(reason)) => DriverState::Paused(reason),
            (true, None) => DriverState::Leading,
            (false, _) if self.follows() => DriverState::Following,
            (false, _) => DriverState::Starting,
        };
        self.work.shared.hub.update(|runtime| {
            runtime.driver = driver;
            runtime.pushing = state.pushing;
            runtime
                .progress
                .retain(|scope, _| state.pulling.contains(scope));
            runtime.pulling = state.pulling;
        });
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.set_state(DriverState::NotRunning);
    }
}

impl Work {
    /// Settles, tells everyone, and returns the mutations that are in doubt.
    async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<Vec<(Scope, MutationId)>, StoreError> {
        let report = self
            .shared
            .store
            .settle(SettleRequest {
                fence: self.fence,
                stamp: self.shared.stamp(),
                settlements,
                resolve: Arc::clone(&self.resolve),
                traits: self.traits.clone(),
                max_again: self.settings.max_again,
            })
            .await?;
        let doubted = report.doubted.clone();
        self.shared.settled(report);
        Ok(doubted)
    }

    fn report_error(&self, error: &dyn std::error::Error) {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::warn!(%message, "sync");
        self.shared
            .hub
            .update(|runtime| runtime.last_error = Some(message.clone()));
        self.shared.hub.emit(Event::Error { message });
    }

    fn succeeded(&self) {
        self.shared.hub.update(|runtime| runtime.last_error = None);
    }
}

fn is_fenced(error: &StoreError) -> bool {
    *error.kind() == StoreErrorKind::Fenced
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("account", &self.work.shared.account)
            .field("leads", &self.leads())
            .finish_non_exhaustive()
    }
}
