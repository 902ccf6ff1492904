//! The store in memory: the reference for what a store does, and the one for tests and simulations.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use super::{
    ApplyOutcome, ApplyRequest, BaseRow, ChangeApplier, Conflict, Conflicts, Coordination, Counts,
    CursorStore, EnqueueRequest, Enqueued, Entry, EntryFilter, EntryState, Fence, ListRequest,
    Marks, Meta, Outbox, Purged, RecordRow, Records, Revoked, ScopeRow, Seq, SettleReport,
    SettleRequest, Stamp, SweepOutcome, TakeRequest, Taken, Tick, Touched,
};
use crate::{
    coordination::{Leadership, Local, Peers},
    error::{StoreError, StoreErrorKind},
    model::{Account, Change, EntityType, Generation, MutationId, RecordKey, Scope},
    overlay::{
        EntryWrite, Loaded, Offer, Planned, Stack, Take, Writes, apply, check_account, check_fence,
        discard, enqueue, may_wipe, purge, resync, retry, settle, settle_needs, sweep_end,
    },
    time::Timestamp,
};

/// A store that keeps everything in memory. Clones share one database; it goes with the last of them.
#[derive(Clone, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
    local: Local,
}

impl MemoryStore {
    /// An empty database.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Every method plans first and stores last, so that a panic in between leaves the tables whole.
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

#[derive(Clone, Debug)]
struct Tables {
    meta: Meta,
    scopes: BTreeMap<Scope, ScopeRow>,
    records: BTreeMap<RecordKey, RecordRow>,
    bases: BTreeMap<RecordKey, BaseRow>,
    entries: BTreeMap<Seq, Entry>,
    by_record: BTreeMap<RecordKey, BTreeSet<Seq>>,
    by_id: BTreeMap<MutationId, Seq>,
    conflicts: Vec<Conflict>,
    revoked: Vec<Revoked>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            meta: Meta {
                first_generation: Generation(1),
                ..Meta::default()
            },
            scopes: BTreeMap::new(),
            records: BTreeMap::new(),
            bases: BTreeMap::new(),
            entries: BTreeMap::new(),
            by_record: BTreeMap::new(),
            by_id: BTreeMap::new(),
            conflicts: Vec::new(),
            revoked: Vec::new(),
        }
    }
}

impl Tables {
    fn scope(&self, scope: &Scope) -> ScopeRow {
        self.scopes
            .get(scope)
            .cloned()
            .unwrap_or_else(|| ScopeRow::new(scope.clone(), self.meta.first_generation))
    }

    fn entries_of(&self, key: &RecordKey) -> Vec<Entry> {
        let seqs = self.by_record.get(key).into_iter().flatten();
        seqs.filter_map(|seq| self.entries.get(seq).cloned())
            .collect()
    }

    fn stack(&self, key: &RecordKey) -> Stack {
        match self.bases.get(key) {
            Some(base) => Stack::new(base.clone(), self.entries_of(key)),
            None => Stack::of_record(
                self.records.get(key).cloned(),
                self.scope(&key.scope).generation,
            ),
        }
    }

    /// The scopes and stacks of these records.
    fn load(&self, keys: impl IntoIterator<Item = RecordKey>) -> Loaded {
        let mut loaded = Loaded {
            meta: self.meta.clone(),
            ..Loaded::default()
        };
        for key in keys {
            if let Some(row) = self.scopes.get(&key.scope) {
                loaded
                    .scopes
                    .entry(key.scope.clone())
                    .or_insert_with(|| row.clone());
            }
            loaded
                .stacks
                .entry(key.clone())
                .or_insert_with(|| self.stack(&key));
        }
        loaded
    }

    fn load_scope(&self, scope: &Scope, keys: impl IntoIterator<Item = RecordKey>) -> Loaded {
        let mut loaded = self.load(keys);
        if let Some(row) = self.scopes.get(scope) {
            loaded.scopes.insert(scope.clone(), row.clone());
        }
        loaded
    }

