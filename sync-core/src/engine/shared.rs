//! What the handles and the driver of one engine have in common.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::channel::{mpsc, oneshot};

use super::hub::Hub;
use crate::{
    coordination::{Notice, PeerId, Peers},
    error::StoreError,
    model::{Account, MutationId, RecordKey, Scope},
    overlay,
    scheduler::SyncReport,
    store::{Conflict, Edit, EnqueueRequest, Enqueued, Entry, SettleReport, Stamp, Store, Touched},
    time::{Clock, Entropy, Time},
};

use super::Event;

/// What a handle asks of the driver.
#[derive(Debug)]
pub(super) enum Command {
    Activate(Scope),
    Deactivate(Scope),
    Enqueued,
    /// A call was dropped while the store was at it: look again at these views (at all, if it names none) once the
    /// store is done with it.
    Recheck(Touched),
    Visible(bool),
    Online(bool),
    Poke(Scope),
    SyncNow(Vec<Scope>, oneshot::Sender<SyncReport>),
    Resume,
    Idle(oneshot::Sender<()>),
    Shutdown(oneshot::Sender<()>),
}

pub(super) type Commands = mpsc::UnboundedSender<Command>;

pub(super) struct Shared {
    /// For the driver, which checks the account by itself, and for edits, which name it.
    pub(super) store: Arc<dyn Store>,
    /// Whether the database is known to have been wiped: what is in it since is not this engine's.
    pub(super) wiped: AtomicBool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) account: Account,
    pub(super) peers: Arc<dyn Peers>,
    pub(super) peer: PeerId,
    pub(super) hub: Hub,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("store", &self.store)
            .field("account", &self.account)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            now: self.clock.wall(),
            random: self.entropy.bits(),
        }
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// The store, while it is this engine's.
    pub(super) fn store(&self) -> Result<&dyn Store, StoreError> {
        if self.wiped.load(Ordering::Relaxed) {
            return Err(overlay::wiped());
        }
        Ok(&*self.store)
    }

    /// Enqueues edits and tells everyone.
    pub(super) async fn enqueue(
        &self,
        edits: Vec<Edit>,
        commands: &Commands,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let mut touched = Touched::default();
        for edit in &edits {
            touched.add(&edit.key.scope, &edit.key.entity_type);
        }
        let request = EnqueueRequest {
            account: self.account.clone(),
            stamp: self.stamp(),
            edits,
        };
        let enqueue = self.store.enqueue(request);
        let outcomes = watched(touched.clone(), commands, enqueue).await?;
        self.touched(&touched);
        self.enqueued(commands);
        Ok(outcomes)
    }

    /// Tells the driver, here or in another process, that there is something to push.
    pub(super) fn enqueued(&self, commands: &Commands) {
        // An error only says that no driver was kept.
        let _ = commands.unbounded_send(Command::Enqueued);
        self.peers.send(self.peer, &Notice::Enqueued);
    }

    /// Tells everyone that views have changed; after the commit.
    pub(super) fn touched(&self, touched: &Touched) {
        self.hub.touched(touched);
        if !touched.is_empty() {
            self.peers.send(self.peer, &Notice::touched(touched));
        }
    }

    /// Tells everyone what has happened; only who leads has such news.
    pub(super) fn tell(&self, event: Event) {
        self.peers.send(self.peer, &Notice::Happened(event.clone()));
        self.hub.emit(event);
    }

    /// Tells everyone what a settlement did.
    pub(super) fn settled(&self, report: SettleReport) {
        let SettleReport {
            applied,
            conflicts,
            failed,
            doubted: _,
            mut touched,
        } = report;
        if !applied.is_empty() {
            self.tell(Event::Applied { mutations: applied });
        }
        for (mutation_id, reason) in failed {
            self.tell(Event::Failed {
                mutation_id,
                reason,
            });
        }
        self.in_conflict(&conflicts, &mut touched);
        self.touched(&touched);
        self.hub.status_changed();
    }

    /// Announces conflicts; their records are touched even where the view is the same.
    pub(super) fn in_conflict(&self, conflicts: &[Conflict], touched: &mut Touched) {
        for conflict in conflicts {
            touched.add(&conflict.key.scope, &conflict.key.entity_type);
            self.tell(Event::Conflict {
                key: conflict.key.clone(),
                mutation_id: conflict.mutation_id,
                resolution: conflict.resolution,
            });
        }
    }

    pub(super) async fn retry(
        &self,
        key: RecordKey,
        commands: &Commands,
    ) -> Result<bool, StoreError> {
        let retry = self.store()?.retry(key.clone(), self.stamp());
        let (id, touched) = watched(touched_by(&key), commands, retry).await?;
        self.touched(&touched);
        self.enqueued(commands);
        Ok(id.is_some())
    }

    pub(super) async fn discard(
        &self,
        key: RecordKey,
        commands: &Commands,
    ) -> Result<Vec<Entry>, StoreError> {
        let discard = self.store()?.discard(key.clone());
        let (dropped, touched) = watched(touched_by(&key), commands, discard).await?;
        self.touched(&touched);
        self.hub.status_changed();
        Ok(dropped)
    }

    pub(super) async fn acknowledge_conflicts(
        &self,
        ids: Vec<MutationId>,
        commands: &Commands,
    ) -> Result<(), StoreError> {
        // Which views it touches is known only afterwards: if it is dropped, all are looked at.
        let acknowledge = self.store()?.acknowledge_conflicts(ids);
        let touched = watched(Touched::default(), commands, acknowledge).await?;
        self.touched(&touched);
        Ok(())
    }
}

fn touched_by(key: &RecordKey) -> Touched {
    let mut touched = Touched::default();
    touched.add(&key.scope, &key.entity_type);
    touched
}

/// Runs a call that changes views. If the caller drops it on the way, the store may still complete it: the driver
/// then looks again once the store is done.
async fn watched<T>(touched: Touched, commands: &Commands, call: impl Future<Output = T>) -> T {
    let mut abandoned = Abandoned {
        touched: Some(touched),
        commands,
    };
    let outcome = call.await;
    abandoned.touched = None;
    outcome
}

/// Notices that a call was dropped before it was over.
struct Abandoned<'a> {
    touched: Option<Touched>,
    commands: &'a Commands,
}

impl Drop for Abandoned<'_> {
    fn drop(&mut self) {
        if let Some(touched) = self.touched.take() {
            let _ = self.commands.unbounded_send(Command::Recheck(touched));
        }
    }
}
