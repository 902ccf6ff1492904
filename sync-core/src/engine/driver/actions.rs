//! Performing what the scheduler wants.

use futures::FutureExt;

use super::{super::Event, Driver, Ended, is_fenced};
use crate::{scheduler::Action, store::Settlement, transport::Verdict};

impl Driver {
    /// Performs what the scheduler wants, in its order.
    pub(super) async fn act(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        self.lead_if_wanted();
        while let Some(action) = self.scheduler.poll_action() {
            match action {
                Action::Push(plan) => {
                    let ticket = plan.ticket;
                    let work = self.work.clone();
                    self.spawn(async move { Ended::Push(ticket, work.push(plan).await) });
                }
                Action::Pull { ticket, scope } => {
                    let work = self.work.clone();
                    self.spawn(async move {
                        let end = work.pull(scope.clone()).await;
                        Ended::Pull(ticket, scope, end)
                    });
                }
                Action::Purge { scope } => {
                    let work = self.work.clone();
                    self.spawn(async move {
                        let end = work.purge(&scope).await;
                        Ended::Purge(scope, end)
                    });
                }
                Action::FailForbidden { ids, .. } => {
                    let forbidden = |id| Settlement::Answer(id, Verdict::Forbidden);
                    self.settle(ids.into_iter().map(forbidden).collect()).await;
                }
                Action::SettleForgotten { ids, .. } => {
                    self.settle(ids.into_iter().map(Settlement::Forgotten).collect())
                        .await;
                }
                Action::SetAside {
                    id,
                    reason,
                    message,
                } => {
                    self.settle(vec![Settlement::SetAside(id, reason, message)])
                        .await;
                }
                Action::Pause(reason) => self.work.shared.tell(Event::Paused { reason }),
                Action::Report(report) => {
                    if let Some(reply) = self.reports.remove(&report.id) {
                        let _ = reply.send(report);
                    }
                }
            }
        }
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn spawn(&self, task: impl Future<Output = Ended> + Send + 'static) {
        self.tasks.push(task.boxed());
    }

    #[cfg(target_arch = "wasm32")]
    pub(super) fn spawn(&self, task: impl Future<Output = Ended> + 'static) {
        self.tasks.push(task.boxed_local());
    }

    pub(super) async fn settle(&mut self, settlements: Vec<Settlement>) {
        match self.work.settle(settlements, None).await {
            Ok(_) => {}
            Err(error) if is_fenced(&error) => self.step_down().await,
            // Nothing is lost: the mutation is still in the outbox, and comes to this again.
            Err(error) => self.work.report_error(&error),
        }
    }
}
