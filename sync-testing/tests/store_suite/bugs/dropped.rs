//! Bugs of calls that are made in several steps: what is dropped between two of them is half there.

use std::task::Poll;

use async_trait::async_trait;
use futures::{FutureExt, future::poll_fn};
use sync_core::{
    error::StoreError,
    model::{Account, Cursor, MutationId, Op, RecordKey, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflicts, CursorStore, Edit, EnqueueRequest,
        Enqueued, Fence, MemoryStore, Outbox, Purged, SettleReport, SettleRequest, Stamp,
        SweepOutcome, TakeRequest, Taken, Touched,
    },
    time::Timestamp,
};

use crate::bent::{Bug, Called};

/// Waits as for a database, once.
pub(super) async fn wait() {
    let mut waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Puts an edit of a failed record into the outbox.
async fn enqueue_again(
    store: &MemoryStore,
    key: RecordKey,
    op: Op,
    stamp: Stamp,
) -> Result<Option<MutationId>, StoreError> {
    let edit = Edit {
        key,
        op,
        schema: sync_core::model::Schema(1),
        expect: None,
    };
    let request = EnqueueRequest {
        account: Account::from("ann"),
        stamp,
        edits: vec![edit],
    };
    let outcomes = store.enqueue(request).await?;
    Ok(outcomes.into_iter().find_map(|outcome| match outcome {
        Enqueued::Queued(id) => Some(id),
        Enqueued::Cancelled => None,
    }))
}

#[derive(Default)]
pub(super) struct BeginsWhenCalled;

impl Bug for BeginsWhenCalled {
    fn enqueue<'life0, 'life1, 'async_trait>(
        &'life0 self,
        store: &'life1 MemoryStore,
        request: EnqueueRequest,
    ) -> Called<'async_trait, Vec<Enqueued>>
    where
        'life0: 'async_trait,
        'life1: 'async_trait,
        Self: 'async_trait,
    {
        let outcome = store.enqueue(request).now_or_never();
        Box::pin(async { outcome.unwrap_or_else(|| Ok(Vec::new())) })
    }
}

#[derive(Default)]
pub(super) struct EnqueuesInSteps;

#[async_trait]
impl Bug for EnqueuesInSteps {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let mut outcomes = Vec::new();
        for edit in request.edits {
            let one = EnqueueRequest {
                account: request.account.clone(),
                edits: vec![edit],
                ..request
            };
            outcomes.extend(store.enqueue(one).await?);
            wait().await;
        }
        Ok(outcomes)
    }
}

#[derive(Default)]
pub(super) struct TakesInSteps;

#[async_trait]
impl Bug for TakesInSteps {
    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let first = TakeRequest {
            max_count: 1,
            ..request.clone()
        };
        store.take(first).await?;
        wait().await;
        store.take(request).await
    }
}

#[derive(Default)]
pub(super) struct SettlesInSteps;

#[async_trait]
impl Bug for SettlesInSteps {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let mut report = SettleReport::default();
        for settlement in request.settlements.clone() {
            let one = SettleRequest {
                settlements: vec![settlement],
                ..request.clone()
            };
            let settled = store.settle(one).await?;
            report.applied.extend(settled.applied);
            report.conflicts.extend(settled.conflicts);
            report.failed.extend(settled.failed);
            report.touched.merge(settled.touched);
            wait().await;
        }
        Ok(report)
    }
}

#[derive(Default)]
pub(super) struct RetriesInSteps;