    /// The records of a scope that have an overlay.
    fn overlaid(&self, scope: &Scope) -> Vec<RecordKey> {
        within(&self.by_record, scope)
            .map(|(key, _)| key.clone())
            .collect()
    }

    fn tail(&self, scope: &Scope) -> Option<Seq> {
        let mut pending = self.entries.values().rev();
        pending
            .find(|entry| entry.is_pending() && entry.mutation.key.scope == *scope)
            .map(|entry| entry.seq)
    }

    fn store(&mut self, writes: Writes) {
        let Writes {
            meta,
            scopes,
            records,
            bases,
            entries,
            conflicts,
            touched: _,
        } = writes;
        if let Some(meta) = meta {
            self.meta = meta;
        }
        for row in scopes {
            self.scopes.insert(row.scope.clone(), row);
        }
        for (key, row) in records {
            match row {
                Some(row) => self.records.insert(key, row),
                None => self.records.remove(&key),
            };
        }
        for (key, row) in bases {
            match row {
                Some(row) => self.bases.insert(key, row),
                None => self.bases.remove(&key),
            };
        }
        for write in entries {
            match write {
                EntryWrite::Put(entry) => self.put_entry(*entry),
                EntryWrite::Remove { seq, .. } => self.remove_entry(seq),
            }
        }
        self.keep_conflicts(conflicts);
    }

    fn keep_conflicts(&mut self, conflicts: Vec<Conflict>) {
        for conflict in conflicts {
            let kept = |c: &Conflict| c.mutation_id == conflict.mutation_id;
            if !self.conflicts.iter().any(kept) {
                self.conflicts.push(conflict);
            }
        }
    }

    fn put_entry(&mut self, entry: Entry) {
        self.by_id.insert(entry.mutation.id, entry.seq);
        self.by_record
            .entry(entry.mutation.key.clone())
            .or_default()
            .insert(entry.seq);
        self.entries.insert(entry.seq, entry);
    }

    fn remove_entry(&mut self, seq: Seq) {
        let Some(entry) = self.entries.remove(&seq) else {
            return;
        };
        self.by_id.remove(&entry.mutation.id);
        if let Some(seqs) = self.by_record.get_mut(&entry.mutation.key) {
            seqs.remove(&seq);
            if seqs.is_empty() {
                self.by_record.remove(&entry.mutation.key);
            }
        }
    }

    /// Stores the changes of records that have no overlay.
    fn store_direct(&mut self, request: &ApplyRequest, loaded: &BTreeSet<RecordKey>) -> Touched {
        let mut touched = Touched::default();
        for change in &request.page.changes {
            let key = RecordKey {
                scope: request.scope.clone(),
                entity_type: change.entity_type.clone(),
                entity_id: change.entity_id.clone(),
            };
            if loaded.contains(&key) {
                continue;
            }
            touched.add(&key.scope, &key.entity_type);
            match change.op.payload() {
                Some(payload) => {
                    let row = RecordRow {
                        key: key.detached(),
                        payload: payload.detached(),
                        schema: change.schema,
                        seq: change.seq,
                        generation: request.generation,
                        marks: Marks::default(),
                    };
                    self.records.insert(row.key.clone(), row);
                }
                None => {
                    self.records.remove(&key);
                }
            }
        }
        touched
    }
}

