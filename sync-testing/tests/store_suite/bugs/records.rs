//! Bugs of reading records.

use std::{collections::BTreeSet, sync::Mutex};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{EntityType, Op, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, CursorStore, EntryFilter, ListRequest,
        MemoryStore, Outbox, RecordRow, Records, ScopeRow, Tick,
    },
};

use super::asking::asks_wrongly;
use crate::bent::{Bug, locked};

#[derive(Default)]
pub(super) struct ListsFromAnId;

#[async_trait]
impl Bug for ListsFromAnId {
    async fn list(
        &self,
        store: &MemoryStore,
        request: ListRequest,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let all = ListRequest {
            after: None,
            limit: None,
            ..request.clone()
        };
        let mut rows = store.list(all).await?;
        rows.retain(|row| Some(&row.key.entity_id) >= request.after.as_ref());
        rows.truncate(request.limit.map_or(usize::MAX, |limit| limit as usize));
        Ok(rows)
    }
}

#[derive(Default)]
pub(super) struct ListsByPrefix;

#[async_trait]
impl Bug for ListsByPrefix {
    async fn list(
        &self,
        store: &MemoryStore,
        request: ListRequest,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let mut rows = Vec::new();
        for row in store.scopes().await? {
            if row.scope.as_str().starts_with(request.scope.as_str()) {
                let scope = row.scope;
                let request = request.clone();
                rows.extend(store.list(ListRequest { scope, ..request }).await?);
            }
        }
        Ok(rows)
    }
}

/// Deleted records are marked, and counted.
#[derive(Default)]
pub(super) struct CountsWhatIsDeleted;

#[async_trait]
impl Bug for CountsWhatIsDeleted {
    async fn count(
        &self,
        store: &MemoryStore,
        scope: Scope,
        entity_type: Option<EntityType>,
    ) -> Result<u64, StoreError> {
        let filter = EntryFilter {
            scope: Some(scope.clone()),
            ..EntryFilter::default()
        };
        let entries = store.entries(filter).await?;
        let of_type = |t: &EntityType| entity_type.as_ref().is_none_or(|of| of == t);
        let deleted = entries.iter().map(|entry| &entry.mutation);
        let deleted = deleted.filter(|m| m.op == Op::Delete && of_type(&m.key.entity_type));
        let deleted = deleted.count() as u64;
        Ok(store.count(scope, entity_type).await? + deleted)
    }
}

/// A row is made for each scope that is asked about.
#[derive(Default)]
pub(super) struct KeepsWhatIsAskedFor(Mutex<BTreeSet<Scope>>);

#[async_trait]
impl Bug for KeepsWhatIsAskedFor {
    async fn scope(
        &self,
        store: &MemoryStore,
        scope: Scope,
    ) -> Result<(ScopeRow, Tick), StoreError> {
        locked(&self.0).insert(scope.clone());
        store.scope(scope).await
    }

    async fn scopes(&self, store: &MemoryStore) -> Result<Vec<ScopeRow>, StoreError> {
        let asked = locked(&self.0).clone();
        let mut rows = Vec::new();
        for scope in asked {
            rows.push(store.scope(scope).await?.0);
        }
        Ok(rows)
    }
}

asks_wrongly! { DropsUnknownTypes, apply(store, request: ApplyRequest) -> ApplyOutcome {
    let known = ["log", "note"];
    request.page.changes.retain(|change| known.contains(&change.entity_type.as_str()));
}}
