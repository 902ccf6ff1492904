//! Stores with a layer around another one, through which every call goes.

use std::{pin::Pin, sync::Arc};

use async_trait::async_trait;
use sync_core::{coordination::Leadership, error::StoreError};

/// The calls of a store that change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StoreCall {
    /// `Outbox::enqueue`
    Enqueue,
    /// `Outbox::take`
    Take,
    /// `Outbox::settle`
    Settle,
    /// `Outbox::retry`
    Retry,
    /// `Outbox::discard`
    Discard,
    /// `CursorStore::bind`
    Bind,
    /// `CursorStore::lead`
    Lead,
    /// `ChangeApplier::apply`
    Apply,
    /// `ChangeApplier::resync`
    Resync,
    /// `ChangeApplier::sweep`
    Sweep,
    /// `ChangeApplier::purge`
    Purge,
    /// `ChangeApplier::wipe`
    Wipe,
    /// `Conflicts::acknowledge_conflicts` and `Conflicts::acknowledge_revoked`
    Acknowledge,
}

/// The call itself, not begun yet.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) type Next<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;
/// The call itself, not begun yet.
#[cfg(target_arch = "wasm32")]
pub(crate) type Next<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + 'a>>;

/// What is done around a call.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub(crate) trait Layer: Send + Sync + 'static {
    /// Performs a call that changes the store, or does something else in its place.
    async fn around<T: Send>(&self, call: StoreCall, next: Next<'_, T>) -> Result<T, StoreError>;

    /// What every call goes through last, also one that reads; `method` is its name.
    fn last<'a, T: Send + 'a>(&'a self, method: &'static str, next: Next<'a, T>) -> Next<'a, T> {
        let _ = method;
        next
    }

    /// What lets one engine lead, given what the store has for that.
    fn leadership(&self, inner: Arc<dyn Leadership>) -> Arc<dyn Leadership> {
        inner
    }
}

/// Implements the roles for a store with the fields `inner`, an `Arc<dyn Store>`, and `layer`, a [`Layer`]: the layer
/// sees every call that changes the store, and reads are passed on.
macro_rules! layered {
    ($store:ty) => {
        const _: () = {
            use std::sync::Arc;

            use sync_core::{
                coordination::{Leadership, Peers},
                model::{Account, EntityType, MutationId, RecordKey, Scope},
                store::*,
                time::Timestamp,
            };

            use $crate::layered::{Layer, Next, StoreCall, roles};

            roles! { $store:
                Outbox {
                    changing Enqueue: fn enqueue(request: EnqueueRequest) -> Vec<Enqueued>;
                    changing Take: fn take(request: TakeRequest) -> Taken;
                    changing Settle: fn settle(request: SettleRequest) -> SettleReport;
                    changing Retry: fn retry(key: RecordKey, stamp: Stamp) -> (Option<MutationId>, Touched);
                    changing Discard: fn discard(key: RecordKey) -> (Vec<Entry>, Touched);
                    reading fn entries(filter: EntryFilter) -> Vec<Entry>;
                    reading fn counts(scope: Option<Scope>) -> Counts;
                }
                CursorStore {
                    changing Bind: fn bind(account: Account) -> ();
                    changing Lead: fn lead(account: Account) -> Fence;
                    reading fn scope(scope: Scope) -> (ScopeRow, Tick);
                    reading fn scopes() -> Vec<ScopeRow>;
                }
                ChangeApplier {
                    changing Apply: fn apply(request: ApplyRequest) -> ApplyOutcome;
                    changing Resync: fn resync(scope: Scope, new_epoch: bool, fence: Fence) -> Touched;
                    changing Sweep: fn sweep(scope: Scope, limit: u32, fence: Fence) -> SweepOutcome;
                    changing Purge: fn purge(scope: Scope, at: Timestamp, fence: Fence) -> Purged;
                    changing Wipe: fn wipe(force: bool) -> Touched;
                }
                Records {
                    reading fn get(key: RecordKey) -> Option<RecordRow>;
                    reading fn list(request: ListRequest) -> Vec<RecordRow>;
                    reading fn count(scope: Scope, entity_type: Option<EntityType>) -> u64;
                }
                Conflicts {
                    changing Acknowledge: fn acknowledge_conflicts(ids: Vec<MutationId>) -> Touched;
                    changing Acknowledge: fn acknowledge_revoked(ids: Vec<MutationId>) -> ();
                    reading fn conflicts(scope: Option<Scope>) -> Vec<Conflict>;
                    reading fn revoked() -> Vec<Revoked>;
                }
            }

            impl Coordination for $store {
                fn leadership(&self) -> Arc<dyn Leadership> {
                    self.layer.leadership(self.inner.leadership())
                }

                fn peers(&self) -> Arc<dyn Peers> {
                    self.inner.peers()
                }
            }
        };
    };
}

macro_rules! roles {
    ($store:ty: $($role:ident {
        $(changing $call:ident: fn $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*
        $(reading fn $read:ident($($of:ident: $of_type:ty),*) -> $rows:ty;)*
    })*) => { $(
        impl $role for $store {
            // No `async fn`s: what the store does before the first poll is not put off.
            $(
                fn $method<'life0, 'async_trait>(
                    &'life0 self,
                    $($argument: $type),*
                ) -> Next<'async_trait, $answer>
                where
                    'life0: 'async_trait,
                    Self: 'async_trait,
                {
                    let next = self.inner.$method($($argument),*);
                    let next = self.layer.around(StoreCall::$call, next);
                    self.layer.last(stringify!($method), next)
                }
            )*
            $(
                fn $read<'life0, 'async_trait>(
                    &'life0 self,
                    $($of: $of_type),*
                ) -> Next<'async_trait, $rows>
                where
                    'life0: 'async_trait,
                    Self: 'async_trait,
                {
                    self.layer.last(stringify!($read), self.inner.$read($($of),*))
                }
            )*
        }
    )* };
}

pub(crate) use layered;
pub(crate) use roles;
