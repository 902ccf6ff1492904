//! Bugs of wiping.

use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::Account,
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflicts, CursorStore, Fence, MemoryStore,
        Outbox, Revoked, Touched,
    },
};

pub(super) use super::revocation::BeginsAgainAtOne;

use crate::bent::{Bug, locked};

#[derive(Default)]
pub(super) struct CountsOnlyTheOutbox;

#[async_trait]
impl Bug for CountsOnlyTheOutbox {
    async fn wipe(&self, store: &MemoryStore, force: bool) -> Result<Touched, StoreError> {
        let counts = store.counts(None).await?;
        store
            .wipe(force || counts.pending + counts.failed == 0)
            .await
    }
}

#[derive(Default)]
pub(super) struct CountsOnlyEntries;

#[async_trait]
impl Bug for CountsOnlyEntries {
    async fn wipe(&self, store: &MemoryStore, force: bool) -> Result<Touched, StoreError> {
        let none = store.counts(None).await? == Default::default();
        store.wipe(force || none).await
    }
}

/// One table was forgotten.
#[derive(Default)]
pub(super) struct LeavesTheRevoked(Mutex<Vec<Revoked>>);

#[async_trait]
impl Bug for LeavesTheRevoked {
    async fn wipe(&self, store: &MemoryStore, force: bool) -> Result<Touched, StoreError> {
        let revoked = store.revoked().await?;
        let touched = store.wipe(force).await?;
        locked(&self.0).extend(revoked);
        Ok(touched)
    }

    async fn revoked(&self, store: &MemoryStore) -> Result<Vec<Revoked>, StoreError> {
        let mut revoked = locked(&self.0).clone();
        revoked.extend(store.revoked().await?);
        Ok(revoked)
    }
}

#[derive(Default)]
pub(super) struct StaysBound(Mutex<Option<Account>>);

#[async_trait]
impl Bug for StaysBound {
    async fn bind(&self, store: &MemoryStore, account: Account) -> Result<(), StoreError> {
        store.bind(account.clone()).await?;
        *locked(&self.0) = Some(account);
        Ok(())
    }

    async fn wipe(&self, store: &MemoryStore, force: bool) -> Result<Touched, StoreError> {
        let touched = store.wipe(force).await?;
        let account = locked(&self.0).clone();
        if let Some(account) = account {
            store.bind(account).await?;
        }
        Ok(touched)
    }
}

/// A wipe writes a new meta row, and the fence stays as the last engine left it.
#[derive(Default)]
pub(super) struct LeavesTheFence(AtomicBool);

#[async_trait]
impl Bug for LeavesTheFence {
    async fn wipe(&self, store: &MemoryStore, force: bool) -> Result<Touched, StoreError> {
        self.0.store(true, Ordering::SeqCst);
        store.wipe(force).await
    }

    async fn apply(
        &self,
        store: &MemoryStore,
        mut request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        if self.0.load(Ordering::SeqCst) {
            request.fence = Fence(request.fence.0 + 1);
        }
        store.apply(request).await
    }
}
