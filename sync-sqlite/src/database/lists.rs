//! How records are stored, and which entries lie over them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{
    ToSql,
    types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, Value, ValueRef},
};
use sync_core::{model::RecordKey, store::Seq};

use super::scopes::{signed, unsigned};

/// The records that a transaction has read, as it found them and as it leaves them.
#[derive(Debug, Default)]
pub(super) struct Lists {
    lists: BTreeMap<RecordKey, List>,
    owners: HashMap<Seq, RecordKey>,
}

/// One record's entries.
#[derive(Debug)]
pub(super) struct List {
    pub(super) row: StoredRow,
    before: Vec<Seq>,
    entries: Vec<Seq>,
}

/// Where a record has a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoredRow {
    /// Among the records that the app sees, under this row id.
    Shown(i64),
    /// Among those that only have entries.
    Hidden,
    /// It has none.
    Nowhere,
}

impl Lists {
    /// Takes note of what was read, so that it need not be read again.
    pub(super) fn read(&mut self, key: &RecordKey, row: StoredRow, entries: Vec<Seq>) {
        self.owners
            .extend(entries.iter().map(|seq| (*seq, key.clone())));
        let before = entries.clone();
        let list = List {
            row,
            before,
            entries,
        };
        self.lists.insert(key.clone(), list);
    }

    pub(super) fn get(&self, key: &RecordKey) -> Option<&List> {
        self.lists.get(key)
    }

    /// Adds an entry to its record's, unless it is one of them.
    pub(super) fn add(&mut self, key: &RecordKey, seq: Seq) {
        if let Some(list) = self.lists.get_mut(key)
            && !list.entries.contains(&seq)
        {
            list.entries.push(seq);
        }
    }

    pub(super) fn remove(&mut self, seq: Seq) {
        if let Some(key) = self.owners.get(&seq)
            && let Some(list) = self.lists.get_mut(key)
        {
            list.entries.retain(|listed| *listed != seq);
        }
    }

    /// The lists that have changed.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&RecordKey, &List)> {
        self.lists
            .iter()
            .filter(|(_, list)| list.before != list.entries)
    }
}

impl List {
    pub(super) fn entries(&self) -> StoredList<'_> {
        StoredList(&self.entries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn is_new(&self, seq: Seq) -> bool {
        !self.before.contains(&seq)
    }

    /// The entry that holds the record's base: the oldest.
    pub(super) fn home(&self) -> Option<Seq> {
        self.entries.iter().min().copied()
    }

    /// From which entry to which the base has to move, unless it is written anew.
    pub(super) fn moved_home(&self) -> Option<(Seq, Seq)> {
        let from = self.before.iter().min().copied()?;
        let to = self.home()?;
        (from != to).then_some((from, to))
    }

    /// Whether the record got its first entry, or lost its last.
    pub(super) fn comes_or_goes(&self) -> bool {
        self.before.is_empty() != self.entries.is_empty()
    }
}

/// A list of entries as it is stored: one is its number, several are a text of numbers, none is NULL.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredList<'a>(&'a [Seq]);

impl ToSql for StoredList<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Owned(match self.0 {
            [] => Value::Null,
            [one] => Value::Integer(signed(one.0)),
            several => {
                let numbers: Vec<String> = several.iter().map(|seq| seq.0.to_string()).collect();
                Value::Text(numbers.join(","))
            }
        }))
    }
}

/// A list of entries that was read.
#[derive(Debug)]
pub(super) struct ReadList(pub(super) Vec<Seq>);

impl FromSql for ReadList {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        Ok(Self(match value {
            ValueRef::Null => Vec::new(),
            ValueRef::Integer(one) => vec![Seq(unsigned(one))],
            several => {
                let numbers = several.as_str()?.split(',').map(str::parse);
                let numbers: Result<Vec<u64>, _> = numbers.collect();
                let numbers = numbers.map_err(|_| FromSqlError::InvalidType)?;
                numbers.into_iter().map(Seq).collect()
            }
        }))
    }
}
