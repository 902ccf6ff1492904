//! A store of one's own, in one file: the database is a JSON file, and every call that changes it writes a new one
//! beside it and renames it. It shows what docs/writing-a-store.md says on the simplest database there is; the rules
//! are those of `sync_core::overlay`, none is its own.
//!
//! The program runs the conformance suite on it, as the author of any store would. To make tests of the cases takes
//! one line (the last one of this file), and docs/testing-your-store.md says more:
//!
//! ```ignore
//! sync_testing::store_suite!(Folder::new().unwrap());
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{self, File, TryLockError},
    io::{self, Write},
    ops::Bound,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sync_core::{
    coordination::{Leadership, Local, Peers},
    error::{StoreError, StoreErrorKind},
    model::{Account, Change, EntityType, Generation, MutationId, RecordKey, Scope},
    overlay::{self, ApplyNeeds, EntryWrite, Loaded, Offer, Planned, Stack, Take, Writes},
    store::{
        ApplyOutcome, ApplyRequest, BaseRow, ChangeApplier, Conflict, Conflicts, Coordination,
        Counts, CursorStore, EnqueueRequest, Enqueued, Entry, EntryFilter, EntryKind, FORMAT,
        Fence, ListRequest, Marks, Meta, Outbox, Purged, RecordRow, Records, Revoked, ScopeRow,
        Seq, SettleReport, SettleRequest, Stamp, Store, SweepOutcome, TakeRequest, Taken, Tick,
        Touched,
    },
    time::Timestamp,
};
use sync_testing::store_suite::{self, Subject};
use tempfile::TempDir;

type Attempt<T> = Result<T, StoreError>;

/// Everything that a database holds.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
struct Tables {
    meta: Meta,
    scopes: BTreeMap<Scope, ScopeRow>,
    #[serde(with = "pairs")]
    records: BTreeMap<RecordKey, RecordRow>,
    #[serde(with = "pairs")]
    bases: BTreeMap<RecordKey, BaseRow>,
    entries: BTreeMap<Seq, Entry>,
    conflicts: Vec<Conflict>,
    revoked: Vec<Revoked>,
}

/// A map in JSON whose keys are no strings.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(crate) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, K, V, D>(deserializer: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}

// What the rules are given, and what they return.
impl Tables {
    fn scope(&self, scope: &Scope) -> ScopeRow {
        let fresh = || ScopeRow::new(scope.clone(), self.meta.first_generation);
        self.scopes.get(scope).cloned().unwrap_or_else(fresh)
    }

    /// The entries of a scope, in the order of the store. A real store has an index for this, and for the next ones.
    fn entries_of<'a>(&'a self, scope: &'a Scope) -> impl DoubleEndedIterator<Item = &'a Entry> {
        let entries = self.entries.values();
        entries.filter(move |entry| entry.mutation.key.scope == *scope)
    }

    /// The records of a scope that have an entry in this state, or in any.
    fn overlaid(&self, scope: &Scope, state: Option<EntryKind>) -> BTreeSet<RecordKey> {
        let entries = self.entries_of(scope);
        let entries = entries.filter(|entry| state.is_none_or(|state| state == entry.kind()));
        entries.map(|entry| entry.mutation.key.clone()).collect()
    }

    fn records_of<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a RecordRow> {
        let from = RecordKey::new(scope.clone(), "", "");
        let records = self.records.range(from..);
        let records = records.take_while(move |(key, _)| key.scope == *scope);
        records.map(|(_, row)| row)
    }

    fn stack(&self, key: &RecordKey) -> Stack {
        let Some(base) = self.bases.get(key) else {
            let generation = self.scope(&key.scope).generation;
            return Stack::of_record(self.records.get(key).cloned(), generation);
        };
        let entries = self.entries_of(&key.scope);
        let entries = entries.filter(|entry| entry.mutation.key == *key).cloned();
        Stack::new(base.clone(), entries.collect())
    }

