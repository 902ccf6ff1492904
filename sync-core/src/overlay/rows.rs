//! What a rule is given and what it returns.

use super::fold::fold;
use crate::{
    error::{StoreError, StoreErrorKind},
    model::{Account, Generation, MutationId, Payload, RecordKey, Scope, Version},
    ordered::{OrderedMap, sort_by},
    store::{BaseRow, Conflict, Entry, Fence, Meta, RecordRow, ScopeRow, Seq, Tick, Touched},
    time::Timestamp,
};

/// The rows that a call concerns, as they are in the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// What there is once.
    pub meta: Meta,
    /// The scopes that the call concerns; a scope of which nothing is kept is left out.
    pub scopes: OrderedMap<Scope, ScopeRow>,
    /// The records that the call concerns, each with its base and its overlay.
    pub stacks: OrderedMap<RecordKey, Stack>,
    /// The last pending entry of each scope that the call concerns, for merging.
    pub tails: OrderedMap<Scope, Seq>,
}

/// A record's base with its overlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stack {
    /// The newest pulled state: the base row, or the record itself when nothing lies over it.
    pub base: BaseRow,
    /// The overlay, in the order in which it is folded: by sequence, the failed entries last.
    entries: Vec<Entry>,
}

impl Stack {
    /// The stack of a base and of overlay entries in any order.
    #[must_use]
    pub fn new(base: BaseRow, entries: Vec<Entry>) -> Self {
        let mut stack = Self { base, entries };
        stack.sort();
        stack
    }

    /// The stack of a record that has no overlay: as it is stored, or absent.
    #[must_use]
    pub fn of_record(row: Option<RecordRow>, generation: Generation) -> Self {
        let base = match row {
            Some(row) => BaseRow {
                payload: Some((row.payload, row.schema)),
                seq: row.seq,
                generation: row.generation,
            },
            None => BaseRow {
                payload: None,
                seq: None,
                generation,
            },
        };
        Self::new(base, Vec::new())
    }

    /// The overlay, in the order in which it is folded.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The payload of the base; none when the server has no such record.
    pub(super) fn base_payload(&self) -> Option<&Payload> {
        self.base.payload.as_ref().map(|(payload, _)| payload)
    }

    pub(super) fn entries_mut(&mut self) -> &mut Vec<Entry> {
        &mut self.entries
    }

    /// Restores the order after entries were added or have changed their state.
    pub(super) fn sort(&mut self) {
        // An acknowledged entry is older than a pending one, unless the answer for the pending one is missing:
        // then the server has decided it before, and it must not cover the later one.
        let place = |entry: &Entry| (entry.is_failed(), entry.seq);
        sort_by(&mut self.entries, |a, b| place(a).cmp(&place(b)));
    }

    pub(super) fn position(&self, id: MutationId) -> Option<usize> {
        self.entries.iter().position(|e| e.mutation.id == id)
    }
}

/// What a call has to store. Each row replaces the one before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// What there is once, if it changed.
    pub meta: Option<Meta>,
    /// Scopes that changed.
    pub scopes: Vec<ScopeRow>,
    /// Views that changed; none where the record goes.
    pub records: Vec<(RecordKey, Option<RecordRow>)>,
    /// Bases that changed; none where the record has no overlay any more.
    pub bases: Vec<(RecordKey, Option<BaseRow>)>,
    /// Overlay entries that changed.
    pub entries: Vec<EntryWrite>,
    /// Conflicts to keep; one that is already kept under the same id stays as it is.
    pub conflicts: Vec<Conflict>,
    /// The views that changed, by scope and type.
    pub touched: Touched,
}

/// What to do with an overlay entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryWrite {
    /// Store it under its sequence number.
    Put(Box<Entry>),
    /// It goes.
    Remove {
        /// Its scope.
        scope: Scope,
        /// Its sequence number.
        seq: Seq,
    },
}

/// The rows of a call while a rule works on them.
#[derive(Debug)]
pub(super) struct Work {
    before: Loaded,
    pub(super) now: Loaded,
    pub(super) conflicts: Vec<Conflict>,
}

impl Work {
    pub(super) fn new(loaded: Loaded) -> Self {
        Self {
            before: loaded.clone(),
            now: loaded,
            conflicts: Vec::new(),
        }
    }

    /// Adds rows that were loaded later; those that are already there stay.
    pub(super) fn load(&mut self, key: &RecordKey, stack: Stack, scope: Option<ScopeRow>) {
        if !self.now.stacks.contains_key(key) {
            self.before.stacks.insert(key.clone(), stack.clone());
            self.now.stacks.insert(key.clone(), stack);
        }
        if let Some(scope) = scope
            && !self.now.scopes.contains_key(&scope.scope)
        {
            self.before
                .scopes
                .insert(scope.scope.clone(), scope.clone());
            self.now.scopes.insert(scope.scope.clone(), scope);
        }
    }

