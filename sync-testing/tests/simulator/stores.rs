//! Histories on other stores than the simulator's own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    store::{MemoryStore, Store},
};
use sync_testing::{simulator::Simulation, store_suite::Subject};

/// Forgets everything whenever a database is opened: a store that is not durable.
struct Forgetful(Arc<AtomicUsize>);

#[async_trait]
impl Subject for Forgetful {
    async fn open(&self, _: &str) -> Result<Arc<dyn Store>, StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(MemoryStore::new()))
    }
}

#[test]
fn a_store_that_forgets_is_found_out() {
    let opened = Arc::new(AtomicUsize::new(0));
    let of = Arc::clone(&opened);
    let simulation = Simulation::new().on(move |_| Forgetful(Arc::clone(&of)));
    let found = (0..50).any(|seed| simulation.run(seed).unwrap().violation.is_some());
    assert!(found);
    assert!(opened.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_history_that_fails_is_made_short_and_still_fails() {
    let simulation = Simulation::new().on(|_| Forgetful(Arc::default()));
    let failing = (0..50).find(|seed| simulation.run(*seed).unwrap().violation.is_some());
    let seed = failing.unwrap();
    let violation = simulation.run(seed).unwrap().violation.unwrap();
    let whole = simulation.replay(seed).unwrap();
    let short = simulation.shrink(seed).unwrap().unwrap();
    assert_eq!(
        short.violation.map(|v| v.invariant),
        Some(violation.invariant)
    );
    assert!(short.trace.matches("step").count() < whole.trace.matches("step").count());
}
