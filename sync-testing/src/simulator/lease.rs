//! A lease for stores in memory: a row that runs out unless it is renewed, as in a database that several processes
//! have open. Whoever is frozen loses it, and does not know.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    channel::oneshot,
    future::{Either, select},
};
use sync_core::{
    coordination::{Leadership, Lease, Rival, Term},
    error::StoreError,
    time::{Clock, Timestamp},
};

use super::executor::lock;

/// How long it lasts.
const TERM: Duration = Duration::from_secs(6);
/// How often who waits for it looks whether it has run out.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// The lease of one database. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowLease(Arc<Mutex<Row>>);

#[derive(Debug, Default)]
struct Row {
    holder: Option<Holder>,
    /// Who has ever held it.
    holders: u64,
    /// Whether whoever is dropped now has no time to give it up.
    killing: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Holder {
    id: u64,
    until: Timestamp,
    beat: u64,
}

impl RowLease {
    /// Takes it where nobody holds it, or whoever does has let it run out; else the beat of the one who holds it.
    fn attempt(&self, now: Timestamp, stalled: Option<u64>) -> Result<Held, u64> {
        let mut row = lock(&self.0);
        if let Some(Holder { until, beat, .. }) = &row.holder
            && *until > now
            && stalled != Some(*beat)
        {
            return Err(*beat);
        }
        row.holders += 1;
        let id = row.holders;
        row.holder = Some(Holder {
            id,
            until: now + TERM,
            beat: id << 32,
        });
        let lease = self.clone();
        Ok(Held { lease, id })
    }

    /// Whether a holder that goes leaves the row as it is, as a process does that is killed.
    pub(super) fn set_killing(&self, killing: bool) {
        lock(&self.0).killing = killing;
    }

    fn wait(&self) -> oneshot::Receiver<()> {
        let (wake, woken) = oneshot::channel();
        lock(&self.0).waiting.push(wake);
        woken
    }
}

#[async_trait]
impl Leadership for RowLease {
    async fn acquire(&self, clock: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        let mut rival = Rival::default();
        loop {
            let began = clock.now();
            let released = self.wait();
            match self.attempt(clock.wall(), rival.stalled(began, TERM)) {
                Ok(held) => {
                    let term = Term::new(clock, TERM, began);
                    return Ok(Box::new(Leading { held, term }));
                }
                Err(beat) => rival.seen(beat, began),
            }
            match select(released, clock.sleep_until(began + LOOK_AGAIN)).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        }
    }
}

/// The row's holder; dropping it gives the lease up, unless its process is killed.
#[derive(Debug)]
struct Held {
    lease: RowLease,
    id: u64,
}

impl Held {
    /// Whether the row still names this holder, who has renewed it if so.
    fn renew(&self, until: Timestamp) -> bool {
        match &mut lock(&self.lease.0).holder {
            Some(holder) if holder.id == self.id => {
                holder.until = until;
                holder.beat += 1;
                true
            }
            _ => false,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut row = lock(&self.lease.0);
        let is_holder = row.holder.as_ref().is_some_and(|by| by.id == self.id);
        if is_holder && !row.killing {
            row.holder = None;
            for waiting in std::mem::take(&mut row.waiting) {
                // An error only says that nobody waits any more.
                let _ = waiting.send(());
            }
        }
    }
}

#[derive(Debug)]
struct Leading {
    held: Held,
    term: Term,
}

#[async_trait]
impl Lease for Leading {
    async fn lost(&mut self) {
        let held = &self.held;
        let renew = |until| {
            let (renewed, renewal) = oneshot::channel();
            // An error only says that nobody waits any more.
            let _ = renewed.send(Ok(held.renew(until)));
            renewal
        };
        let _ = self.term.lost(renew).await;
    }

    async fn release(self: Box<Self>) {}
}
