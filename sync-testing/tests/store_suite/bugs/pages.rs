//! Bugs of applying pages.

use std::{collections::BTreeSet, sync::Mutex};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{ChangeOp, MutationId, Payload, RecordKey, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, CursorStore, MemoryStore,
        RecordRow, Records, ScopeRow, Tick,
    },
};

use super::asking::{asks_wrongly, key_of};
use crate::bent::{Bug, locked};

/// The cursor is written through; the records wait in a buffer that a crash loses.
#[derive(Default)]
pub(super) struct CursorFirst(Mutex<Option<MemoryStore>>);

#[async_trait]
impl Bug for CursorFirst {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        locked(&self.0).as_ref().unwrap_or(store).fork()
    }

    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let durable = store.fork();
        let mut cursor_only = request.clone();
        cursor_only.page.changes.clear();
        durable.apply(cursor_only).await?;
        *locked(&self.0) = Some(durable);
        store.apply(request).await
    }
}

#[derive(Default)]
pub(super) struct CallsRepeatedApplied;

#[async_trait]
impl Bug for CallsRepeatedApplied {
    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let row = store.scope(request.scope.clone()).await?.0;
        if row.cursor.as_ref() == Some(&request.page.next) {
            return Ok(ApplyOutcome::Applied(Default::default()));
        }
        store.apply(request).await
    }
}

asks_wrongly! { IgnoresFrom, apply(store, request: ApplyRequest) -> ApplyOutcome {
    request.from = store.scope(request.scope.clone()).await?.0.cursor;
}}

asks_wrongly! { IgnoresGeneration, apply(store, request: ApplyRequest) -> ApplyOutcome {
    request.generation = store.scope(request.scope.clone()).await?.0.generation;
}}

asks_wrongly! { IgnoresEpoch, apply(store, request: ApplyRequest) -> ApplyOutcome {
    request.page.epoch = None;
}}

/// As with statements of at most 999 variables.
const CHUNK: usize = 999;

asks_wrongly! { DropsTheLastChunk, apply(store, request: ApplyRequest) -> ApplyOutcome {
    let whole = request.page.changes.len() / CHUNK * CHUNK;
    if whole > 0 {
        request.page.changes.truncate(whole);
    }
}}

asks_wrongly! { KeepsTheFirst, apply(store, request: ApplyRequest) -> ApplyOutcome {
    let mut seen = BTreeSet::new();
    let changes = &mut request.page.changes;
    changes.retain(|c| seen.insert((c.entity_type.clone(), c.entity_id.clone())));
}}

asks_wrongly! { RemovesLast, apply(store, request: ApplyRequest) -> ApplyOutcome {
    request.page.changes.sort_by_key(|change| change.op == ChangeOp::Remove);
}}

/// Tombstones are kept, and a record under one is not written any more.
#[derive(Default)]
pub(super) struct NeverRevives(Mutex<BTreeSet<RecordKey>>);

#[async_trait]
impl Bug for NeverRevives {
    async fn apply(
        &self,
        store: &MemoryStore,
        mut request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        let all = request.page.changes.clone();
        let mut dead = locked(&self.0).clone();
        let alive = all
            .iter()
            .filter(|change| !dead.contains(&key_of(&request, change)));
        request.page.changes = alive.cloned().collect();
        let removed = all.iter().filter(|change| change.op == ChangeOp::Remove);
        dead.extend(removed.map(|change| key_of(&request, change)));
        *locked(&self.0) = dead;
        store.apply(request).await
    }
}

asks_wrongly! { KeepsTombstonesAsNull, apply(store, request: ApplyRequest) -> ApplyOutcome {
    for change in &mut request.page.changes {
        if change.op == ChangeOp::Remove
            && let Ok(null) = Payload::parse("null")
        {
            change.op = ChangeOp::Put(null);
        }
    }
}}

/// The key of a record is its type and id.
#[derive(Default)]
pub(super) struct FindsWithoutScope;

#[async_trait]
impl Bug for FindsWithoutScope {
    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        for row in store.scopes().await? {
            let key = RecordKey {
                scope: row.scope,
                ..key.clone()
            };
            if let Some(row) = store.get(key).await? {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }
}

/// A column is written, and not read.
#[derive(Default)]
pub(super) struct ForgetsTheRetention;

#[async_trait]
impl Bug for ForgetsTheRetention {
    async fn scope(
        &self,
        store: &MemoryStore,
        scope: Scope,
    ) -> Result<(ScopeRow, Tick), StoreError> {
        let (mut row, tick) = store.scope(scope).await?;
        row.verdict_retention = None;
        Ok((row, tick))
    }
}

/// A conflict is written whenever its mark comes.
#[derive(Default)]
pub(super) struct TellsAgain {
    told: Mutex<Vec<Conflict>>,
    again: Mutex<Vec<Conflict>>,
}

impl TellsAgain {
    fn told(&self, id: MutationId) -> Option<Conflict> {
        let told = locked(&self.told);
        told.iter().find(|c| c.mutation_id == id).cloned()
    }
}

#[async_trait]
impl Bug for TellsAgain {
    async fn apply(
        &self,
        store: &MemoryStore,
        request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        for mark in request.page.changes.iter().flat_map(|c| &c.overwritten) {
            locked(&self.again).extend(self.told(mark.mutation_id));
        }
        let outcome = store.apply(request).await?;
        if let ApplyOutcome::Applied(applied) = &outcome {
            locked(&self.told).extend(applied.conflicts.clone());
        }
        Ok(outcome)
    }

    async fn conflicts(
        &self,
        store: &MemoryStore,
        scope: Option<Scope>,
    ) -> Result<Vec<Conflict>, StoreError> {
        let mut conflicts = store.conflicts(scope).await?;
        conflicts.extend(locked(&self.again).clone());
        Ok(conflicts)
    }
}
