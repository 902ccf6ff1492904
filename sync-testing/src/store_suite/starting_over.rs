//! Resync, sweep and purge, as an engine calls them.

use sync_core::{
    error::StoreError,
    model::Scope,
    store::{Purged, ScopeRow, SweepOutcome, Touched},
};

use super::{Failure, database::Device, failure::Outcome};

impl Device {
    pub(crate) async fn scope(&self, scope: &str) -> Result<ScopeRow, StoreError> {
        Ok(self.store.scope(Scope::from(scope)).await?.0)
    }

    pub(crate) async fn resync(&self, scope: &str, new_epoch: bool) -> Result<Touched, StoreError> {
        let scope = Scope::from(scope);
        self.store.resync(scope, new_epoch, self.fence).await
    }

    pub(crate) async fn sweep(&self, scope: &str, limit: u32) -> Result<SweepOutcome, StoreError> {
        let scope = Scope::from(scope);
        self.store.sweep(scope, limit, self.fence).await
    }

    /// Sweeps to the end, in steps of one record, of which there are at most a few dozen.
    pub(crate) async fn sweep_all(&self, scope: &str) -> Outcome<Touched> {
        let mut touched = Touched::default();
        for _ in 0..100 {
            let step = self.sweep(scope, 1).await?;
            touched.merge(step.touched);
            if step.done {
                return Ok(touched);
            }
        }
        Err(Failure::broken(
            "a sweep should come to its end after as many steps as there are records",
        ))
    }

    pub(crate) async fn purge(&self, scope: &str) -> Result<Purged, StoreError> {
        let at = self.now();
        self.store.purge(Scope::from(scope), at, self.fence).await
    }
}