#[async_trait]
impl Bug for RetriesInSteps {
    async fn retry(
        &self,
        store: &MemoryStore,
        key: RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError> {
        let (mut dropped, touched) = store.discard(key.clone()).await?;
        let Some(last) = dropped.pop() else {
            return Ok((None, touched));
        };
        wait().await;
        let id = enqueue_again(store, key, last.mutation.op, stamp).await?;
        Ok((id, touched))
    }
}

#[derive(Default)]
pub(super) struct DiscardsInSteps;

#[async_trait]
impl Bug for DiscardsInSteps {
    async fn discard(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<(Vec<sync_core::store::Entry>, Touched), StoreError> {
        let stamp = Stamp {
            now: Timestamp::from_millis(0),
            random: 1,
        };
        let (_, touched) = store.retry(key.clone(), stamp).await?;
        wait().await;
        enqueue_again(store, key, Op::Delete, stamp).await?;
        Ok((Vec::new(), touched))
    }
}

#[derive(Default)]
pub(super) struct BindsInSteps;

#[async_trait]
impl Bug for BindsInSteps {
    async fn bind(&self, store: &MemoryStore, account: Account) -> Result<(), StoreError> {
        let nobody = Account::from("");
        if store.bind(nobody).await.is_ok() {
            wait().await;
            store.wipe(true).await?;
        }
        store.bind(account).await
    }
}

#[derive(Default)]
pub(super) struct AppliesInSteps;

#[async_trait]
impl Bug for AppliesInSteps {
    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let half_way = Cursor::from("half-way");
        let (mut first, mut rest) = (request.clone(), request);
        rest.page.changes = first.page.changes.split_off(first.page.changes.len() / 2);
        first.page.next = half_way.clone();
        first.page.has_more = true;
        rest.from = Some(half_way);
        let outcome = store.apply(first).await?;
        if !matches!(outcome, ApplyOutcome::Applied(_)) {
            return Ok(outcome);
        }
        wait().await;
        store.apply(rest).await
    }
}

#[derive(Default)]
pub(super) struct ResyncsInSteps;

#[async_trait]
impl Bug for ResyncsInSteps {
    async fn resync(
        &self,
        store: &MemoryStore,
        scope: Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        store.resync(scope.clone(), false, fence).await?;
        wait().await;
        store.resync(scope, new_epoch, fence).await
    }
}

#[derive(Default)]
pub(super) struct SweepsInSteps;

#[async_trait]
impl Bug for SweepsInSteps {
    async fn sweep(
        &self,
        store: &MemoryStore,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        let mut swept = SweepOutcome::default();
        for _ in 0..limit {
            let step = store.sweep(scope.clone(), 1, fence).await?;
            swept.done = step.done;
            swept.touched.merge(step.touched);
            wait().await;
        }
        Ok(swept)
    }
}

#[derive(Default)]
pub(super) struct PurgesInSteps;

#[async_trait]
impl Bug for PurgesInSteps {
    async fn purge(
        &self,
        store: &MemoryStore,
        scope: Scope,
        at: Timestamp,
        fence: Fence,
    ) -> Result<Purged, StoreError> {
        store.resync(scope.clone(), false, fence).await?;
        wait().await;
        store.purge(scope, at, fence).await
    }
}

#[derive(Default)]
pub(super) struct WipesInSteps;

#[async_trait]
impl Bug for WipesInSteps {
    async fn wipe(&self, store: &MemoryStore, force: bool) -> Result<Touched, StoreError> {
        if force {
            let conflicts = store.conflicts(None).await?;
            let ids = conflicts.iter().map(|conflict| conflict.mutation_id);
            store.acknowledge_conflicts(ids.collect()).await?;
            wait().await;
        }
        store.wipe(force).await
    }
}

#[derive(Default)]
pub(super) struct AcknowledgesConflictsInSteps;

#[async_trait]
impl Bug for AcknowledgesConflictsInSteps {
    async fn acknowledge_conflicts(
        &self,
        store: &MemoryStore,
        ids: Vec<MutationId>,
    ) -> Result<Touched, StoreError> {
        let mut touched = Touched::default();
        for id in ids {
            touched.merge(store.acknowledge_conflicts(vec![id]).await?);
            wait().await;
        }
        Ok(touched)
    }
}

#[derive(Default)]
pub(super) struct AcknowledgesRevokedInSteps;

#[async_trait]
impl Bug for AcknowledgesRevokedInSteps {
    async fn acknowledge_revoked(
        &self,
        store: &MemoryStore,
        ids: Vec<MutationId>,
    ) -> Result<(), StoreError> {
        for id in ids {
            store.acknowledge_revoked(vec![id]).await?;
            wait().await;
        }
        Ok(())
    }
}