/// The rows of a map whose keys lie in a scope.
fn within<'a, V>(
    map: &'a BTreeMap<RecordKey, V>,
    scope: &'a Scope,
) -> impl Iterator<Item = (&'a RecordKey, &'a V)> {
    let start = RecordKey::new(scope.clone(), "", "");
    map.range(start..)
        .take_while(move |(key, _)| key.scope == *scope)
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Outbox for MemoryStore {
    async fn enqueue(&self, request: EnqueueRequest) -> Result<Vec<Enqueued>, StoreError> {
        let mut tables = self.tables();
        let mut loaded = tables.load(request.edits.iter().map(|edit| edit.key.clone()));
        for edit in &request.edits {
            let scope = &edit.key.scope;
            if let Some(tail) = tables.tail(scope) {
                loaded.tails.insert(scope.clone(), tail);
            }
        }
        let (outcomes, writes) = enqueue(loaded, &request)?;
        tables.store(writes);
        Ok(outcomes)
    }

    async fn take(&self, request: TakeRequest) -> Result<Taken, StoreError> {
        let mut tables = self.tables();
        check_fence(&tables.meta, request.fence)?;
        let mut take = Take::new(tables.meta.clone(), &request);
        for entry in tables.entries.values().filter(|entry| entry.is_pending()) {
            let key = &entry.mutation.key;
            if take.wants(key)
                && take.offer(key, entry.seq, tables.stack(key), tables.scope(&key.scope))
                    == Offer::Full
            {
                break;
            }
        }
        let (taken, writes) = take.finish();
        tables.store(writes);
        Ok(taken)
    }

    async fn settle(&self, request: SettleRequest) -> Result<SettleReport, StoreError> {
        let mut tables = self.tables();
        let needs = settle_needs(&request.settlements);
        let mut keys: BTreeSet<RecordKey> = needs
            .ids
            .iter()
            .filter_map(|id| tables.entries.get(tables.by_id.get(id)?))
            .map(|entry| entry.mutation.key.clone())
            .collect();
        for scope in &needs.judged {
            keys.extend(tables.overlaid(scope));
        }
        let (report, writes) = settle(tables.load(keys), &request)?;
        tables.store(writes);
        Ok(report)
    }

    async fn entries(&self, filter: EntryFilter) -> Result<Vec<Entry>, StoreError> {
        let EntryFilter { scope, key, state } = filter;
        let tables = self.tables();
        let matches = |entry: &&Entry| {
            scope
                .as_ref()
                .is_none_or(|s| *s == entry.mutation.key.scope)
                && key.as_ref().is_none_or(|k| *k == entry.mutation.key)
                && state.is_none_or(|kind| kind == entry.kind())
        };
        Ok(tables.entries.values().filter(matches).cloned().collect())
    }

    async fn retry(
        &self,
        key: RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError> {
        let mut tables = self.tables();
        let (id, writes) = retry(tables.load([key.clone()]), &key, stamp);
        let touched = writes.touched.clone();
        tables.store(writes);
        Ok((id, touched))
    }

    async fn discard(&self, key: RecordKey) -> Result<(Vec<Entry>, Touched), StoreError> {
        let mut tables = self.tables();
        let (dropped, writes) = discard(tables.load([key.clone()]), &key);
        let touched = writes.touched.clone();
        tables.store(writes);
        Ok((dropped, touched))
    }

    async fn counts(&self, scope: Option<Scope>) -> Result<Counts, StoreError> {
        Ok(self.tables().counts(scope.as_ref()))
    }
}

impl Tables {
    fn counts(&self, scope: Option<&Scope>) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.values() {
            if scope.is_none_or(|scope| *scope == entry.mutation.key.scope) {
                match entry.state {
                    EntryState::Pending(_) => counts.pending += 1,
                    EntryState::Failed(_) => counts.failed += 1,
                    EntryState::Acknowledged(_) => counts.acknowledged += 1,
                }
            }
        }
        counts
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl CursorStore for MemoryStore {
    async fn bind(&self, account: Account) -> Result<(), StoreError> {
        let meta = &mut self.tables().meta;
        match &meta.account {
            Some(bound) if *bound != account => Err(StoreError::new(
                StoreErrorKind::OtherAccount {
                    bound: bound.clone(),
                },
                format!("account {account} wants to open it"),
            )),
            _ => {
                meta.account = Some(account);
                Ok(())
            }
        }
    }

    async fn lead(&self, account: Account) -> Result<Fence, StoreError> {
        let meta = &mut self.tables().meta;
        check_account(meta, &account)?;
        meta.fence.0 += 1;
        Ok(meta.fence)
    }

    async fn scope(&self, scope: Scope) -> Result<(ScopeRow, Tick), StoreError> {
        let tables = self.tables();
        Ok((tables.scope(&scope), tables.meta.tick))
    }

    async fn scopes(&self) -> Result<Vec<ScopeRow>, StoreError> {
        Ok(self.tables().scopes.values().cloned().collect())
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl ChangeApplier for MemoryStore {
    async fn apply(&self, request: ApplyRequest) -> Result<ApplyOutcome, StoreError> {
        let mut tables = self.tables();
        let overlaid: BTreeSet<RecordKey> = tables.overlaid(&request.scope).into_iter().collect();
        let keys: BTreeSet<RecordKey> = if request.page.has_more {
            let key = |change: &Change| RecordKey {
                scope: request.scope.clone(),
                entity_type: change.entity_type.clone(),
                entity_id: change.entity_id.clone(),
            };
            let in_page = request.page.changes.iter().map(key);
            in_page.filter(|key| overlaid.contains(key)).collect()
        } else {
            overlaid
        };
        let loaded = tables.load_scope(&request.scope, keys.iter().cloned());
        match apply(loaded, &request)? {
            Planned::Not(outcome) => Ok(outcome),
            Planned::Write {
                writes,
                mut applied,
            } => {
                applied.touched.merge(tables.store_direct(&request, &keys));
                tables.store(*writes);
                Ok(ApplyOutcome::Applied(applied))
            }
        }
    }

    async fn resync(
        &self,
        scope: Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        let mut tables = self.tables();
        let keys = tables.overlaid(&scope);
        let loaded = tables.load_scope(&scope, keys);
        let writes = resync(loaded, &scope, new_epoch, fence)?;
        let touched = writes.touched.clone();
        tables.store(writes);
        Ok(touched)
    }

    async fn sweep(
        &self,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        let mut tables = self.tables();
        check_fence(&tables.meta, fence)?;
        let mut row = tables.scope(&scope);
        let Some(resync) = row.resync.as_mut().filter(|r| r.sweeping.is_some()) else {
            return Ok(SweepOutcome {
                done: true,
                touched: Touched::default(),
            });
        };
        let from = match &resync.swept {
            Some(swept) => Bound::Excluded(swept.clone()),
            None => Bound::Included(RecordKey::new(scope.clone(), "", "")),
        };
        let step: Vec<(RecordKey, bool)> = tables
            .records
            .range((from, Bound::Unbounded))
            .take_while(|(key, _)| key.scope == scope)
            .take(limit.max(1) as usize)
            .map(|(key, record)| {
                let old = record.generation < row.generation;
                (key.clone(), old && !tables.by_record.contains_key(key))
            })
            .collect();
        let mut touched = Touched::default();
        if let Some((last, _)) = step.last() {
            resync.swept = Some(last.clone());
            for (key, gone) in &step {
                if *gone {
                    touched.add(&key.scope, &key.entity_type);
                    tables.records.remove(key);
                }
            }
            tables.scopes.insert(scope, row);
            return Ok(SweepOutcome {
                done: false,
                touched,
            });
        }
        let loaded = tables.load_scope(&scope, tables.overlaid(&scope));
        let writes = sweep_end(loaded, &scope);
        touched.merge(writes.touched.clone());
        tables.store(writes);
        Ok(SweepOutcome {
            done: true,
            touched,
        })
    }

    async fn purge(&self, scope: Scope, at: Timestamp, fence: Fence) -> Result<Purged, StoreError> {
        let mut tables = self.tables();
        let of_scope = |entry: &&Entry| entry.mutation.key.scope == scope;
        let entries: Vec<Entry> = tables.entries.values().filter(of_scope).cloned().collect();
        let loaded = tables.load_scope(&scope, []);
        let (row, revoked) = purge(&loaded, &scope, entries.clone(), at, fence)?;
        let mut touched = Touched::default();
        let records: Vec<RecordKey> = within(&tables.records, &scope)
            .map(|(key, _)| key.clone())
            .collect();
        for key in records {
            touched.add(&key.scope, &key.entity_type);
            tables.records.remove(&key);
        }
        for entry in entries {
            tables.bases.remove(&entry.mutation.key);
            tables.remove_entry(entry.seq);
        }
        let count = revoked.len() as u64;
        tables.revoked.extend(revoked);
        tables.scopes.insert(scope, row);
        Ok(Purged {
            revoked: count,
            touched,
        })
    }

    async fn wipe(&self, force: bool) -> Result<Touched, StoreError> {
        let mut tables = self.tables();
        may_wipe(tables.counts(None), tables.revoked.len() as u64, force)?;
        let mut touched = Touched::default();
        for key in tables.records.keys() {
            touched.add(&key.scope, &key.entity_type);
        }
        let newest = tables.scopes.values().map(|row| row.generation).max();
        let meta = Meta {
            account: None,
            first_generation: newest
                .max(Some(tables.meta.first_generation))
                .map_or(Generation(1), Generation::next),
            fence: Fence(tables.meta.fence.0 + 1),
            ..tables.meta.clone()
        };
        *tables = Tables {
            meta,
            ..Tables::default()
        };
        Ok(touched)
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Records for MemoryStore {
    async fn get(&self, key: RecordKey) -> Result<Option<RecordRow>, StoreError> {
        Ok(self.tables().records.get(&key).cloned())
    }

    async fn list(&self, request: ListRequest) -> Result<Vec<RecordRow>, StoreError> {
        let ListRequest {
            scope,
            entity_type,
            after,
            limit,
        } = request;
        let key = |id| RecordKey {
            scope: scope.clone(),
            entity_type: entity_type.clone(),
            entity_id: id,
        };
        let from = match after {
            Some(after) => Bound::Excluded(key(after)),
            None => Bound::Included(key("".into())),
        };
        let tables = self.tables();
        let rows = tables.records.range((from, Bound::Unbounded));
        Ok(rows
            .take_while(|(key, _)| key.scope == scope && key.entity_type == entity_type)
            .take(limit.map_or(usize::MAX, |limit| limit as usize))
            .map(|(_, row)| row.clone())
            .collect())
    }

    async fn count(
        &self,
        scope: Scope,
        entity_type: Option<EntityType>,
    ) -> Result<u64, StoreError> {
        let tables = self.tables();
        let of_type = |key: &RecordKey| {
            entity_type
                .as_ref()
                .is_none_or(|entity_type| *entity_type == key.entity_type)
        };
        Ok(within(&tables.records, &scope)
            .filter(|(key, _)| of_type(key))
            .count() as u64)
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Conflicts for MemoryStore {
    async fn conflicts(&self, scope: Option<Scope>) -> Result<Vec<Conflict>, StoreError> {
        let tables = self.tables();
        let of_scope = |c: &&Conflict| scope.as_ref().is_none_or(|s| *s == c.key.scope);
        Ok(tables.conflicts.iter().filter(of_scope).cloned().collect())
    }

    async fn acknowledge_conflicts(&self, ids: Vec<MutationId>) -> Result<Touched, StoreError> {
        let mut touched = Touched::default();
        self.tables().conflicts.retain(|conflict| {
            let gone = ids.contains(&conflict.mutation_id);
            if gone {
                touched.add(&conflict.key.scope, &conflict.key.entity_type);
            }
            !gone
        });
        Ok(touched)
    }

    async fn revoked(&self) -> Result<Vec<Revoked>, StoreError> {
        Ok(self.tables().revoked.clone())
    }

    async fn acknowledge_revoked(&self, ids: Vec<MutationId>) -> Result<(), StoreError> {
        self.tables()
            .revoked
            .retain(|revoked| !ids.contains(&revoked.mutation.id));
        Ok(())
    }
}

impl Coordination for MemoryStore {
    fn leadership(&self) -> Arc<dyn Leadership> {
        Arc::new(self.local.clone())
    }

    fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(self.local.clone())
    }
}
