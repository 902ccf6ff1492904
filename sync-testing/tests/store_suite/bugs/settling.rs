//! Bugs of settling.

use std::{slice, sync::Arc};

use async_trait::async_trait;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{MutationId, Scope},
    policy::NoUpgrade,
    store::{
        CursorStore, Entry, EntryFilter, EntryKind, EntryState, FailReason, MemoryStore, Outbox,
        Pick, ScopeRow, SettleReport, SettleRequest, Settlement, TakeRequest, Tick,
    },
    transport::Verdict,
};

use crate::bent::Bug;

async fn all(store: &MemoryStore) -> Result<Vec<Entry>, StoreError> {
    store.entries(EntryFilter::default()).await
}

fn answered(settlements: &[Settlement]) -> Vec<MutationId> {
    let id = |settlement: &Settlement| match settlement {
        Settlement::Answer(id, _) => Some(*id),
        _ => None,
    };
    settlements.iter().filter_map(id).collect()
}

#[derive(Default)]
pub(super) struct DeletesWhatWasApplied;

#[async_trait]
impl Bug for DeletesWhatWasApplied {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let report = store.fork().settle(request.clone()).await?;
        let applied = report.applied.iter();
        let aside = |id: &_| Settlement::SetAside(*id, FailReason::Poison, String::new());
        let settlements = applied.map(aside).collect();
        store
            .settle(SettleRequest {
                settlements,
                ..request
            })
            .await?;
        for entry in all(store).await? {
            if report.applied.contains(&entry.mutation.id) {
                store.discard(entry.mutation.key).await?;
            }
        }
        Ok(report)
    }
}

#[derive(Default)]
pub(super) struct ForgetsWhatAnswersCarry;

#[async_trait]
impl Bug for ForgetsWhatAnswersCarry {
    async fn settle(
        &self,
        store: &MemoryStore,
        mut request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        for settlement in &mut request.settlements {
            if let Settlement::Answer(_, Verdict::Applied { record, .. }) = settlement {
                *record = None;
            }
        }
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct RefusesUnknownMutations;

#[async_trait]
impl Bug for RefusesUnknownMutations {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let entries = all(store).await?;
        let known = |id: &_| entries.iter().any(|entry| entry.mutation.id == *id);
        if !answered(&request.settlements).iter().all(known) {
            return Err(StoreError::new(StoreErrorKind::Corrupt, "no such row"));
        }
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct DeletesWhatIsAnsweredAgain;

#[async_trait]
impl Bug for DeletesWhatIsAnsweredAgain {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let ids = answered(&request.settlements);
        for entry in all(store).await? {
            if entry.is_failed() && ids.contains(&entry.mutation.id) {
                store.discard(entry.mutation.key).await?;
            }
        }
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct SettlesOneScope;

#[async_trait]
impl Bug for SettlesOneScope {
    async fn settle(
        &self,
        store: &MemoryStore,
        mut request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let entries = all(store).await?;
        let scope = |settlement: &Settlement| {
            let ids = answered(slice::from_ref(settlement));
            let entry = entries.iter().find(|e| ids.contains(&e.mutation.id));
            entry.map(|entry| entry.mutation.key.scope.clone())
        };
        let first = request.settlements.first().and_then(scope);
        request.settlements.retain(|s| scope(s) == first);
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct SettlesTheWholeRecord;

#[async_trait]
impl Bug for SettlesTheWholeRecord {
    async fn settle(
        &self,
        store: &MemoryStore,
        mut request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let entries = all(store).await?;
        let taking = TakeRequest {
            fence: request.fence,
            now: request.stamp.now,
            pick: Pick::default(),
            max_count: u32::MAX,
            max_bytes: u64::MAX,
            traits: request.traits.clone(),
            upgrade: Arc::new(NoUpgrade),
        };
        store.take(taking).await?;
        for settlement in request.settlements.clone() {
            let Settlement::Answer(id, verdict) = settlement else {
                continue;
            };
            let of_id = |entry: &&Entry| entry.mutation.id == id;
            let key = entries.iter().find(of_id).map(|e| &e.mutation.key);
            let others = entries.iter().filter(|e| Some(&e.mutation.key) == key);
            let others = others.map(|e| Settlement::Answer(e.mutation.id, verdict.clone()));
            request.settlements.extend(others);
        }
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct NeverRaisesTheTick;

#[async_trait]
impl Bug for NeverRaisesTheTick {
    async fn scope(
        &self,
        store: &MemoryStore,
        scope: Scope,
    ) -> Result<(ScopeRow, Tick), StoreError> {
        let (row, _) = store.scope(scope).await?;
        Ok((row, Tick::default()))
    }
}

#[derive(Default)]
pub(super) struct ForgetsTheRetention;

#[async_trait]
impl Bug for ForgetsTheRetention {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let verdict_retention = None;
        let request = SettleRequest {
            verdict_retention,
            ..request
        };
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct LoadsOnlyWhatWasAnswered;

#[async_trait]
impl Bug for LoadsOnlyWhatWasAnswered {
    async fn settle(
        &self,
        store: &MemoryStore,
        mut request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let answer = |s: &Settlement| matches!(s, Settlement::Answer(..));
        request.settlements.retain(answer);
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct ReportsDoubtsAndKeepsNone;

#[async_trait]
impl Bug for ReportsDoubtsAndKeepsNone {
    async fn settle(
        &self,
        store: &MemoryStore,
        request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let report = store.fork().settle(request.clone()).await?;
        if !report.doubted.is_empty() {
            return Ok(report);
        }
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct JudgesByTheRefusal;

#[async_trait]
impl Bug for JudgesByTheRefusal {
    async fn settle(
        &self,
        store: &MemoryStore,
        mut request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let judges = |s: &Settlement| matches!(s, Settlement::Judge(..));
        if request.settlements.iter().any(judges) {
            let pending = EntryFilter {
                state: Some(EntryKind::Pending),
                ..EntryFilter::default()
            };
            for entry in store.entries(pending).await? {
                if let EntryState::Pending(pending) = entry.state
                    && let Some(doubt) = pending.doubt
                {
                    let (id, why) = (entry.mutation.id, FailReason::Rejected);
                    let aside = Settlement::SetAside(id, why, doubt.reason);
                    request.settlements.push(aside);
                }
            }
            request.settlements.retain(|s| !judges(s));
        }
        store.settle(request).await
    }
}

#[derive(Default)]
pub(super) struct ForgetsTheirsOfADoubt;

#[async_trait]
impl Bug for ForgetsTheirsOfADoubt {
    async fn settle(
        &self,
        store: &MemoryStore,
        mut request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        for settlement in &mut request.settlements {
            if let Settlement::Answer(_, verdict @ Verdict::Conflict { .. }) = settlement {
                let reason = "conflict".to_owned();
                *verdict = Verdict::Rejected { reason };
            }
        }
        store.settle(request).await
    }
}
