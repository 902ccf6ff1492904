//! What the handle promises to compilers.

use std::fmt::Debug;

use sync_core::{
    coordination::{Leadership, Peers},
    engine::{Activation, Driver, ScopeHandle, SyncEngine},
    store::{MemoryStore, Store},
    time::{Clock, Entropy},
    transport::Transport,
};

fn is_a_handle<T: Clone + Send + Sync + PartialEq + Debug + 'static>() {}
fn is_shared<T: Send + Sync + ?Sized>() {}
fn is_spawned<F: Future + Send + 'static>(_: impl FnOnce(Driver) -> F) {}

#[test]
fn handles_go_into_contexts_and_seams_between_threads() {
    is_a_handle::<SyncEngine>();
    is_a_handle::<ScopeHandle>();
    is_shared::<Activation>();
    is_shared::<dyn Store>();
    is_shared::<dyn Transport>();
    is_shared::<dyn Leadership>();
    is_shared::<dyn Peers>();
    is_shared::<dyn Clock>();
    is_shared::<dyn Entropy>();
    is_shared::<MemoryStore>();
    is_spawned(Driver::run);
}
