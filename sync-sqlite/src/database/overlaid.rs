//! Which records have something in the overlay.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

use rusqlite::{OptionalExtension, params};
use sync_core::model::{EntityId, RecordKey, Scope};

use super::{
    entries::entry_ids,
    scopes::{Place, Rows},
    writes::Writing,
};
use crate::{
    error::{Attempt, Failure},
    ids::{ReadId, StoredId},
};

/// Ids of records of one scope, by the number of their type.
#[derive(Debug, Default)]
pub(crate) struct Overlaid {
    uuids: HashSet<(i64, [u8; 16])>,
    texts: HashSet<(i64, EntityId)>,
}

impl Overlaid {
    fn contains(&self, place: &Place<'_>) -> bool {
        match place.id {
            StoredId::Uuid(id) => self.uuids.contains(&(place.entity_type, id)),
            StoredId::Text(_) if self.texts.is_empty() => false,
            StoredId::Text(id) => self
                .texts
                .contains(&(place.entity_type, EntityId::from(id))),
        }
    }

    /// The keys of these records of `scope`.
    pub(super) fn keys(self, scope: &Scope, rows: &Rows<'_>) -> Attempt<BTreeSet<RecordKey>> {
        if self.uuids.is_empty() && self.texts.is_empty() {
            return Ok(BTreeSet::new());
        }
        let names = rows.type_names()?;
        let uuids = self.uuids.into_iter();
        let uuids = uuids.map(|(number, id)| (number, ReadId::of_uuid(id).0));
        let keys = uuids.chain(self.texts).map(|(number, entity_id)| {
            let entity_type = names
                .get(&number)
                .cloned()
                .ok_or_else(|| Failure::Unreadable(format!("entity type {number} has no name")))?;
            Ok(RecordKey {
                scope: scope.clone(),
                entity_type,
                entity_id,
            })
        });
        keys.collect()
    }
}

impl Rows<'_> {
    /// The records of a scope that have something in the overlay.
    pub(super) fn overlaid(&self, scope: &Scope) -> Attempt<Overlaid> {
        self.overlaid_by(scope, "sync_store_entries WHERE TRUE")
    }

    /// The records of a scope that have an acknowledged entry.
    pub(super) fn acknowledged(&self, scope: &Scope) -> Attempt<Overlaid> {
        self.overlaid_by(
            scope,
            "sync_store_entries INDEXED BY sync_store_entries_acknowledged WHERE state = 3",
        )
    }

    /// The records of a scope that have a doubted entry.
    pub(super) fn doubted(&self, scope: &Scope) -> Attempt<Overlaid> {
        self.overlaid_by(
            scope,
            "sync_store_entries INDEXED BY sync_store_entries_doubted WHERE doubted",
        )
    }

    fn overlaid_by(&self, scope: &Scope, entries: &str) -> Attempt<Overlaid> {
        let mut overlaid = Overlaid::default();
        if let Some(number) = self.scope_number(scope)? {
            let (first, last) = entry_ids(number)?;
            let mut query = self.conn.prepare_cached(&format!(
                "SELECT type, entity_id FROM {entries} AND id BETWEEN ?1 AND ?2"
            ))?;
            let mut rows = query.query([first, last])?;
            while let Some(row) = rows.next()? {
                let entity_type = row.get(0)?;
                match row.get_ref(1)?.as_blob() {
                    Ok(id) => {
                        let id = <[u8; 16]>::try_from(id).map_err(|_| {
                            Failure::Unreadable("the id of an overlay entry".to_owned())
                        })?;
                        overlaid.uuids.insert((entity_type, id));
                    }
                    Err(_) => {
                        overlaid
                            .texts
                            .insert((entity_type, row.get::<_, ReadId>(1)?.0));
                    }
                }
            }
        }
        Ok(overlaid)
    }
}

/// The records with an overlay of the scope that was pulled last, kept from page to page.
#[derive(Debug)]
pub(super) struct Known {
    scope: Scope,
    overlaid: Arc<Overlaid>,
}

/// How to tell whether a record of a page has an overlay.
#[derive(Debug)]
pub(super) enum Overlay {
    /// None of its scope has.
    Empty,
    /// All that have are known.
    Listed(Arc<Overlaid>),
    /// There are far more of them than changes in the page: each is looked up.
    LookedUp,
}

impl Overlay {
    pub(super) fn contains(&self, rows: &Rows<'_>, place: &Place<'_>) -> Attempt<bool> {
        match self {
            Self::Empty => Ok(false),
            Self::Listed(overlaid) => Ok(overlaid.contains(place)),
            Self::LookedUp => Ok(rows
                .conn
                .prepare_cached(
                    "SELECT 1 FROM sync_store_records \
                     WHERE scope = ?1 AND type = ?2 AND entity_id = ?3 AND entries IS NOT NULL \
                     UNION ALL \
                     SELECT 1 FROM sync_store_hidden \
                     WHERE scope = ?1 AND type = ?2 AND entity_id = ?3",
                )?
                .query_row(
                    params![place.scope, place.entity_type, place.id],
                    |_| Ok(()),
                )
                .optional()?
                .is_some()),
        }
    }
}

/// How many times more overlays than changes there must be for looking up to be cheaper than listing.
const FAR_MORE: u64 = 8;

impl Writing<'_> {
    /// How to tell which records of a page of this many changes have an overlay.
    pub(super) fn overlay_for(&self, scope: &Scope, changes: usize) -> Attempt<Overlay> {
        let counts = self.counts(Some(scope))?;
        let entries = counts.pending + counts.failed + counts.acknowledged;
        if entries == 0 {
            return Ok(Overlay::Empty);
        }
        if let Some(known) = &self.kept.borrow().overlaid
            && known.scope == *scope
        {
            return Ok(Overlay::Listed(Arc::clone(&known.overlaid)));
        }
        if entries > (changes as u64).saturating_mul(FAR_MORE) {
            return Ok(Overlay::LookedUp);
        }
        let overlaid = Arc::new(self.overlaid(scope)?);
        self.kept.borrow_mut().overlaid = Some(Known {
            scope: scope.detached(),
            overlaid: Arc::clone(&overlaid),
        });
        Ok(Overlay::Listed(overlaid))
    }

    /// Forgets which records have an overlay, as one comes or goes.
    pub(super) fn forget_overlay(&self) {
        self.kept.borrow_mut().overlaid = None;
    }
}
