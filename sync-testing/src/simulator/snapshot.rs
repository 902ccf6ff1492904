//! What a device's database holds at one moment.

use std::{
    cmp::Ordering,
    sync::{Arc, LazyLock},
};

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
    pub(crate) scopes: Vec<ScopeRow>,
    /// In the order of the store.
    pub(crate) entries: Arc<Vec<Entry>>,
    /// By scope, type and id.
    pub(crate) records: Arc<Vec<RecordRow>>,
    pub(crate) counts: Counts,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) revoked: Vec<Revoked>,
}

impl Snapshot {
    /// Reads a store whose futures are ready at once.
    pub(crate) fn read(store: &dyn Store, scopes: usize) -> Result<Self, StoreError> {
        static LISTS: LazyLock<Vec<(Scope, EntityType)>> = LazyLock::new(|| {
            let of = |scope: &&'static str| TYPES.map(|kind| (Scope::from(*scope), kind.into()));
            SCOPES.iter().flat_map(of).collect()
        });
        let mut records = Vec::new();
        for (scope, entity_type) in &LISTS[..scopes * TYPES.len()] {
            let request = ListRequest {
                scope: scope.clone(),
                entity_type: entity_type.clone(),
                after: None,
                limit: None,
            };
            records.append(&mut now(store.list(request))?);
        }
        Ok(Self {
            scopes: now(store.scopes())?,
            entries: Arc::new(now(store.entries(EntryFilter::default()))?),
            records: Arc::new(records),
            counts: now(store.counts(None))?,
            conflicts: now(store.conflicts(None))?,
            revoked: now(store.revoked())?,
        })
    }

    /// The same, with the lists of another where they are equal: most transactions change neither, and what looks at
    /// them need not look again.
    pub(crate) fn sharing(mut self, before: &Self) -> Self {
        if self.entries == before.entries {
            self.entries = Arc::clone(&before.entries);
        }
        if self.records == before.records {
            self.records = Arc::clone(&before.records);
        }
        self
    }

    /// Whether it shares another's records and entries.
    pub(crate) fn shares(&self, other: &Self) -> bool {
        self.shares_entries(other) && Arc::ptr_eq(&self.records, &other.records)
    }

    /// Whether it shares another's entries.
    pub(crate) fn shares_entries(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.entries, &other.entries)
    }

    pub(crate) fn scope(&self, scope: &Scope) -> Option<&ScopeRow> {
        self.scopes.iter().find(|row| row.scope == *scope)
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
        if Arc::ptr_eq(&self.records, &before.records) {
            return changed;
        }
        let mut then = before.records.iter().peekable();
        for row in self.records.iter() {
            let mut same = false;
            while let Some(old) = then.peek() {
                match old.key.cmp(&row.key) {
                    Ordering::Less => changed.push(&old.key),
                    Ordering::Equal => same = *old == row,
                    Ordering::Greater => break,
                }
                then.next();
            }
            if !same {
                changed.push(&row.key);
            }
        }
        changed.extend(then.map(|gone| &gone.key));
        changed
    }

    /// The entries of another with what has become of each.
    pub(crate) fn still<'a>(
        &'a self,
        before: &'a Self,
    ) -> impl Iterator<Item = (&'a Entry, Option<&'a Entry>)> {
        // They are in one order, so that the next is found at once.
        let mut rest = self.entries.iter();
        before.entries.iter().map(move |was| {
            let id = was.mutation.id;
            let at = rest.clone().position(|now| now.mutation.id == id);
            let now = at.map_or_else(|| self.entry(id), |at| rest.nth(at));
            (was, now)
        })
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
