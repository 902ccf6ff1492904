//! One pull: page after page, until the server has no more.

use std::sync::atomic::Ordering;

use tracing::Instrument;

use super::{super::Event, Fenced, Pulled, Work, is_fenced};
use crate::{
    error::StoreError,
    model::{Cursor, Scope},
    scheduler::PullEnd,
    store::{Applied, ApplyOutcome, ApplyRequest, ScopeRow, Settlement, Tick},
    transport::{PullRequest, TransportError, TransportErrorKind},
};

/// How often one pull begins anew (an expired cursor, another epoch, a scope that has moved on) before it ends
/// with an error: the backoff then bounds how often the whole is tried.
const RESTARTS: u32 = 3;

/// Why a pull has ended early.
enum Stop {
    Store(StoreError),
    Transport(TransportError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<TransportError> for Stop {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

/// How a pass over the pages has ended.
enum Pass {
    /// All of them are applied.
    Drained,
    /// The scope stands otherwise now; the pull begins anew.
    Again,
    /// The engine is being shut down.
    Interrupted,
}

/// What is learnt on the way, however the pull ends.
#[derive(Default)]
struct Learnt {
    /// Whether the scope had been pulled with success before.
    pulled_before: bool,
    /// Whether there is something in the outbox.
    to_push: bool,
}

impl Work {
    pub(super) async fn pull(self, scope: Scope) -> Result<Pulled, Fenced> {
        let span = tracing::debug_span!("pull", %scope);
        let mut learnt = Learnt::default();
        let end = self
            .pull_to_the_end(&scope, &mut learnt)
            .instrument(span)
            .await;
        let end = match end {
            Ok(end) => end,
            Err(Stop::Store(error)) if is_fenced(&error) => return Err(Fenced),
            Err(Stop::Store(error)) => {
                self.report_error(&error);
                PullEnd::Local
            }
            Err(Stop::Transport(error)) => {
                self.report_error(&error);
                PullEnd::Failed {
                    kind: error.kind(),
                    retry_after: error.retry_after(),
                    had_access: learnt.pulled_before || self.was_accepted(&scope).await,
                }
            }
        };
        Ok(Pulled {
            end,
            to_push: learnt.to_push,
        })
    }

    /// Whether the server has accepted a mutation of this scope that no pull has shown yet.
    async fn was_accepted(&self, scope: &Scope) -> bool {
        let counts = self.shared.store.counts(Some(scope.clone())).await;
        counts.is_ok_and(|counts| counts.acknowledged > 0)
    }

    async fn pull_to_the_end(&self, scope: &Scope, learnt: &mut Learnt) -> Result<PullEnd, Stop> {
        for _ in 0..=RESTARTS {
            let (row, began) = self.shared.store.scope(scope.clone()).await?;
            learnt.pulled_before = row.pulled;
            if row.resync.as_ref().is_some_and(|r| r.sweeping) {
                self.sweep(scope).await?;
                continue;
            }
            match self.pass(row, began, learnt).await? {
                Pass::Drained => {
                    self.judge(scope, began, learnt).await?;
                    // Another engine's notice of an edit may be lost, as when its process dies right after the edit.
                    let counts = self.shared.store.counts(None).await?;
                    learnt.to_push |= counts.pending > 0;
                    self.succeeded();
                    self.shared.tell(Event::Synced {
                        scope: scope.clone(),
                    });
                    self.shared.hub.status_changed();
                    return Ok(PullEnd::Drained);
                }
                Pass::Again => {}
                Pass::Interrupted => return Ok(PullEnd::Local),
            }
        }
        Err(Stop::Transport(TransportError::new(
            TransportErrorKind::Malformed,
            format!("the pull of {scope} had to begin anew too often"),
        )))
    }

    async fn pass(&self, row: ScopeRow, began: Tick, learnt: &mut Learnt) -> Result<Pass, Stop> {
        let scope = row.scope.clone();
        let mut cursor = row.cursor.clone();
        let mut changes = 0;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(Pass::Interrupted);
            }
            let request = PullRequest {
                account: self.shared.account.clone(),
                scope: scope.clone(),
                cursor: cursor.clone(),
                limit: self.settings.page_size,
            };
            let page = match self.transport.pull(request).await {
                Ok(page) => page,
                Err(error) if error.kind() == TransportErrorKind::CursorExpired => {
                    // A scope that is already at its start has nothing to be expired.
                    if cursor.is_none() {
                        return Err(error.into());
                    }
                    self.resync(&scope, false).await?;
                    return Ok(Pass::Again);
                }
                Err(error) => return Err(error.into()),
            };
            if page.has_more && Some(&page.next) == cursor.as_ref() {
                return Err(stuck(&scope, &page.next).into());
            }
            changes += page.changes.len() as u64;
            let (next, has_more) = (page.next.detached(), page.has_more);
            let outcome = self
                .shared
                .store
                .apply(ApplyRequest {
                    fence: self.fence,
                    scope: scope.clone(),
                    generation: row.generation,
                    from: cursor,
                    began,
                    now: self.shared.clock.wall(),
                    traits: self.traits.clone(),
                    page,
                })
                .await?;
            match outcome {
                ApplyOutcome::Applied(applied) => {
                    let sweep = applied.sweep;
                    self.applied(applied);
                    if sweep {
                        self.sweep(&scope).await?;
                    }
                }
                ApplyOutcome::Stale => return Ok(Pass::Again),
                ApplyOutcome::OtherEpoch => {
                    self.resync(&scope, true).await?;
                    learnt.to_push = true;
                    return Ok(Pass::Again);
                }
            }
            if !has_more {
                return Ok(Pass::Drained);
            }
            self.shared.hub.update(|runtime| {
                runtime.progress.insert(scope.clone(), changes);
            });
            cursor = Some(next);
        }
    }

    fn applied(&self, applied: Applied) {
        let Applied {
            confirmed,
            conflicts,
            sweep: _,
            unprojected,
            mut touched,
        } = applied;
        if !confirmed.is_empty() {
            self.shared.tell(Event::Applied {
                mutations: confirmed,
            });
        }
        for key in unprojected {
            self.shared.tell(Event::Unprojected { key });
        }
        self.shared.in_conflict(&conflicts, &mut touched);
        self.shared.touched(&touched);
    }

    async fn resync(&self, scope: &Scope, new_epoch: bool) -> Result<(), StoreError> {
        let touched = self
            .shared
            .store
            .resync(scope.clone(), new_epoch, self.fence)
            .await?;
        tracing::info!(%scope, new_epoch, "resync");
        self.shared.touched(&touched);
        self.shared.tell(Event::Resync {
            scope: scope.clone(),
            new_epoch,
        });
        Ok(())
    }

    async fn sweep(&self, scope: &Scope) -> Result<(), StoreError> {
        loop {
            let outcome = self
                .shared
                .store
                .sweep(scope.clone(), self.settings.sweep_size, self.fence)
                .await?;
            self.shared.touched(&outcome.touched);
            if outcome.done {
                return Ok(());
            }
        }
    }

    /// Where the server does not repeat its verdicts, the pull shows what the refusals before it meant.
    async fn judge(
        &self,
        scope: &Scope,
        began: Tick,
        learnt: &mut Learnt,
    ) -> Result<(), StoreError> {
        if self.traits.idempotent {
            return Ok(());
        }
        self.settle(vec![Settlement::Judge(scope.clone(), began)], None)
            .await?;
        // A doubt that turns out to be a conflict may put the edit again.
        learnt.to_push = true;
        Ok(())
    }
}

fn stuck(scope: &Scope, cursor: &Cursor) -> TransportError {
    TransportError::new(
        TransportErrorKind::Malformed,
        format!("a page of {scope} says that there is more, but does not move on from {cursor}"),
    )
}