    /// Takes a stack out, so that the rules can change other rows while they work on it; none, if it was not loaded.
    ///
    /// An empty one keeps its place until [`put_back`](Self::put_back): in a call of thousands of records, removing and inserting would
    /// move the others each time.
    pub(super) fn take_out(&mut self, key: &RecordKey) -> Option<Stack> {
        let empty = Stack::of_record(None, self.now.meta.first_generation);
        let stack = self.now.stacks.get_mut(key)?;
        Some(std::mem::replace(stack, empty))
    }

    /// Puts a stack back that was taken out, or adds one.
    pub(super) fn put_back(&mut self, key: &RecordKey, stack: Stack) {
        match self.now.stacks.get_mut(key) {
            Some(place) => *place = stack,
            None => {
                self.now.stacks.insert(key.clone(), stack);
            }
        }
    }

    /// The row of a scope; a fresh one if there is none.
    pub(super) fn scope(&self, scope: &Scope) -> ScopeRow {
        self.now
            .scopes
            .get(scope)
            .cloned()
            .unwrap_or_else(|| ScopeRow::new(scope.clone(), self.now.meta.first_generation))
    }

    pub(super) fn next_seq(&mut self) -> Seq {
        self.now.meta.last_seq.0 += 1;
        self.now.meta.last_seq
    }

    pub(super) fn next_id(&mut self, now: Timestamp, random: u128) -> MutationId {
        let id = MutationId::following(self.now.meta.last_mutation, now, random);
        self.now.meta.last_mutation = Some(id);
        id
    }

    pub(super) fn next_tick(&mut self) -> Tick {
        self.now.meta.tick.0 += 1;
        self.now.meta.tick
    }

    /// What differs from what was loaded.
    pub(super) fn finish(self) -> Writes {
        let Self {
            before,
            now,
            conflicts,
        } = self;
        let mut writes = Writes {
            meta: (now.meta != before.meta).then_some(now.meta),
            ..Writes::default()
        };
        // That a record is in conflict is news, even where its payload stays.
        for conflict in &conflicts {
            writes
                .touched
                .add(&conflict.key.scope, &conflict.key.entity_type);
        }
        writes.conflicts = conflicts;
        for (scope, row) in now.scopes {
            if before.scopes.get(&scope) != Some(&row) {
                writes.scopes.push(row);
            }
        }
        for (key, stack) in now.stacks {
            let old = before.stacks.get(&key);
            diff_stack(&key, old, &stack, &mut writes);
        }
        writes
    }
}

fn diff_stack(key: &RecordKey, old: Option<&Stack>, new: &Stack, writes: &mut Writes) {
    if old == Some(new) {
        return;
    }
    let old_entries = old.map_or(&[][..], Stack::entries);
    for entry in new.entries() {
        if !old_entries.contains(entry) {
            writes
                .entries
                .push(EntryWrite::Put(Box::new(entry.clone())));
        }
    }
    for entry in old_entries {
        if !new.entries().iter().any(|e| e.seq == entry.seq) {
            writes.entries.push(EntryWrite::Remove {
                scope: key.scope.clone(),
                seq: entry.seq,
            });
        }
    }
    // A base row exists exactly while something lies over it.
    let base_of = |stack: &Stack| (!stack.entries().is_empty()).then(|| stack.base.clone());
    let (old_base, new_base) = (old.and_then(base_of), base_of(new));
    if old_base != new_base {
        writes.bases.push((key.clone(), new_base));
    }
    let (old_view, new_view) = (old.and_then(|stack| fold(key, stack)), fold(key, new));
    if old_view != new_view {
        writes.touched.add(&key.scope, &key.entity_type);
        writes.records.push((key.clone(), new_view));
    }
}

/// The version of what a stack's base shows: of the record, or of the scope's position where there is none.
pub(super) fn base_version(stack: &Stack, scope: &ScopeRow) -> Option<Version> {
    if stack.base.payload.is_some() {
        scope.version_of(stack.base.seq, stack.base.generation)
    } else {
        scope.version_of(scope.through, scope.generation)
    }
}

/// Refuses a token older than the database's.
///
/// # Errors
/// `Fenced`.
pub fn check_fence(meta: &Meta, fence: Fence) -> Result<(), StoreError> {
    if fence == meta.fence {
        Ok(())
    } else {
        Err(StoreError::new(
            StoreErrorKind::Fenced,
            format!("token {} is not {}", fence.0, meta.fence.0),
        ))
    }
}

/// Refuses an account other than the one that the database is bound to.
///
/// # Errors
/// `OtherAccount`; `Invalid` when it is bound to none.
pub fn check_account(meta: &Meta, account: &Account) -> Result<(), StoreError> {
    match &meta.account {
        Some(bound) if bound == account => Ok(()),
        Some(bound) => Err(StoreError::new(
            StoreErrorKind::OtherAccount {
                bound: bound.clone(),
            },
            format!("account {account} asked for it"),
        )),
        None => Err(wiped()),
    }
}

/// The error of a call for an account that the database has forgotten.
pub(crate) fn wiped() -> StoreError {
    StoreError::new(
        StoreErrorKind::Invalid,
        "the database was wiped; open an engine on it again",
    )
}
