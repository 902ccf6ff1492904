//! Runs all that goes on in a world, in an order that a seed decides, on time that passes when nothing else can.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::future::BoxFuture;
use sync_core::time::{Clock, Time};

use super::dice::Dice;
use crate::VirtualClock;

/// Whose a task is: all tasks of a process end with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process(pub(crate) u64);

/// What is under way beside any process: requests and answers in the network.
pub(crate) const NETWORK: Process = Process(0);

/// The most polls at one moment: there is never that much to do, so that somebody does the same again and again.
const MOST_POLLS: u32 = 200_000;

/// Clones run the same tasks.
#[derive(Clone)]
pub(crate) struct Executor {
    shared: Arc<Shared>,
    pub(crate) clock: VirtualClock,
}

struct Shared {
    /// Tasks that were spawned and have not been taken over by the loop yet.
    spawned: Mutex<Vec<(Process, BoxFuture<'static, ()>)>>,
    ready: Arc<Mutex<Vec<u64>>>,
    tasks: Mutex<BTreeMap<u64, Task>>,
    /// Processes that have died while a task of theirs was polled.
    dying: Mutex<Vec<Process>>,
    /// Processes that are not polled, and those of their tasks that would be.
    frozen: Mutex<BTreeMap<Process, Vec<u64>>>,
    next: Mutex<u64>,
    /// The polls since time has last passed.
    polls: AtomicU32,
    dice: Dice,
}

struct Task {
    process: Process,
    /// None while it is polled.
    future: Option<BoxFuture<'static, ()>>,
    wake: Arc<WakeTask>,
}

struct WakeTask {
    id: u64,
    queued: AtomicBool,
    ready: Arc<Mutex<Vec<u64>>>,
}

impl Wake for WakeTask {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            lock(&self.ready).push(self.id);
        }
    }
}

/// Whether a future of the world itself is to be polled again.
struct WakeOwn(AtomicBool);

