//! Bugs of enqueueing.

use async_trait::async_trait;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{Account, MutationId, Op, RecordKey, Scope},
    store::{
        Counts, Edit, EnqueueRequest, Enqueued, Entry, EntryFilter, MemoryStore, Outbox, Records,
        Stamp,
    },
};

use crate::bent::Bug;

#[derive(Default)]
pub(super) struct EnqueuesTwice;

#[async_trait]
impl Bug for EnqueuesTwice {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        mut request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        for n in 0..request.edits.len() {
            let mut copy = request.edits[n].clone();
            copy.key = RecordKey::new(copy.key.scope, "copy", "copy");
            request.edits.push(copy);
        }
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct EnqueuesOneByOne;

#[async_trait]
impl Bug for EnqueuesOneByOne {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let mut outcomes = Vec::new();
        for edit in request.edits {
            let edits = vec![edit];
            let account = request.account.clone();
            let one = EnqueueRequest {
                account,
                edits,
                ..request
            };
            outcomes.extend(store.enqueue(one).await?);
        }
        Ok(outcomes)
    }
}

#[derive(Default)]
pub(super) struct ListsScopeByScope;

#[async_trait]
impl Bug for ListsScopeByScope {
    async fn entries(
        &self,
        store: &MemoryStore,
        filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = store.entries(filter).await?;
        entries.sort_by_key(|entry| entry.mutation.key.scope.clone());
        Ok(entries)
    }
}

#[derive(Default)]
pub(super) struct NeverReplacesAnEntry;

#[async_trait]
impl Bug for NeverReplacesAnEntry {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let there = store.entries(EntryFilter::default()).await?;
        let outcomes = store.fork().enqueue(request.clone()).await?;
        let into = |outcome: &Enqueued, entry: &Entry| match outcome {
            Enqueued::Queued(id) => *id == entry.mutation.id,
            Enqueued::Cancelled => false,
        };
        if outcomes.iter().any(|o| there.iter().any(|e| into(o, e))) {
            return Ok(outcomes);
        }
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct TakesAnyLastEntryForTheTail;

#[async_trait]
impl Bug for TakesAnyLastEntryForTheTail {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        mut request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let entries = store.entries(EntryFilter::default()).await?;
        if entries.last().is_none_or(Entry::is_pending) {
            return store.enqueue(request).await;
        }
        // Behind a pending entry of another record, nothing is merged into.
        let mut other = request.edits[0].clone();
        other.key = RecordKey::new(other.key.scope, "other", "other");
        request.edits.insert(0, other);
        let mut outcomes = store.enqueue(request).await?;
        outcomes.remove(0);
        Ok(outcomes)
    }
}

#[derive(Default)]
pub(super) struct MergesPastOthers;

#[async_trait]
impl Bug for MergesPastOthers {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let mut outcomes = Vec::new();
        for edit in &request.edits {
            let of_record = EntryFilter {
                key: Some(edit.key.clone()),
                ..EntryFilter::default()
            };
            let entries = store.entries(of_record).await?;
            let unsent = entries.into_iter().find(|entry| !entry.was_sent());
            outcomes.extend(unsent.map(|entry| Enqueued::Queued(entry.mutation.id)));
        }
        if !outcomes.is_empty() {
            return Ok(outcomes);
        }
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct NeverDeletesAnEntry;

#[async_trait]
impl Bug for NeverDeletesAnEntry {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let outcomes = store.fork().enqueue(request.clone()).await?;
        if outcomes.contains(&Enqueued::Cancelled) {
            return Ok(outcomes);
        }
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct CancelsOverWhatWasSent;

#[async_trait]
impl Bug for CancelsOverWhatWasSent {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let there = store.entries(EntryFilter::default()).await?;
        let created = |key: &RecordKey| {
            let last = there.iter().rfind(|entry| entry.mutation.key == *key);
            last.is_some_and(|e| !e.was_sent() && matches!(e.mutation.op, Op::Create(_)))
        };
        let cancels = |edit: &Edit| edit.op == Op::Delete && created(&edit.key);
        if request.edits.iter().any(cancels) {
            return Ok(vec![Enqueued::Cancelled; request.edits.len()]);
        }
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct MakesIdsOfTheClock;

#[async_trait]
impl Bug for MakesIdsOfTheClock {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let Stamp { now, random } = request.stamp;
        let id = MutationId::following(None, now, random);
        let outcomes = store.enqueue(request).await?;
        Ok(vec![Enqueued::Queued(id); outcomes.len()])
    }
}

#[derive(Default)]
pub(super) struct ForgetsTheVersion;

#[async_trait]
impl Bug for ForgetsTheVersion {
    async fn entries(
        &self,
        store: &MemoryStore,
        filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = store.entries(filter).await?;
        for entry in &mut entries {
            entry.mutation.base_version = None;
        }
        Ok(entries)
    }
}

#[derive(Default)]
pub(super) struct AsksForNoAccount;

#[async_trait]
impl Bug for AsksForNoAccount {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let account = Account::from("ann");
        store.enqueue(EnqueueRequest { account, ..request }).await
    }
}

#[derive(Default)]
pub(super) struct ComparesText;

#[async_trait]
impl Bug for ComparesText {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        for edit in &request.edits {
            let held = store.get(edit.key.clone()).await?.map(|row| row.payload);
            if edit.expect.is_some() && edit.expect != held {
                let context = edit.key.to_string();
                return Err(StoreError::new(StoreErrorKind::Moved, context));
            }
        }
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct CountsAllScopes;

#[async_trait]
impl Bug for CountsAllScopes {
    async fn counts(&self, store: &MemoryStore, _: Option<Scope>) -> Result<Counts, StoreError> {
        store.counts(None).await
    }
}

#[derive(Default)]
pub(super) struct ListsByOneCondition;

#[async_trait]
impl Bug for ListsByOneCondition {
    async fn entries(
        &self,
        store: &MemoryStore,
        mut filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        if filter.key.is_some() {
            filter.state = None;
        }
        store.entries(filter).await
    }
}
