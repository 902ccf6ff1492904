//! What the handles and the driver of one engine have in common.

use std::{fmt, sync::Arc};

use futures::channel::{mpsc, oneshot};

use super::hub::Hub;
use crate::{
    coordination::{Notice, PeerId, Peers},
    error::StoreError,
    model::{Account, RecordKey, Scope},
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
    /// An enqueue was abandoned while the store was at it: look again once the store is done with it.
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
    pub(super) store: Arc<dyn Store>,
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

    /// Enqueues edits and tells everyone; also when the caller drops the future on the way.
    pub(super) async fn enqueue(
        &self,
        edits: Vec<Edit>,
        commands: &Commands,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let mut touched = Touched::default();
        for edit in &edits {
            touched.add(&edit.key.scope, &edit.key.entity_type);
        }
        let mut abandoned = Abandoned {
            touched: Some(touched),
            commands,
        };
        let outcome = self
            .store
            .enqueue(EnqueueRequest {
                account: self.account.clone(),
                stamp: self.stamp(),
                edits,
            })
            .await;
        if let Some(touched) = abandoned.touched.take()
            && outcome.is_ok()
        {
            self.touched(&touched);
            self.enqueued(commands);
        }
        outcome
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
            self.hub.emit(Event::Applied { mutations: applied });
        }
        for (mutation_id, reason) in failed {
            self.hub.emit(Event::Failed {
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
            self.hub.emit(Event::Conflict {
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
        let (id, touched) = self.store.retry(key, self.stamp()).await?;
        self.touched(&touched);
        self.enqueued(commands);
        Ok(id.is_some())
    }

    pub(super) async fn discard(&self, key: RecordKey) -> Result<Vec<Entry>, StoreError> {
        let (dropped, touched) = self.store.discard(key).await?;
        self.touched(&touched);
        self.hub.status_changed();
        Ok(dropped)
    }
}

/// Notices that an enqueue was dropped before it was over: the store may still complete it.
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