impl Wake for WakeOwn {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Executor {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                spawned: Mutex::default(),
                ready: Arc::default(),
                tasks: Mutex::default(),
                dying: Mutex::default(),
                frozen: Mutex::default(),
                next: Mutex::new(1),
                polls: AtomicU32::new(0),
                dice: Dice::new(seed, 1),
            }),
            clock: VirtualClock::new(),
        }
    }

    pub(crate) fn spawn(&self, process: Process, future: BoxFuture<'static, ()>) {
        lock(&self.shared.spawned).push((process, future));
    }

    /// Ends a process: its tasks are dropped where they stand.
    pub(crate) fn kill(&self, process: Process) {
        lock(&self.shared.dying).push(process);
    }

    /// Polls none of a process's tasks up to this time.
    pub(crate) fn freeze(&self, process: Process, until: Time) {
        lock(&self.shared.frozen).entry(process).or_default();
        let executor = self.clone();
        let thaw = async move {
            executor.clock.sleep_until(until).await;
            executor.thaw(process);
        };
        self.spawn(NETWORK, Box::pin(thaw));
    }

    pub(crate) fn is_frozen(&self, process: Process) -> bool {
        lock(&self.shared.frozen).contains_key(&process)
    }

    fn thaw(&self, process: Process) {
        let held_back = lock(&self.shared.frozen).remove(&process);
        lock(&self.shared.ready).extend(held_back.into_iter().flatten());
    }

    pub(crate) fn thaw_all(&self) {
        let frozen = std::mem::take(&mut *lock(&self.shared.frozen));
        lock(&self.shared.ready).extend(frozen.into_values().flatten());
    }

    /// A fresh name for a process.
    pub(crate) fn process(&self) -> Process {
        Process(self.number())
    }

    fn number(&self) -> u64 {
        let mut next = lock(&self.shared.next);
        *next += 1;
        *next
    }

    /// Whether tasks have kept each other busy without any time passing. Nothing is run any more then.
    pub(crate) fn is_spinning(&self) -> bool {
        self.shared.polls.load(Ordering::Relaxed) > MOST_POLLS
    }

    /// A number below this one, in a stream of the executor's own.
    pub(crate) fn draw(&self, below: usize) -> usize {
        self.shared.dice.below(below)
    }

    /// Lets whatever else is ready go first.
    pub(crate) fn give_way(&self) -> impl Future<Output = ()> + use<> {
        let mut gone_first = false;
        std::future::poll_fn(move |cx| {
            if std::mem::replace(&mut gone_first, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    /// Time passes up to this moment, if it is not that late already.
    fn advance(&self, until: Time) {
        let time = until.since(self.clock.now());
        if !time.is_zero() {
            self.shared.polls.store(0, Ordering::Relaxed);
        }
        self.clock.advance(time);
    }

    /// Runs until nothing is left to be done at this moment.
    pub(crate) fn run_ready(&self) {
        while !self.is_spinning() {
            self.shared.polls.fetch_add(1, Ordering::Relaxed);
            self.bury();
            self.take_over();
            let id = {
                let mut ready = lock(&self.shared.ready);
                if ready.is_empty() {
                    return;
                }
                let at = self.shared.dice.below(ready.len());
                ready.swap_remove(at)
            };
            self.poll(id);
        }
    }

    /// Lets this much time pass, with all that falls due.
    pub(crate) fn run_for(&self, time: Duration) {
        let until = self.clock.now() + time;
        loop {
            self.run_ready();
            match self.clock.next_sleeper() {
                Some(next) if next <= until && !self.is_spinning() => self.advance(next),
                _ => break,
            }
        }
        if !self.is_spinning() {
            self.advance(until);
            self.run_ready();
        }
    }

    /// Polls a future of the world itself to its end, with everything else beside it; none when it has not ended
    /// after this time.
    pub(crate) fn run_until<T>(
        &self,
        limit: Duration,
        mut future: std::pin::Pin<&mut (dyn Future<Output = T> + '_)>,
        stop: impl Fn() -> bool,
    ) -> Option<T> {
        let until = self.clock.now() + limit;
        let own = Arc::new(WakeOwn(AtomicBool::new(false)));
        let waker = Waker::from(Arc::clone(&own));
        loop {
            own.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(value);
            }
            if stop() || self.is_spinning() {
                return None;
            }
            if self.has_ready() || own.0.load(Ordering::Relaxed) {
                self.run_ready();
                continue;
            }
            match self.clock.next_sleeper() {
                Some(next) if next <= until => self.advance(next),
                _ => return None,
            }
        }
    }

    fn has_ready(&self) -> bool {
        !lock(&self.shared.ready).is_empty() || !lock(&self.shared.spawned).is_empty()
    }

    fn take_over(&self) {
        for (process, future) in std::mem::take(&mut *lock(&self.shared.spawned)) {
            let id = self.number();
            let wake = Arc::new(WakeTask {
                id,
                queued: AtomicBool::new(true),
                ready: Arc::clone(&self.shared.ready),
            });
            lock(&self.shared.ready).push(id);
            let future = Some(future);
            let task = Task {
                process,
                future,
                wake,
            };
            lock(&self.shared.tasks).insert(id, task);
        }
    }

    fn poll(&self, id: u64) {
        let Some((mut future, wake)) = lock(&self.shared.tasks).get_mut(&id).and_then(|task| {
            if let Some(held_back) = lock(&self.shared.frozen).get_mut(&task.process) {
                held_back.push(id);
                return None;
            }
            let future = task.future.take()?;
            Some((future, Arc::clone(&task.wake)))
        }) else {
            return;
        };
        wake.queued.store(false, Ordering::Relaxed);
        let waker = Waker::from(wake);
        let ended = future
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready();
        let mut tasks = lock(&self.shared.tasks);
        if ended {
            tasks.remove(&id);
        } else if let Some(task) = tasks.get_mut(&id) {
            task.future = Some(future);
        }
        // What is left of an ended task goes when no lock is held: its drop may spawn or wake.
    }

    /// Drops the tasks of processes that have died.
    fn bury(&self) {
        let dying = std::mem::take(&mut *lock(&self.shared.dying));
        if dying.is_empty() {
            return;
        }
        lock(&self.shared.spawned).retain(|(process, _)| !dying.contains(process));
        lock(&self.shared.frozen).retain(|process, _| !dying.contains(process));
        let mut tasks = lock(&self.shared.tasks);
        let dead: Vec<u64> = tasks
            .iter()
            .filter(|(_, task)| dying.contains(&task.process))
            .map(|(id, _)| *id)
            .collect();
        let dead: Vec<Option<Task>> = dead.iter().map(|id| tasks.remove(id)).collect();
        drop(tasks);
        drop(dead);
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