    /// Scopes, and records with what lies over them.
    fn load<'a>(
        &self,
        scopes: impl IntoIterator<Item = &'a Scope>,
        keys: impl IntoIterator<Item = &'a RecordKey>,
    ) -> Loaded {
        let mut loaded = Loaded {
            meta: self.meta.clone(),
            ..Loaded::default()
        };
        let mut scopes: BTreeSet<&Scope> = scopes.into_iter().collect();
        for key in keys {
            scopes.insert(&key.scope);
            loaded.stacks.insert(key.clone(), self.stack(key));
        }
        for scope in scopes {
            let row = self.scopes.get(scope).cloned();
            loaded.scopes.extend(row.map(|row| (scope.clone(), row)));
        }
        loaded
    }

    /// Stores what a rule returns. There is no `..`, so that a field that is added later is not forgotten.
    fn store(&mut self, writes: Writes) -> Touched {
        let Writes {
            meta,
            scopes,
            records,
            bases,
            entries,
            conflicts,
            touched,
        } = writes;
        self.meta = meta.unwrap_or_else(|| self.meta.clone());
        self.scopes
            .extend(scopes.into_iter().map(|row| (row.scope.clone(), row)));
        for (key, row) in records {
            put_or_remove(&mut self.records, key, row);
        }
        for (key, row) in bases {
            put_or_remove(&mut self.bases, key, row);
        }
        for write in entries {
            match write {
                EntryWrite::Put(entry) => self.entries.insert(entry.seq, *entry),
                EntryWrite::Remove { scope: _, seq } => self.entries.remove(&seq),
            };
        }
        for conflict in conflicts {
            let kept = |kept: &Conflict| kept.mutation_id == conflict.mutation_id;
            if !self.conflicts.iter().any(kept) {
                self.conflicts.push(conflict);
            }
        }
        touched
    }

    fn counts(&self, scope: Option<&Scope>) -> Counts {
        let mut counts = Counts::default();
        for entry in self.entries.values() {
            if scope.is_none_or(|scope| *scope == entry.mutation.key.scope) {
                *match entry.kind() {
                    EntryKind::Pending => &mut counts.pending,
                    EntryKind::Failed => &mut counts.failed,
                    EntryKind::Acknowledged => &mut counts.acknowledged,
                } += 1;
            }
        }
        counts
    }
}

fn put_or_remove<V>(map: &mut BTreeMap<RecordKey, V>, key: RecordKey, row: Option<V>) {
    match row {
        Some(row) => map.insert(key, row),
        None => map.remove(&key),
    };
}

/// A database that is open. All its handles are in one process, and share this.
struct Opened {
    path: PathBuf,
    tables: Mutex<Tables>,
    local: Local,
    /// Keeps other processes out. It is released when the process ends, however it ends.
    _lock: File,
}

/// What is open in this process.
static OPENED: Mutex<BTreeMap<PathBuf, Weak<Opened>>> = Mutex::new(BTreeMap::new());

/// A store in a JSON file. A call does all it does in its first poll: it blocks its thread, and dropping its future
/// cannot stop it half-way.
///
/// What a call has returned survives a crash. A power cut may undo the newest calls, whole, back to the last batch that
/// was taken.
#[derive(Clone)]
struct JsonStore(Arc<Opened>);

impl fmt::Debug for JsonStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JsonStore").field(&self.0.path).finish()
    }
}

impl JsonStore {
    fn open(path: &Path) -> Attempt<Self> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = opened.get(path).and_then(Weak::upgrade) {
            return Ok(Self(open));
        }
        let lock = File::create(path.with_extension("lock")).map_err(failed)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                StoreError::new(StoreErrorKind::Busy, "another process has the file open")
            }
            TryLockError::Error(error) => failed(error),
        })?;
        let open = Arc::new(Opened {
            path: path.to_owned(),
            tables: Mutex::new(read_file(path)?),
            local: Local::new(),
            _lock: lock,
        });
        opened.insert(path.to_owned(), Arc::downgrade(&open));
        Ok(Self(open))
    }

    fn read(&self) -> MutexGuard<'_, Tables> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A transaction: what it has done is there when the file is, and before that nothing is.
    fn write<T>(&self, transaction: impl FnOnce(&mut Tables) -> Attempt<T>) -> Attempt<T> {
        let mut tables = self.read();
        let mut changed = tables.clone();
        let answer = transaction(&mut changed)?;
        if *tables != changed {
            write_file(&self.0.path, &changed)?;
            *tables = changed;
        }
        Ok(answer)
    }
}

fn read_file(path: &Path) -> Attempt<Tables> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Tables::default()),
        Err(error) => return Err(failed(error)),
    };
    let corrupt = |error| {
        StoreError::new(StoreErrorKind::Corrupt, "the file is none of ours").with_source(error)
    };
    let (format, tables): (u32, &RawValue) = serde_json::from_str(&text).map_err(corrupt)?;
    if format > FORMAT {
        let context = format!("the file has format {format}");
        return Err(StoreError::new(StoreErrorKind::NewerFormat, context));
    }
    serde_json::from_str(tables.get()).map_err(corrupt)
}

