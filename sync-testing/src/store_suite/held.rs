//! All that a database holds, to be compared.

use std::collections::BTreeSet;

use sync_core::{
    error::StoreError,
    model::EntityType,
    store::{
        Conflict, Counts, Entry, EntryFilter, ListRequest, RecordRow, Revoked, ScopeRow, Store,
    },
};

/// What the roles show of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) scopes: Vec<ScopeRow>,
    pub(crate) entries: Vec<Entry>,
    pub(crate) counts: Counts,
    /// Of the scopes that are kept or have entries, and the types that are named.
    pub(crate) records: Vec<RecordRow>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) revoked: Vec<Revoked>,
}

impl Held {
    /// Reads everything; records, of the type `log`.
    pub(crate) async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        Self::read_types(store, &["log"]).await
    }

    pub(crate) async fn read_types(store: &dyn Store, types: &[&str]) -> Result<Self, StoreError> {
        let scopes = store.scopes().await?;
        let entries = store.entries(EntryFilter::default()).await?;
        let kept = scopes.iter().map(|row| row.scope.clone());
        let edited = entries.iter().map(|entry| entry.mutation.key.scope.clone());
        let names: BTreeSet<_> = kept.chain(edited).collect();
        let mut records = Vec::new();
        for scope in names {
            for entity_type in types {
                let request = ListRequest {
                    scope: scope.clone(),
                    entity_type: EntityType::from(*entity_type),
                    after: None,
                    limit: None,
                };
                records.extend(store.list(request).await?);
            }
        }
        Ok(Self {
            scopes,
            entries,
            counts: store.counts(None).await?,
            records,
            conflicts: store.conflicts(None).await?,
            revoked: store.revoked().await?,
        })
    }
}
