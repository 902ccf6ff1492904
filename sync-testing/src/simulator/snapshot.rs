//! What a device's database holds at one moment.

use std::collections::BTreeMap;

use futures::FutureExt;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{EntityType, MutationId, RecordKey, Scope},
    store::{
        Conflict, Counts, Entry, EntryFilter, ListRequest, RecordRow, Revoked, ScopeRow, Store,
    },
};

use super::plan::{SCOPES, TYPES};

/// What a device's database holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) scopes: BTreeMap<Scope, ScopeRow>,
    /// In the order of the store.
    pub(crate) entries: Vec<Entry>,
    /// By scope, type and id.
    pub(crate) records: Vec<RecordRow>,
    pub(crate) counts: Counts,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) revoked: Vec<Revoked>,
}

impl Snapshot {
    /// Reads a store whose futures are ready at once.
    pub(crate) fn read(store: &dyn Store, scopes: usize) -> Result<Self, StoreError> {
        let mut records = Vec::new();
        for scope in &SCOPES[..scopes] {
            for entity_type in TYPES {
                let request = ListRequest {
                    scope: Scope::from(*scope),
                    entity_type: EntityType::from(entity_type),
                    after: None,
                    limit: None,
                };
                records.append(&mut now(store.list(request))?);
            }
        }
        let rows = now(store.scopes())?.into_iter();
        Ok(Self {
            scopes: rows.map(|row| (row.scope.clone(), row)).collect(),
            entries: now(store.entries(EntryFilter::default()))?,
            records,
            counts: now(store.counts(None))?,
            conflicts: now(store.conflicts(None))?,
            revoked: now(store.revoked())?,
        })
    }

    pub(crate) fn record(&self, key: &RecordKey) -> Option<&RecordRow> {
        let at = self.records.binary_search_by(|row| row.key.cmp(key));
        at.ok().map(|at| &self.records[at])
    }

    /// The conflict in which a mutation has met another's.
    pub(crate) fn conflict(&self, id: MutationId) -> Option<&Conflict> {
        self.conflicts
            .iter()
            .find(|conflict| conflict.mutation_id == id)
    }

    /// The copy of a mutation whose scope was purged.
    pub(crate) fn revoked(&self, id: MutationId) -> Option<&Revoked> {
        self.revoked
            .iter()
            .find(|revoked| revoked.mutation.id == id)
    }

    /// The records that are not what they were before, or not there any more.
    pub(crate) fn changed_since<'a>(&'a self, before: &'a Self) -> Vec<&'a RecordKey> {
        let mut changed = Vec::new();
        let mut then = before.records.iter().peekable();
        for row in &self.records {
            while let Some(gone) = then.next_if(|old| old.key < row.key) {
                changed.push(&gone.key);
            }
            match then.next_if(|old| old.key == row.key) {
                Some(old) if old == row => {}
                _ => changed.push(&row.key),
            }
        }
        changed.extend(then.map(|gone| &gone.key));
        changed
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &RecordKey> {
        self.records.iter().map(|row| &row.key)
    }

    pub(crate) fn entry(&self, id: MutationId) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.mutation.id == id)
    }

    /// The entries of a record, in the order of the store.
    pub(crate) fn entries_of<'a>(&'a self, key: &'a RecordKey) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.mutation.key == *key)
    }
}

/// What a call returns that is over after one poll, as those of stores in memory and inline ones are.
pub(crate) fn now<T>(call: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    call.now_or_never().unwrap_or_else(|| {
        Err(StoreError::new(
            StoreErrorKind::Invalid,
            "the store waits for something else than virtual time; open it so that its calls run inline",
        ))
    })
}