/// Beside the old one first, and on the disk, so that at any moment one of the two is whole.
fn write_file(path: &Path, tables: &Tables) -> Attempt<()> {
    let beside = path.with_extension("new");
    let write = || {
        let text = serde_json::to_vec(&(FORMAT, tables))?;
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(failed)
}

/// Waits until the newest file has its name on the disk, too. Not every system can be asked for that.
fn sync_folder(path: &Path) -> Attempt<()> {
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = File::open(folder).map_err(failed)?;
        folder.sync_all().map_err(failed)?;
    }
    Ok(())
}

fn failed(error: io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreErrorKind::Full,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, "the file of the database").with_source(error)
}

#[async_trait]
impl Outbox for JsonStore {
    async fn enqueue(&self, request: EnqueueRequest) -> Attempt<Vec<Enqueued>> {
        self.write(|tables| {
            let mut loaded = tables.load([], request.edits.iter().map(|edit| &edit.key));
            for edit in &request.edits {
                let scope = &edit.key.scope;
                let last = tables.entries_of(scope).rfind(|entry| entry.is_pending());
                loaded
                    .tails
                    .extend(last.map(|last| (scope.clone(), last.seq)));
            }
            let (outcomes, writes) = overlay::enqueue(loaded, &request)?;
            tables.store(writes);
            Ok(outcomes)
        })
    }

    async fn take(&self, request: TakeRequest) -> Attempt<Taken> {
        let taken = self.write(|tables| {
            overlay::check_fence(&tables.meta, request.fence)?;
            let mut take = Take::new(tables.meta.clone(), &request);
            for entry in tables.entries.values().filter(|entry| entry.is_pending()) {
                let key = &entry.mutation.key;
                if take.wants(key) {
                    let (stack, scope) = (tables.stack(key), tables.scope(&key.scope));
                    if take.offer(key, entry.seq, stack, scope) == Offer::Full {
                        break;
                    }
                }
            }
            let (taken, writes) = take.finish();
            tables.store(writes);
            Ok(taken)
        })?;
        // What goes out now is known to have gone out, after a power cut too.
        sync_folder(&self.0.path)?;
        Ok(taken)
    }

    async fn settle(&self, request: SettleRequest) -> Attempt<SettleReport> {
        self.write(|tables| {
            let needs = overlay::settle_needs(&request.settlements);
            let answered = tables.entries.values().map(|entry| &entry.mutation);
            let answered = answered.filter(|mutation| needs.ids.contains(&mutation.id));
            let mut keys: BTreeSet<RecordKey> = answered.map(|m| m.key.clone()).collect();
            for scope in &needs.judged {
                keys.extend(tables.overlaid(scope, Some(EntryKind::Pending)));
            }
            let (report, writes) = overlay::settle(tables.load([], &keys), &request)?;
            tables.store(writes);
            Ok(report)
        })
    }

    async fn entries(&self, filter: EntryFilter) -> Attempt<Vec<Entry>> {
        let EntryFilter { scope, key, state } = filter;
        let matches = |entry: &&Entry| {
            let of = &entry.mutation.key;
            scope.as_ref().is_none_or(|scope| *scope == of.scope)
                && key.as_ref().is_none_or(|key| key == of)
                && state.is_none_or(|state| state == entry.kind())
        };
        let tables = self.read();
        Ok(tables.entries.values().filter(matches).cloned().collect())
    }

    async fn retry(&self, key: RecordKey, stamp: Stamp) -> Attempt<(Option<MutationId>, Touched)> {
        self.write(|tables| {
            let (id, writes) = overlay::retry(tables.load([], [&key]), &key, stamp);
            Ok((id, tables.store(writes)))
        })
    }

    async fn discard(&self, key: RecordKey) -> Attempt<(Vec<Entry>, Touched)> {
        self.write(|tables| {
            let (dropped, writes) = overlay::discard(tables.load([], [&key]), &key);
            Ok((dropped, tables.store(writes)))
        })
    }

    async fn counts(&self, scope: Option<Scope>) -> Attempt<Counts> {
        Ok(self.read().counts(scope.as_ref()))
    }
}

#[async_trait]
impl CursorStore for JsonStore {
    async fn bind(&self, account: Account) -> Attempt<()> {
        self.write(|tables| {
            if tables.meta.account.is_some() {
                return overlay::check_account(&tables.meta, &account);
            }
            tables.meta.account = Some(account);
            Ok(())
        })
    }

    async fn lead(&self, account: Account) -> Attempt<Fence> {
        self.write(|tables| {
            overlay::check_account(&tables.meta, &account)?;
            tables.meta.fence.0 += 1;
            Ok(tables.meta.fence)
        })
    }

