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
    CursorStore, EnqueueRequest, Enqueued, Entry, EntryFilter, EntryKind, Fence, ListRequest,
    Marks, Meta, Outbox, Purged, RecordRow, Records, Revoked, ScopeRow, Seq, SettleReport,
    SettleRequest, Stamp, SweepOutcome, TakeRequest, Taken, Tick, Touched,
};
use crate::{
    coordination::{Leadership, Local, Peers},
    error::{StoreError, StoreErrorKind},
    model::{Account, Change, EntityType, Generation, MutationId, RecordKey, Scope},
    ordered::OrderedSet,
    overlay::{
        ApplyNeeds, EntryWrite, Loaded, Offer, Planned, Stack, Take, Writes, apply, apply_needs,
        check_account, check_fence, discard, enqueue, may_wipe, purge, resync, retry, settle,
        settle_needs, sweep_end,
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

    /// A copy of the database as it stands now; from here on the two go their own ways. A test has with it a device
    /// that was restored from a backup, or a crash that lost what was not durable.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self {
            tables: Arc::new(Mutex::new(self.tables().clone())),
            local: Local::new(),
        }
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

#[derive(Clone, Debug, Default)]
struct Tables {
    meta: Meta,
    scopes: BTreeMap<Scope, ScopeRow>,
    records: BTreeMap<RecordKey, RecordRow>,
    bases: BTreeMap<RecordKey, BaseRow>,
    entries: BTreeMap<Seq, Entry>,
    by_record: BTreeMap<RecordKey, BTreeSet<Seq>>,
    by_id: BTreeMap<MutationId, Seq>,
    by_state: BTreeMap<(Scope, EntryKind), BTreeSet<Seq>>,
    outbox: BTreeSet<Seq>,
    conflicts: Vec<Conflict>,
    revoked: Vec<Revoked>,
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
        // In order, so that each is added at the end.
        for key in OrderedSet::from_iter(keys) {
            if let Some(row) = self.scopes.get(&key.scope) {
                loaded
                    .scopes
                    .get_or_insert_with(key.scope.clone(), || row.clone());
            }
            let stack = self.stack(&key);
            loaded.stacks.insert(key, stack);
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

    /// The records of a scope that have an entry in this state.
    fn in_state(&self, scope: &Scope, state: EntryKind) -> Vec<RecordKey> {
        let seqs = self.by_state.get(&(scope.clone(), state));
        let entries = seqs.into_iter().flatten();
        entries
            .filter_map(|seq| Some(self.entries.get(seq)?.mutation.key.clone()))
            .collect()
    }

    /// The last pending entry of a scope.
    fn tail(&self, scope: &Scope) -> Option<Seq> {
        let pending = (scope.clone(), EntryKind::Pending);
        self.by_state.get(&pending)?.last().copied()
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
        self.remove_entry(entry.seq);
        self.by_id.insert(entry.mutation.id, entry.seq);
        self.by_state
            .entry((entry.mutation.key.scope.clone(), entry.kind()))
            .or_default()
            .insert(entry.seq);
        if entry.is_pending() {
            self.outbox.insert(entry.seq);
        }
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
        self.outbox.remove(&seq);
        self.by_id.remove(&entry.mutation.id);
        let state = (entry.mutation.key.scope.clone(), entry.kind());
        remove_from(&mut self.by_state, &state, seq);
        remove_from(&mut self.by_record, &entry.mutation.key, seq);
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

fn remove_from<K: Ord>(index: &mut BTreeMap<K, BTreeSet<Seq>>, key: &K, seq: Seq) {
    if let Some(seqs) = index.get_mut(key) {
        seqs.remove(&seq);
        if seqs.is_empty() {
            index.remove(key);
        }
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
        for seq in &tables.outbox {
            let Some(entry) = tables.entries.get(seq) else {
                continue;
            };
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
            keys.extend(tables.in_state(scope, EntryKind::Pending));
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
        for ((of, state), seqs) in &self.by_state {
            if scope.is_none_or(|scope| scope == of) {
                let count = match state {
                    EntryKind::Pending => &mut counts.pending,
                    EntryKind::Failed => &mut counts.failed,
                    EntryKind::Acknowledged => &mut counts.acknowledged,
                };
                *count += seqs.len() as u64;
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
        let scope = &request.scope;
        let key = |change: &Change| RecordKey {
            scope: scope.clone(),
            entity_type: change.entity_type.clone(),
            entity_id: change.entity_id.clone(),
        };
        let in_page = request.page.changes.iter().map(key);
        let mut keys: BTreeSet<RecordKey> = in_page
            .filter(|key| tables.by_record.contains_key(key))
            .collect();
        match apply_needs(tables.scopes.get(scope), &request.page) {
            ApplyNeeds::Page => {}
            ApplyNeeds::Acknowledged => {
                keys.extend(tables.in_state(scope, EntryKind::Acknowledged));
            }
            ApplyNeeds::Overlaid => keys.extend(tables.overlaid(scope)),
        }
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
        let Some(resync) = row.resync.as_mut().filter(|r| r.sweeping) else {
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
            .map(|(key, record)| (key.clone(), record.generation < row.generation))
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
        let writes = sweep_end(tables.load_scope(&scope, []), &scope);
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
        let (revoked, conflicts) = (tables.revoked.len(), tables.conflicts.len());
        may_wipe(tables.counts(None), revoked as u64, conflicts as u64, force)?;
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
