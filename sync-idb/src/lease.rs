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
    coordination::{Leadership, Lease, Lost, Renewal, Rival, Term},
    error::{StoreError, StoreErrorKind},
    time::{Clock, Timestamp},
};

use crate::{
    connection::{Connection, Over},
    error::Attempt,
    schema::{META, row},
    store::{Call, Shared, run},
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
    fn write<T: 'static>(&self, call: impl AsyncFn(&Tx) -> Attempt<T> + 'static) -> Call<T> {
        let (over, mode) = (Over::Stores(&[META]), Mode::Relaxed);
        run(&self.connection, "the lease of the lead", over, mode, call)
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
            lease.expires = (now + term).as_millis();
            lease.beat += 1;
            put(tx, &lease)?;
            Ok(Attempted::Ours)
        })
        .await
    }

    /// Renews the lease; false when somebody else has it now.
    async fn renew(&self, until: Timestamp) -> Result<bool, StoreError> {
        let holder = Arc::clone(&self.holder);
        self.write(async move |tx| {
            let mut lease = stored(tx).await?;
            if lease.holder.as_deref() != Some(&*holder) {
                return Ok(false);
            }
            lease.expires = until.as_millis();
            lease.beat += 1;
            put(tx, &lease)?;
            Ok(true)
        })
        .await
    }

    /// Renews it, whether or not anybody waits for that.
    fn start_renewal(&self, until: Timestamp) -> Renewal {
        let access = self.clone();
        let (answer, answered) = oneshot::channel();
        wasm_bindgen_futures::spawn_local(async move {
            let _ = answer.send(access.renew(until).await);
        });
        answered
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
        f.debug_struct("DatabaseLeadership").finish_non_exhaustive()
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
                        term: Term::new(clock, self.term, began),
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
    term: Term,
}

impl fmt::Debug for DatabaseLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseLease")
            .field("holder", &self.held.access.holder)
            .field("ends_at", &self.term.ends_at())
            .finish_non_exhaustive()
    }
}

#[async_trait(?Send)]
impl Lease for DatabaseLease {
    async fn lost(&mut self) {
        let access = &self.held.access;
        let lost = self.term.lost(|until| access.start_renewal(until)).await;
        self.held.is_over = lost == Lost::Taken;
    }

    async fn release(mut self: Box<Self>) {
        self.held.is_over = true;
        if let Err(error) = self.held.access.release().await {
            tracing::debug!(%error, "the lease is left to run out");
        }
    }
}