    async fn scope(&self, scope: Scope) -> Attempt<(ScopeRow, Tick)> {
        let tables = self.read();
        Ok((tables.scope(&scope), tables.meta.tick))
    }

    async fn scopes(&self) -> Attempt<Vec<ScopeRow>> {
        Ok(self.read().scopes.values().cloned().collect())
    }
}

#[async_trait]
impl ChangeApplier for JsonStore {
    async fn apply(&self, request: ApplyRequest) -> Attempt<ApplyOutcome> {
        self.write(|tables| {
            let scope = &request.scope;
            let key = |change: &Change| RecordKey {
                scope: scope.clone(),
                entity_type: change.entity_type.clone(),
                entity_id: change.entity_id.clone(),
            };
            let overlaid = tables.overlaid(scope, None);
            let in_page = request.page.changes.iter().map(key);
            let mut keys: BTreeSet<_> = in_page.filter(|key| overlaid.contains(key)).collect();
            match overlay::apply_needs(tables.scopes.get(scope), &request.page) {
                ApplyNeeds::Page => {}
                ApplyNeeds::Acknowledged => {
                    keys.extend(tables.overlaid(scope, Some(EntryKind::Acknowledged)));
                }
                ApplyNeeds::Overlaid => keys.extend(overlaid),
            }
            let loaded = tables.load([scope], &keys);
            let (writes, mut applied) = match overlay::apply(loaded, &request)? {
                Planned::Not(outcome) => return Ok(outcome),
                Planned::Write { writes, applied } => (writes, applied),
            };
            // The records that nothing lies over are stored as they come.
            for change in &request.page.changes {
                let key = key(change);
                if keys.contains(&key) {
                    continue;
                }
                let key = key.detached();
                applied.touched.add(&key.scope, &key.entity_type);
                let row = change.op.payload().map(|payload| RecordRow {
                    key: key.clone(),
                    payload: payload.detached(),
                    schema: change.schema,
                    seq: change.seq,
                    generation: request.generation,
                    marks: Marks::default(),
                });
                put_or_remove(&mut tables.records, key, row);
            }
            tables.store(*writes);
            Ok(ApplyOutcome::Applied(applied))
        })
    }

    async fn resync(&self, scope: Scope, new_epoch: bool, fence: Fence) -> Attempt<Touched> {
        self.write(|tables| {
            let loaded = tables.load([&scope], &tables.overlaid(&scope, None));
            let writes = overlay::resync(loaded, &scope, new_epoch, fence)?;
            Ok(tables.store(writes))
        })
    }

    async fn sweep(&self, scope: Scope, limit: u32, fence: Fence) -> Attempt<SweepOutcome> {
        self.write(|tables| {
            overlay::check_fence(&tables.meta, fence)?;
            let mut outcome = SweepOutcome::default();
            let mut row = tables.scope(&scope);
            let Some(resync) = row.resync.as_mut().filter(|resync| resync.sweeping) else {
                outcome.done = true;
                return Ok(outcome);
            };
            let first = RecordKey::new(scope.clone(), "", "");
            let swept = resync.swept.clone();
            let from = swept.map_or(Bound::Included(first), Bound::Excluded);
            let next = tables.records.range((from, Bound::Unbounded));
            let next = next.take_while(|(key, _)| key.scope == scope);
            let next = next.take(limit.max(1) as usize);
            let step: Vec<_> = next
                .map(|(key, row)| (key.clone(), row.generation))
                .collect();
            let Some((last, _)) = step.last() else {
                outcome.done = true;
                let writes = overlay::sweep_end(tables.load([&scope], []), &scope);
                tables.store(writes);
                return Ok(outcome);
            };
            resync.swept = Some(last.clone());
            for (key, generation) in step {
                if generation < row.generation {
                    outcome.touched.add(&key.scope, &key.entity_type);
                    tables.records.remove(&key);
                }
            }
            tables.scopes.insert(scope, row);
            Ok(outcome)
        })
    }

    async fn purge(&self, scope: Scope, at: Timestamp, fence: Fence) -> Attempt<Purged> {
        self.write(|tables| {
            let entries = tables.entries_of(&scope).cloned().collect();
            let loaded = tables.load([&scope], []);
            let (row, revoked) = overlay::purge(&loaded, &scope, entries, at, fence)?;
            let mut purged = Purged::default();
            for record in tables.records_of(&scope) {
                purged.touched.add(&scope, &record.key.entity_type);
            }
            tables.records.retain(|key, _| key.scope != scope);
            tables.bases.retain(|key, _| key.scope != scope);
            tables
                .entries
                .retain(|_, entry| entry.mutation.key.scope != scope);
            purged.revoked = revoked.len() as u64;
            tables.revoked.extend(revoked);
            tables.scopes.insert(scope, row);
            Ok(purged)
        })
    }

