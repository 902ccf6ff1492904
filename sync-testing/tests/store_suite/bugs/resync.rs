//! Bugs of resync and sweep.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{Cursor, MutationId, Op, Payload, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, CursorStore, Fence, ListRequest, MemoryStore,
        Outbox, RecordRow, Records, ScopeRow, SettleReport, SettleRequest, Settlement,
        SweepOutcome, TakeRequest, Taken, Tick, Touched,
    },
    transport::Verdict,
};

use super::asking::key_of;
use crate::bent::{Bug, locked};

async fn is_of_this_generation(store: &MemoryStore, row: &RecordRow) -> Result<bool, StoreError> {
    let (scope, _) = store.scope(row.key.scope.clone()).await?;
    Ok(row.generation >= scope.generation)
}

async fn of_this_generation(
    store: &MemoryStore,
    request: ListRequest,
) -> Result<Vec<RecordRow>, StoreError> {
    let mut rows = Vec::new();
    for row in store.list(request).await? {
        if is_of_this_generation(store, &row).await? {
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Only rows of the scope's generation count.
#[derive(Default)]
pub(super) struct ReadsOneGeneration;

#[async_trait]
impl Bug for ReadsOneGeneration {
    async fn list(
        &self,
        store: &MemoryStore,
        request: ListRequest,
    ) -> Result<Vec<RecordRow>, StoreError> {
        of_this_generation(store, request).await
    }
}

#[derive(Default)]
pub(super) struct KeepsTheCursor(Mutex<BTreeMap<Scope, Option<Cursor>>>);

#[async_trait]
impl Bug for KeepsTheCursor {
    async fn resync(
        &self,
        store: &MemoryStore,
        scope: Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        let (row, _) = store.scope(scope.clone()).await?;
        locked(&self.0).insert(scope.clone(), row.cursor);
        store.resync(scope, new_epoch, fence).await
    }

    async fn scope(
        &self,
        store: &MemoryStore,
        scope: Scope,
    ) -> Result<(ScopeRow, Tick), StoreError> {
        let (mut row, tick) = store.scope(scope).await?;
        let cursors = locked(&self.0);
        let kept = cursors.get(&row.scope).cloned().flatten();
        row.cursor = row.cursor.or(kept);
        Ok((row, tick))
    }
}

/// What comes as it was is not written, and so keeps its generation.
#[derive(Default)]
pub(super) struct SkipsWhatIsThere;

#[async_trait]
impl Bug for SkipsWhatIsThere {
    async fn apply(
        &self,
        store: &MemoryStore,
        mut request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let mut changes = Vec::new();
        for change in &request.page.changes {
            let there = store.get(key_of(&request, change)).await?;
            if there.as_ref().map(|row| &row.payload) != change.op.payload() {
                changes.push(change.clone());
            }
        }
        request.page.changes = changes;
        store.apply(request).await
    }
}

#[derive(Default)]
pub(super) struct SweepsAllAtOnce;

#[async_trait]
impl Bug for SweepsAllAtOnce {
    async fn sweep(
        &self,
        store: &MemoryStore,
        scope: Scope,
        _: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        store.sweep(scope, u32::MAX, fence).await
    }
}

/// Only the handle that began a sweep knows of it.
#[derive(Default)]
pub(super) struct ForgetsTheSweep {
    began: AtomicBool,
    reopened: AtomicBool,
}

#[async_trait]
impl Bug for ForgetsTheSweep {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        let began = self.began.load(Ordering::SeqCst);
        self.reopened.fetch_or(began, Ordering::SeqCst);
        store.clone()
    }

    async fn sweep(
        &self,
        store: &MemoryStore,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        if self.reopened.load(Ordering::SeqCst) {
            let touched = Touched::default();
            return Ok(SweepOutcome {
                done: true,
                touched,
            });
        }
        self.began.store(true, Ordering::SeqCst);
        store.sweep(scope, limit, fence).await
    }
}

#[derive(Default)]
pub(super) struct SweepBeginsAResync;

#[async_trait]
impl Bug for SweepBeginsAResync {
    async fn sweep(
        &self,
        store: &MemoryStore,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        if store.scope(scope.clone()).await?.0.resync.is_none() {
            store.resync(scope.clone(), false, fence).await?;
        }
        store.sweep(scope, limit, fence).await
    }
}

/// What is of an older generation goes with the first sweep, be the pull at its end or not.
#[derive(Default)]
pub(super) struct SweepsTooEarly(AtomicBool);

#[async_trait]
impl Bug for SweepsTooEarly {
    async fn sweep(
        &self,
        store: &MemoryStore,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        self.0.store(true, Ordering::SeqCst);
        store.sweep(scope, limit, fence).await
    }

    async fn list(
        &self,
        store: &MemoryStore,
        request: ListRequest,
    ) -> Result<Vec<RecordRow>, StoreError> {
        match self.0.load(Ordering::SeqCst) {
            true => of_this_generation(store, request).await,
            false => store.list(request).await,
        }
    }
}

/// The stacks with acknowledged entries are not loaded.
#[derive(Default)]
pub(super) struct LeavesThemAcknowledged;

#[async_trait]
impl Bug for LeavesThemAcknowledged {
    async fn resync(
        &self,
        store: &MemoryStore,
        scope: Scope,
        _: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        store.resync(scope, false, fence).await
    }
}

/// The record that an answer carries is written over the entry's own.
#[derive(Default)]
pub(super) struct KeepsTheCarriedOnly(Mutex<BTreeMap<MutationId, Payload>>);

#[async_trait]
impl Bug for KeepsTheCarriedOnly {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        for settlement in &request.settlements {
            if let Settlement::Answer(id, Verdict::Applied { record, .. }) = settlement
                && let Some(payload) = record.as_ref().and_then(|record| record.payload.clone())
            {
                locked(&self.0).insert(*id, payload);
            }
        }
        store.settle(request).await
    }

    async fn take(&self, store: &MemoryStore, request: TakeRequest) -> Result<Taken, StoreError> {
        let mut taken = store.take(request).await?;
        let carried = locked(&self.0);
        for taken in &mut taken.entries {
            if let Some(payload) = carried.get(&taken.entry.mutation.id) {
                taken.entry.mutation.op = Op::Update(payload.clone());
            }
        }
        Ok(taken)
    }
}
