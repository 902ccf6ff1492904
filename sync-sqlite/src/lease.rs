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
use sync_core::{
    coordination::{Leadership, Lease, Lost, Renewal, Rival, Term},
    error::{StoreError, StoreErrorKind},
    time::{Clock, Timestamp},
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
                        term: Term::new(clock, term, began),
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
            let until = now + term;
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

/// The lease while it is held; dropping it gives it up.
struct Held {
    shared: Arc<Shared>,
    holder: Arc<str>,
    released: bool,
}

impl Held {
    fn renew(&self, until: Timestamp) -> Renewal {
        let holder = Arc::clone(&self.holder);
        let writer = &self.shared.writer;
        writer.start(move |database| database.renew_lease(&holder, until))
    }
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
    term: Term,
}

impl fmt::Debug for FileLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileLease")
            .field("holder", &self.held.holder)
            .field("ends_at", &self.term.ends_at())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Lease for FileLease {
    async fn lost(&mut self) {
        let held = &self.held;
        let lost = self.term.lost(|until| held.renew(until)).await;
        self.held.released = lost == Lost::Taken;
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
