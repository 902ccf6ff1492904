//! Leadership by a lease in the database, where the browser has no Web Locks.

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
use send_wrapper::SendWrapper;
use serde::{Deserialize, Serialize};
use sync_core::{
    coordination::{Leadership, Lease},
    error::{StoreError, StoreErrorKind},
    time::{Clock, Time, Timestamp},
};

use crate::{
    connection::{Connection, Over},
    error::Attempt,
    schema::{META, row},
    store::{Shared, run},
    transaction::{Mode, Tx},
    values,
};

/// The lease as it is stored.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Row {
    holder: Option<String>,
    expires: i64,
    /// Changes whenever the lease is taken or renewed.
    beat: u64,
}

async fn stored(tx: &Tx) -> Attempt<Row> {
    let text = tx.get(META, row::LEASE.into())?.await?;
    Ok(values::decoded("the lease", &text)?.unwrap_or_default())
}

fn put(tx: &Tx, lease: &Row) -> Attempt<()> {
    let text = values::encoded("the lease", lease)?;
    tx.put(META, &text.into(), Some(&row::LEASE.into()))
}

/// What an attempt to take the lease found.
enum Attempted {
    Ours,
    Theirs { beat: u64 },
}

/// The lease of one database, as one engine sees it.
#[derive(Clone)]
struct Access {
    connection: Arc<SendWrapper<Connection>>,
    holder: Arc<str>,
}

impl Access {
    async fn write<T: 'static>(
        &self,
        call: impl AsyncFn(&Tx) -> Attempt<T> + 'static,
    ) -> Result<T, StoreError> {
        let (over, mode) = (Over::Stores(&[META]), Mode::Relaxed);
        run(&self.connection, "the lease of the lead", over, mode, call).await
    }

    /// Takes the lease if it is free, has run out by the wall clock, or still shows the beat that has `stalled`.
    async fn take(
        &self,
        now: Timestamp,
        term: Duration,
        stalled: Option<u64>,
    ) -> Result<Attempted, StoreError> {
        let holder = Arc::clone(&self.holder);
        self.write(async move |tx| {
            let mut lease = stored(tx).await?;
            let is_free = lease.holder.is_none()
                || lease.expires <= now.as_millis()
                || stalled == Some(lease.beat);
            if !is_free {
                return Ok(Attempted::Theirs { beat: lease.beat });
            }
            lease.holder = Some(holder.to_string());
            lease.expires = later(now, term);
            lease.beat += 1;
            put(tx, &lease)?;
            Ok(Attempted::Ours)
        })
        .await
    }

    /// Renews the lease; false when somebody else has it now.
    async fn renew(&self, now: Timestamp, term: Duration) -> Result<bool, StoreError> {
        let holder = Arc::clone(&self.holder);
        self.write(async move |tx| {
            let mut lease = stored(tx).await?;
            if lease.holder.as_deref() != Some(&*holder) {
                return Ok(false);
            }
            lease.expires = later(now, term);
            lease.beat += 1;
            put(tx, &lease)?;
            Ok(true)
        })
        .await
    }

    /// Gives the lease up, if it is still held.
    async fn release(&self) -> Result<(), StoreError> {
        let holder = Arc::clone(&self.holder);
        self.write(async move |tx| {
            let mut lease = stored(tx).await?;
            if lease.holder.as_deref() == Some(&*holder) {
                lease.holder = None;
                put(tx, &lease)?;
            }
            Ok(())
        })
        .await
    }
}

fn later(now: Timestamp, by: Duration) -> i64 {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    now.as_millis().saturating_add(by)
}

/// Competes for the lease of a database.
pub(crate) struct DatabaseLeadership {
    connection: Arc<SendWrapper<Connection>>,
    term: Duration,
    interval: Duration,
}

impl DatabaseLeadership {
    pub(crate) fn new(shared: &Shared) -> Self {
        Self {
            connection: Arc::clone(&shared.connection),
            term: shared.lease,
            interval: shared.notice_interval,
        }
    }
}

impl fmt::Debug for DatabaseLeadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseLeadership")
            .field("term", &self.term)
            .finish_non_exhaustive()
    }
}

/// What names an engine among all those on its database.
fn new_holder() -> Arc<str> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{:016x}-{n}", js_sys::Math::random().to_bits()).into()
}

#[async_trait(?Send)]
impl Leadership for DatabaseLeadership {
    async fn acquire(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        let access = Access {
            connection: Arc::clone(&self.connection),
            holder: new_holder(),
        };
        let mut rival = Rival::default();
        // Armed before the first attempt: a lease that is taken when nobody waits any more is given up.
        let mut held = Held {
            access,
            is_over: false,
        };
        loop {
            let began = clock.now();
            let stalled = rival.stalled(began, self.term);
            match held.access.take(clock.wall(), self.term, stalled).await {
                Ok(Attempted::Ours) => {
                    return Ok(Box::new(DatabaseLease {
                        held,
                        clock,
                        term: self.term,
                        renew_at: began + self.term / 3,
                        ends_at: began + self.term,
                        renewing: None,
                    }));
                }
                Ok(Attempted::Theirs { beat }) => rival.seen(beat, began),
                Err(error) if *error.kind() == StoreErrorKind::Busy => {}
                Err(error) => {
                    held.is_over = true;
                    return Err(error);
                }
            }
            clock.sleep_until(began + self.interval).await;
        }
    }
}

/// What is known about the engine that holds the lease.
///
/// The wall clock says when a lease has run out, but it may have been set back since: a beat that stands still for
/// a whole term, by the clock that cannot be set, says it too.
#[derive(Default)]
struct Rival {
    seen: Option<(u64, Time)>,
}

impl Rival {
    fn seen(&mut self, beat: u64, now: Time) {
        if self.seen.is_none_or(|(seen, _)| seen != beat) {
            self.seen = Some((beat, now));
        }
    }

    fn stalled(&self, now: Time, term: Duration) -> Option<u64> {
        let (beat, since) = self.seen?;
        (now.since(since) >= term).then_some(beat)
    }
}

/// The lease while it is held; dropping it gives it up.
struct Held {
    access: Access,
    is_over: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.is_over {
            let access = self.access.clone();
            wasm_bindgen_futures::spawn_local(async move {
                // Where this cannot be done, the lease runs out.
                let _ = access.release().await;
            });
        }
    }
}

/// The lead of one engine.
struct DatabaseLease {
    held: Held,
    clock: Arc<dyn Clock>,
    term: Duration,
    renew_at: Time,
    ends_at: Time,
    /// A renewal under way, and when it was asked for. It outlives the future of [`Lease::lost`].
    renewing: Option<(Time, oneshot::Receiver<Result<bool, StoreError>>)>,
}

impl fmt::Debug for DatabaseLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseLease")
            .field("holder", &self.held.access.holder)
            .field("ends_at", &self.ends_at)
            .finish_non_exhaustive()
    }
}

#[async_trait(?Send)]
impl Lease for DatabaseLease {
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
                    self.held.is_over = true;
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
        self.held.is_over = true;
        if let Err(error) = self.held.access.release().await {
            tracing::debug!(%error, "the lease is left to run out");
        }
    }
}

impl DatabaseLease {
    fn renew(&self) -> oneshot::Receiver<Result<bool, StoreError>> {
        let (access, now, term) = (self.held.access.clone(), self.clock.wall(), self.term);
        let (answer, answered) = oneshot::channel();
        wasm_bindgen_futures::spawn_local(async move {
            let _ = answer.send(access.renew(now, term).await);
        });
        answered
    }
}
