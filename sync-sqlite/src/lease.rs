//! Leadership by a lease row: one engine at a time, in whatever process.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::channel::oneshot;
use sync_core::{
    coordination::{Leadership, Lease},
    error::{StoreError, StoreErrorKind},
    time::{Clock, Time, Timestamp},
};

use crate::{database::Leased, store::Shared};

/// Competes for the lease row of a database.
#[derive(Debug)]
pub(crate) struct FileLeadership {
    shared: Arc<Shared>,
}

impl FileLeadership {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

#[async_trait]
impl Leadership for FileLeadership {
    async fn acquire(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let n = COUNTER.fetch_add(1, Ordering::Relaxed);
        let holder: Arc<str> = format!("{}-{n}", self.shared.instance).into();
        let term = self.shared.settings.lease;
        let mut rival = Rival::default();
        loop {
            let began = clock.now();
            let stalled = rival.stalled(began, term);
            match self.attempt(&holder, clock.wall(), term, stalled).await {
                Ok(Attempted::Ours(held)) => {
                    return Ok(Box::new(FileLease {
                        held,
                        clock,
                        term,
                        renew_at: began + term / 3,
                        ends_at: began + term,
                        renewing: None,
                    }));
                }
                Ok(Attempted::Theirs { beat }) => rival.seen(beat, began),
                Err(error) if *error.kind() == StoreErrorKind::Busy => {}
                Err(error) => return Err(error),
            }
            clock
                .sleep_until(began + self.shared.settings.notice_interval)
                .await;
        }
    }
}

enum Attempted {
    Ours(Held),
    Theirs { beat: i64 },
}

impl FileLeadership {
    async fn attempt(
        &self,
        holder: &Arc<str>,
        now: Timestamp,
        term: Duration,
        stalled: Option<i64>,
    ) -> Result<Attempted, StoreError> {
        let held = Held {
            shared: Arc::clone(&self.shared),
            holder: Arc::clone(holder),
            released: true,
        };
        let attempt = self.shared.writer.run(move |database| {
            let mut held = held;
            let until = later(now, term);
            match database.take_lease(&held.holder, now, until, stalled)? {
                Leased::Ours => {
                    // From here on, dropping it gives the lease up: also when nobody waits for the answer any more.
                    held.released = false;
                    Ok(Attempted::Ours(held))
                }
                Leased::Theirs { beat } => Ok(Attempted::Theirs { beat }),
            }
        });
        attempt.await
    }
}

/// What is known about the engine that holds the lease.
///
/// The wall clock says when a lease has run out, but it may have been set back since: a beat that stands still for
/// a whole term, by the clock that cannot be set, says it too.
#[derive(Default)]
struct Rival {
    seen: Option<(i64, Time)>,
}

impl Rival {
    fn seen(&mut self, beat: i64, now: Time) {
        if self.seen.is_none_or(|(seen, _)| seen != beat) {
            self.seen = Some((beat, now));
        }
    }

    fn stalled(&self, now: Time, term: Duration) -> Option<i64> {
        let (beat, since) = self.seen?;
        (now.since(since) >= term).then_some(beat)
    }
}

/// The lease while it is held; dropping it gives it up.
struct Held {
    shared: Arc<Shared>,
    holder: Arc<str>,
    released: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.released {
            let holder = Arc::clone(&self.holder);
            // Where this cannot be done, the lease runs out.
            let _ = self.shared.writer.submit(move |database| {
                let _ = database.release_lease(&holder);
            });
        }
    }
}

/// The lead of one engine.
struct FileLease {
    held: Held,
    clock: Arc<dyn Clock>,
    term: Duration,
    renew_at: Time,
    ends_at: Time,
    /// A renewal under way, and when it was asked for. It outlives the future of [`Lease::lost`].
    renewing: Option<(Time, oneshot::Receiver<Result<bool, StoreError>>)>,
}

impl fmt::Debug for FileLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLease")
            .field("holder", &self.held.holder)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Lease for FileLease {
    async fn lost(&mut self) {
        loop {
            if self.renewing.is_none() {
                self.clock.sleep_until(self.renew_at).await;
                self.renewing = Some((self.clock.now(), self.renew()));
            }
            let Some((asked, renewed)) = &mut self.renewing else {
                continue;
            };
            let (asked, renewed) = (*asked, renewed.await);
            self.renewing = None;
            match renewed {
                Ok(Ok(true)) => {
                    self.renew_at = asked + self.term / 3;
                    self.ends_at = asked + self.term;
                }
                Ok(Ok(false)) => {
                    self.held.released = true;
                    return;
                }
                Ok(Err(_)) | Err(_) => {
                    let now = self.clock.now();
                    if now >= self.ends_at {
                        return;
                    }
                    self.renew_at = (now + self.term / 12).min(self.ends_at);
                }
            }
        }
    }

    async fn release(mut self: Box<Self>) {
        self.held.released = true;
        let holder = Arc::clone(&self.held.holder);
        let released = self
            .held
            .shared
            .writer
            .run(move |database| database.release_lease(&holder));
        if let Err(error) = released.await {
            tracing::debug!(%error, "the lease is left to run out");
        }
    }
}

impl FileLease {
    fn renew(&self) -> oneshot::Receiver<Result<bool, StoreError>> {
        let holder = Arc::clone(&self.held.holder);
        let until = later(self.clock.wall(), self.term);
        self.held
            .shared
            .writer
            .start(move |database| database.renew_lease(&holder, until))
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(now.as_millis().saturating_add(by))
}
