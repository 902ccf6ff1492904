//! All that can be read after a history.

use std::{collections::BTreeSet, fmt, sync::Arc};

use sync_core::{
    error::StoreError,
    model::{EntityId, EntityType, RecordKey, Scope},
    store::{EntryFilter, EntryKind, ListRequest, Store},
};

use super::{
    Answer,
    difference::Difference,
    step::{IDS, SCOPES, TYPES},
};
use crate::store_suite::held::Held;

/// Everything that the roles show of a database on which a [`History`](super::History) has run, read in every way
/// that there is.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    held: Held,
    read: Vec<Answer>,
}

impl Contents {
    /// Reads everything. The reads are one after another: nobody may write meanwhile.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn read(store: &dyn Store) -> Result<Self, StoreError> {
        let held = Held::read_types(store, &TYPES).await?;
        let mut read = Vec::new();
        macro_rules! read {
            ($method:ident($argument:expr)) => {{
                let argument = $argument;
                let asked = Arc::new(argument.clone());
                let outcome = store.$method(argument).await?;
                read.push(Answer::new(stringify!($method), asked, Ok(outcome)));
            }};
        }
        let all = EntryFilter::default;
        for state in [
            EntryKind::Pending,
            EntryKind::Failed,
            EntryKind::Acknowledged,
        ] {
            let state = Some(state);
            read!(entries(EntryFilter { state, ..all() }));
        }
        let edited = held.entries.iter().map(|entry| &entry.mutation.key);
        for key in edited.collect::<BTreeSet<_>>() {
            let key = Some(key.clone());
            read!(entries(EntryFilter { key, ..all() }));
        }
        for scope in SCOPES.map(Scope::from) {
            read!(scope(scope.clone()));
            read!(counts(Some(scope.clone())));
            read!(conflicts(Some(scope.clone())));
            read!(entries(EntryFilter {
                scope: Some(scope.clone()),
                state: Some(EntryKind::Pending),
                ..all()
            }));
            let count = store.count(scope.clone(), None).await;
            read.push(Answer::new("count", Arc::new(scope.clone()), count));
            for entity_type in TYPES.map(EntityType::from) {
                let count = store.count(scope.clone(), Some(entity_type.clone())).await;
                let asked = Arc::new((scope.clone(), entity_type.clone()));
                read.push(Answer::new("count", asked, count));
                for (after, limit) in [("5", 2), (IDS[0], 1)] {
                    read!(list(ListRequest {
                        scope: scope.clone(),
                        entity_type: entity_type.clone(),
                        after: Some(EntityId::from(after)),
                        limit: Some(limit),
                    }));
                }
            }
        }
        for id in IDS {
            read!(get(RecordKey::new(SCOPES[0], TYPES[0], id)));
        }
        Ok(Self { held, read })
    }

    /// The first thing in which this store's contents and the memory store's differ, in words; none if they are
    /// equal.
    #[must_use]
    pub fn difference(&self, reference: &Self) -> Option<String> {
        let Difference {
            place,
            mine,
            theirs,
        } = self.first_difference(reference)?;
        Some(format!(
            "{place}: this store has {mine}, the memory store {theirs}"
        ))
    }

    pub(super) fn first_difference(&self, reference: &Self) -> Option<Difference> {
        let (mine, theirs) = (&self.held, &reference.held);
        let lists = [
            differ("scopes", &mine.scopes, &theirs.scopes),
            differ("entries", &mine.entries, &theirs.entries),
            differ("records", &mine.records, &theirs.records),
            differ("conflicts", &mine.conflicts, &theirs.conflicts),
            differ("revoked", &mine.revoked, &theirs.revoked),
        ];
        let counts = (mine.counts != theirs.counts)
            .then(|| Difference::of("counts of all scopes", &mine.counts, &theirs.counts));
        let mut reads = self.read.iter().zip(&reference.read);
        let read = || {
            let (mine, theirs) = reads.find(|(mine, theirs)| mine != theirs)?;
            let mut difference = mine.differs_from(theirs);
            difference.place = format!("{}, asked with {}", difference.place, theirs.asked());
            Some(difference)
        };
        let first = lists.into_iter().flatten().next();
        first.or(counts).or_else(read)
    }
}

/// The first row that two lists do not have in common.
fn differ<T: PartialEq + fmt::Debug>(what: &str, mine: &[T], theirs: &[T]) -> Option<Difference> {
    let longer = mine.len().max(theirs.len());
    let at = (0..longer).find(|n| mine.get(*n) != theirs.get(*n))?;
    let (found, expected) = (mine.len(), theirs.len());
    let place = if found == expected {
        format!("{what}, number {at} of {found}")
    } else {
        format!("{what}, number {at} of {found} here and {expected} there")
    };
    Some(Difference::of(&place, &mine.get(at), &theirs.get(at)))
}