    async fn wipe(&self, force: bool) -> Attempt<Touched> {
        self.write(|tables| {
            let (revoked, conflicts) = (tables.revoked.len(), tables.conflicts.len());
            let counts = tables.counts(None);
            overlay::may_wipe(counts, revoked as u64, conflicts as u64, force)?;
            let mut touched = Touched::default();
            for key in tables.records.keys() {
                touched.add(&key.scope, &key.entity_type);
            }
            // No token and no generation of before may ever come again.
            let mut meta = tables.meta.clone();
            let newest = tables.scopes.values().map(|row| row.generation).max();
            meta.first_generation = newest
                .max(Some(meta.first_generation))
                .map_or(Generation(1), Generation::next);
            meta.fence.0 += 1;
            meta.account = None;
            *tables = Tables {
                meta,
                ..Tables::default()
            };
            Ok(touched)
        })
    }
}

#[async_trait]
impl Records for JsonStore {
    async fn get(&self, key: RecordKey) -> Attempt<Option<RecordRow>> {
        Ok(self.read().records.get(&key).cloned())
    }

    async fn list(&self, request: ListRequest) -> Attempt<Vec<RecordRow>> {
        let tables = self.read();
        let rows = tables.records_of(&request.scope).filter(|row| {
            let RecordKey {
                entity_type,
                entity_id,
                ..
            } = &row.key;
            *entity_type == request.entity_type
                && request.after.as_ref().is_none_or(|after| entity_id > after)
        });
        let limit = request.limit.map_or(usize::MAX, |limit| limit as usize);
        Ok(rows.take(limit).cloned().collect())
    }

    async fn count(&self, scope: Scope, entity_type: Option<EntityType>) -> Attempt<u64> {
        let tables = self.read();
        let of_type = |row: &&RecordRow| {
            let wanted = entity_type.as_ref();
            wanted.is_none_or(|wanted| *wanted == row.key.entity_type)
        };
        Ok(tables.records_of(&scope).filter(of_type).count() as u64)
    }
}

#[async_trait]
impl Conflicts for JsonStore {
    async fn conflicts(&self, scope: Option<Scope>) -> Attempt<Vec<Conflict>> {
        let of_scope = |c: &&Conflict| scope.as_ref().is_none_or(|scope| *scope == c.key.scope);
        Ok(self
            .read()
            .conflicts
            .iter()
            .filter(of_scope)
            .cloned()
            .collect())
    }

    async fn acknowledge_conflicts(&self, ids: Vec<MutationId>) -> Attempt<Touched> {
        self.write(|tables| {
            let mut touched = Touched::default();
            for gone in tables
                .conflicts
                .extract_if(.., |c| ids.contains(&c.mutation_id))
            {
                touched.add(&gone.key.scope, &gone.key.entity_type);
            }
            Ok(touched)
        })
    }

    async fn revoked(&self) -> Attempt<Vec<Revoked>> {
        Ok(self.read().revoked.clone())
    }

    async fn acknowledge_revoked(&self, ids: Vec<MutationId>) -> Attempt<()> {
        self.write(|tables| {
            tables
                .revoked
                .retain(|revoked| !ids.contains(&revoked.mutation.id));
            Ok(())
        })
    }
}

// `Local` does where one process has the database for itself.
impl Coordination for JsonStore {
    fn leadership(&self) -> Arc<dyn Leadership> {
        Arc::new(self.0.local.clone())
    }

    fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(self.0.local.clone())
    }
}

/// The databases of a run of the suite: files in a folder that goes with it.
struct Folder(TempDir);

impl Folder {
    fn new() -> io::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }
}

#[async_trait]
impl Subject for Folder {
    async fn open(&self, name: &str) -> Attempt<Arc<dyn Store>> {
        let path = self.0.path().join(name).with_extension("json");
        Ok(Arc::new(JsonStore::open(&path)?))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> examples::Result {
    let folder = Folder::new()?;
    let report = store_suite::check_with(&folder, |case, failure| match failure {
        None => println!("ok      {}", case.name()),
        Some(failure) => println!("FAILED  {}: {failure}", case.name()),
    });
    let report = report.await;
    println!("{} cases, {} failed", report.results.len(), report.failed());
    match report.failed() {
        0 => Ok(()),
        failed => Err(format!("the store is not right: {failed} cases failed").into()),
    }
}

#[cfg(test)]
mod tests {
    sync_testing::store_suite!(super::Folder::new().unwrap());
}
