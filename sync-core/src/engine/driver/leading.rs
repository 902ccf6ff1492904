//! Gaining the lead, and giving it up.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::FutureExt;

use super::{super::DriverState, Driver, work::is_anothers};
use crate::{
    coordination::Lease,
    error::{StoreError, StoreErrorKind},
    model::Scope,
    ordered::OrderedSet,
    scheduler::{self, Action},
    store::{EntryFilter, EntryKind, Touched},
};

/// How long an engine waits for the lead before it takes another one to have it.
pub(super) const LEAD_PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait before asking for the lead again after the database failed.
const LEAD_AGAIN: Duration = Duration::from_secs(1);

impl Driver {
    pub(super) fn leads(&self) -> bool {
        self.lease.is_some()
    }

    /// Whether another engine is taken to have the lead.
    pub(super) fn follows(&self) -> bool {
        self.follows_at.is_some_and(|at| at <= self.now())
    }

    pub(super) fn lead_if_wanted(&mut self) {
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

    /// Begins to lead, with a token of its own.
    pub(super) async fn lead(&mut self, acquired: Result<Box<dyn Lease>, StoreError>) {
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
                self.confirm_what_was_left().await;
            }
            Err(error) => {
                self.work.own_error(&error);
                if is_anothers(&error) {
                    shared.wiped.store(true, Ordering::Relaxed);
                }
                match error.kind() {
                    // The database is another account's now, or nobody's, or a newer version's of the app: there is
                    // nothing left to do here.
                    StoreErrorKind::OtherAccount { .. }
                    | StoreErrorKind::Invalid
                    | StoreErrorKind::NewerFormat => self.stop(None),
                    _ => self.lead_again_at = Some(self.now() + LEAD_AGAIN),
                }
            }
        }
    }

    /// Pulls the scopes with acknowledged entries, active or not: the pull that would have confirmed them may have
    /// ended with an earlier lead.
    async fn confirm_what_was_left(&mut self) {
        let filter = EntryFilter {
            state: Some(EntryKind::Acknowledged),
            ..EntryFilter::default()
        };
        match self.work.shared.store.entries(filter).await {
            Ok(entries) => {
                let scopes: OrderedSet<Scope> = entries
                    .into_iter()
                    .map(|entry| entry.mutation.key.scope)
                    .collect();
                for scope in scopes {
                    self.feed(scheduler::Event::Poked(scope));
                }
            }
            // They stay acknowledged, and are confirmed when their scope is pulled next.
            Err(error) => self.work.report_error(&error),
        }
    }

    /// Stops leading: what is in flight is forgotten, its outcome is unknown.
    pub(super) async fn step_down(&mut self) {
        let was_busy = !self.tasks.is_empty();
        self.tasks.clear();
        if was_busy {
            // The store may be at a call of theirs, and complete it.
            self.recheck(Touched::default());
        }
        // Before anything is waited for: the future of this may be dropped there, and the driver run again.
        self.feed(scheduler::Event::Stopped);
        if let Some(lease) = self.lease.take() {
            lease.release().await;
        }
    }

    pub(super) async fn end(&mut self) {
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
}
