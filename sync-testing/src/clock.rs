//! Time that a test owns.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use async_trait::async_trait;
use sync_core::time::{Clock, Time, Timestamp};

/// A clock that moves only when it is told to, or when everything that runs on it waits for it.
///
/// Clones are the same clock.
#[derive(Clone, Debug)]
pub struct VirtualClock {
    state: Arc<Mutex<State>>,
    /// How far this clone's wall clock is off, in milliseconds.
    skew: i64,
}

#[derive(Debug)]
struct State {
    now: Time,
    epoch: i64,
    sleepers: BTreeMap<(Time, u64), Waker>,
    next_sleeper: u64,
}

/// 2026-01-22T00:00:00Z: somewhere in the present, so that ages and ids look like real ones.
const EPOCH: i64 = 1_769_040_000_000;

impl VirtualClock {
    /// A clock that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: Time::default(),
                epoch: EPOCH,
                sleepers: BTreeMap::new(),
                next_sleeper: 0,
            })),
            skew: 0,
        }
    }

    /// The same clock as a device sees it whose wall clock is off by this many milliseconds.
    #[must_use]
    pub fn skewed(&self, millis: i64) -> Self {
        Self {
            state: Arc::clone(&self.state),
            skew: self.skew + millis,
        }
    }

    /// Lets this much time pass, and wakes whoever waited for it.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state();
        state.now = state.now + by;
        let due: Vec<Waker> = state.due();
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Runs a future to its end; whenever it waits for nothing but this clock, the clock moves on to what it waits
    /// for. The future must run on this task alone: what other threads do is not waited for.
    pub async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut last: Option<Arc<Woken>> = None;
        poll_fn(|cx| {
            if let Some(last) = &last
                && !last.woken.load(Ordering::SeqCst)
            {
                let next = self.state().sleepers.keys().next().map(|(time, _)| *time);
                match next {
                    Some(next) => self.advance(next.since(self.now())),
                    None => return Poll::Pending,
                }
            }
            let woken = Arc::new(Woken {
                woken: AtomicBool::new(false),
                outer: cx.waker().clone(),
            });
            let waker = Waker::from(Arc::clone(&woken));
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Poll::Ready(output);
            }
            // Before time passes, the executor has its turn: it may hold something back until its task yields, as
            // tokio does with what has used its budget up.
            last = Some(woken);
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// When the first of those who wait for it wants to be woken.
    #[cfg(feature = "server")]
    pub(crate) fn next_sleeper(&self) -> Option<Time> {
        self.state().sleepers.keys().next().map(|(time, _)| *time)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for VirtualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn due(&mut self) -> Vec<Waker> {
        let later = self
            .sleepers
            .split_off(&(self.now + Duration::from_millis(1), 0));
        std::mem::replace(&mut self.sleepers, later)
            .into_values()
            .collect()
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.state().now
    }

    fn wall(&self) -> Timestamp {
        let state = self.state();
        let passed = i64::try_from(state.now.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(state.epoch.saturating_add(passed).saturating_add(self.skew))
    }

    async fn sleep_until(&self, deadline: Time) {
        let mut registered = Registered {
            clock: self,
            key: None,
        };
        poll_fn(|cx| registered.poll(deadline, cx)).await;
    }
}

/// A sleeper in the clock's list; it leaves the list when it is dropped.
struct Registered<'a> {
    clock: &'a VirtualClock,
    key: Option<(Time, u64)>,
}

impl Registered<'_> {
    fn poll(&mut self, deadline: Time, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.now >= deadline {
            return Poll::Ready(());
        }
        let key = *self.key.get_or_insert_with(|| {
            state.next_sleeper += 1;
            (deadline, state.next_sleeper)
        });
        state.sleepers.insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.state().sleepers.remove(&key);
        }
    }
}

/// Notes that a future was woken while it was polled, and passes it on.
struct Woken {
    woken: AtomicBool,
    outer: Waker,
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        self.outer.wake_by_ref();
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;

    #[test]
    fn time_passes_only_for_those_who_wait() {
        let clock = VirtualClock::new();
        let start = clock.wall();
        block_on(clock.run(async {
            clock.sleep_until(Time::from_millis(3_600_000)).await;
        }));
        assert_eq!(clock.now(), Time::from_millis(3_600_000));
        assert_eq!(clock.wall().since(start), Duration::from_secs(3_600));
    }

    #[tokio::test]
    async fn time_does_not_pass_over_what_the_executor_holds_back() {
        let clock = VirtualClock::new();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        // More than tokio lets a task take in one go.
        (0..1_000).for_each(|n| sender.send(n).unwrap());
        let receive = async {
            for _ in 0..1_000 {
                receiver.recv().await.unwrap();
            }
            clock.now()
        };
        let long = clock.sleep_until(Time::from_millis(1_000));
        let (received_at, ()) = clock.run(futures::future::join(receive, long)).await;
        assert_eq!(received_at, Time::default());
    }

    #[test]
    fn a_dropped_sleeper_does_not_move_the_clock() {
        let clock = VirtualClock::new();
        block_on(clock.run(async {
            let long = clock.sleep_until(Time::from_millis(1_000));
            let short = clock.sleep_until(Time::from_millis(10));
            futures::future::select(long, short).await;
            clock.sleep_until(Time::from_millis(20)).await;
        }));
        assert_eq!(clock.now(), Time::from_millis(20));
    }
}
