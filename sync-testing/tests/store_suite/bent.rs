//! The memory store with a bug in it.

use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sync_core::{
    coordination::{Leadership, Peers},
    error::StoreError,
    model::{Account, EntityType, MutationId, RecordKey, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, Coordination, Counts,
        CursorStore, EnqueueRequest, Enqueued, Entry, EntryFilter, Fence, ListRequest, MemoryStore,
        Outbox, Purged, RecordRow, Records, Revoked, ScopeRow, SettleReport, SettleRequest, Stamp,
        Store, SweepOutcome, TakeRequest, Taken, Tick, Touched,
    },
    time::Timestamp,
};
use sync_testing::store_suite::Subject;

/// A call under way.
pub(crate) type Called<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Makes each method of a bug pass its call on, and the wrapper's methods call the bug's.
macro_rules! roles {
    ($($role:ident { $(fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)* })*) => {
        /// One deliberate mistake: the methods that are not overridden do what they should.
        #[async_trait]
        pub(crate) trait Bug: Send + Sync {
            /// What a handle that is opened again finds.
            fn reopened(&self, store: &MemoryStore) -> MemoryStore {
                store.clone()
            }

            fn leadership(&self, store: &MemoryStore) -> Arc<dyn Leadership> {
                store.leadership()
            }

            fn peers(&self, store: &MemoryStore) -> Arc<dyn Peers> {
                store.peers()
            }

            $($(
                async fn $method(
                    &self,
                    store: &MemoryStore,
                    $($argument: $type),*
                ) -> Result<$answer, StoreError> {
                    store.$method($($argument),*).await
                }
            )*)*
        }

        $(
            #[async_trait]
            impl $role for BentStore {
                $(
                    // Not an `async fn`, so that a bug may lie before the first poll.
                    fn $method<'life0, 'async_trait>(
                        &'life0 self,
                        $($argument: $type),*
                    ) -> Called<'async_trait, $answer>
                    where
                        'life0: 'async_trait,
                        Self: 'async_trait,
                    {
                        self.bug.$method(&self.inner, $($argument),*)
                    }
                )*
            }
        )*
    };
}

roles! {
    Outbox {
        fn enqueue(request: EnqueueRequest) -> Vec<Enqueued>;
        fn take(request: TakeRequest) -> Taken;
        fn settle(request: SettleRequest) -> SettleReport;
        fn entries(filter: EntryFilter) -> Vec<Entry>;
        fn retry(key: RecordKey, stamp: Stamp) -> (Option<MutationId>, Touched);
        fn discard(key: RecordKey) -> (Vec<Entry>, Touched);
        fn counts(scope: Option<Scope>) -> Counts;
    }
    CursorStore {
        fn bind(account: Account) -> ();
        fn lead(account: Account) -> Fence;
        fn scope(scope: Scope) -> (ScopeRow, Tick);
        fn scopes() -> Vec<ScopeRow>;
    }
    ChangeApplier {
        fn apply(request: ApplyRequest) -> ApplyOutcome;
        fn resync(scope: Scope, new_epoch: bool, fence: Fence) -> Touched;
        fn sweep(scope: Scope, limit: u32, fence: Fence) -> SweepOutcome;
        fn purge(scope: Scope, at: Timestamp, fence: Fence) -> Purged;
        fn wipe(force: bool) -> Touched;
    }
    Records {
        fn get(key: RecordKey) -> Option<RecordRow>;
        fn list(request: ListRequest) -> Vec<RecordRow>;
        fn count(scope: Scope, entity_type: Option<EntityType>) -> u64;
    }
    Conflicts {
        fn conflicts(scope: Option<Scope>) -> Vec<Conflict>;
        fn acknowledge_conflicts(ids: Vec<MutationId>) -> Touched;
        fn revoked() -> Vec<Revoked>;
        fn acknowledge_revoked(ids: Vec<MutationId>) -> ();
    }
}

/// What a bug remembers.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing is wrong.
pub(crate) struct NoBug;

impl Bug for NoBug {}

struct BentStore {
    inner: MemoryStore,
    bug: Arc<dyn Bug>,
}

impl fmt::Debug for BentStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BentStore").finish_non_exhaustive()
    }
}

impl Coordination for BentStore {
    fn leadership(&self) -> Arc<dyn Leadership> {
        self.bug.leadership(&self.inner)
    }

    fn peers(&self) -> Arc<dyn Peers> {
        self.bug.peers(&self.inner)
    }
}

/// By the name of the database.
type Stores = BTreeMap<String, (MemoryStore, Arc<dyn Bug>)>;

/// Databases in memory, each with the bug.
pub(crate) struct Bent {
    bug: fn() -> Box<dyn Bug>,
    stores: Mutex<Stores>,
}

impl Bent {
    pub(crate) fn new(bug: fn() -> Box<dyn Bug>) -> Self {
        Self {
            bug,
            stores: Mutex::default(),
        }
    }
}

#[async_trait]
impl Subject for Bent {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let mut stores = locked(&self.stores);
        let (store, bug) = match stores.remove(name) {
            Some((store, bug)) => (bug.reopened(&store), bug),
            None => (MemoryStore::new(), (self.bug)().into()),
        };
        stores.insert(name.to_owned(), (store.clone(), Arc::clone(&bug)));
        Ok(Arc::new(BentStore { inner: store, bug }))
    }
}
