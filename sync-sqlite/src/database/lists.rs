//! Which entries lie over which record.

use std::collections::BTreeMap;

use sync_core::{model::RecordKey, store::Seq};

use super::scopes::Rows;
use crate::error::Attempt;

/// The entries of records, as a transaction has read them and as it leaves them.
#[derive(Debug, Default)]
pub(super) struct Lists(BTreeMap<RecordKey, List>);

#[derive(Debug, Default)]
struct List {
    entries: Vec<Seq>,
    changed: bool,
}

impl Lists {
    /// Takes note of what was read, so that it need not be read again.
    pub(super) fn read(&mut self, key: &RecordKey, entries: Vec<Seq>) {
        let changed = false;
        self.0.insert(key.clone(), List { entries, changed });
    }

    /// Adds an entry to its record's. Returns whether it is a new one.
    pub(super) fn add(&mut self, rows: &Rows<'_>, key: &RecordKey, seq: Seq) -> Attempt<bool> {
        let list = self.of(rows, key)?;
        if list.entries.contains(&seq) {
            return Ok(false);
        }
        list.entries.push(seq);
        list.changed = true;
        Ok(true)
    }

    pub(super) fn remove(&mut self, rows: &Rows<'_>, key: &RecordKey, seq: Seq) -> Attempt<()> {
        let list = self.of(rows, key)?;
        list.entries.retain(|listed| *listed != seq);
        list.changed = true;
        Ok(())
    }

    /// The list of a record that is stored together with its base.
    pub(super) fn take(&mut self, rows: &Rows<'_>, key: &RecordKey) -> Attempt<Vec<Seq>> {
        self.of(rows, key)?;
        Ok(self.0.remove(key).unwrap_or_default().entries)
    }

    /// The lists that have changed and were not taken.
    pub(super) fn changed(self) -> impl Iterator<Item = (RecordKey, Vec<Seq>)> {
        let lists = self.0.into_iter().filter(|(_, list)| list.changed);
        lists.map(|(key, list)| (key, list.entries))
    }

    fn of(&mut self, rows: &Rows<'_>, key: &RecordKey) -> Attempt<&mut List> {
        if !self.0.contains_key(key) {
            let entries = match rows.place(key)? {
                Some(place) => rows.listed(&place)?.unwrap_or_default(),
                None => Vec::new(),
            };
            self.read(key, entries);
        }
        Ok(self.0.entry(key.clone()).or_default())
    }
}
