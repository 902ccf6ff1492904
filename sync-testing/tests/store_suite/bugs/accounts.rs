//! Bugs of accounts and tokens.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::Account,
    store::{CursorStore, Fence, MemoryStore},
};

use crate::bent::Bug;

#[derive(Default)]
pub(super) struct BindsOnceAndIgnoresTheRest;

#[async_trait]
impl Bug for BindsOnceAndIgnoresTheRest {
    async fn bind(&self, store: &MemoryStore, account: Account) -> Result<(), StoreError> {
        // INSERT OR IGNORE.
        store.bind(account).await.or(Ok(()))
    }
}

#[derive(Default)]
pub(super) struct ForgetsItsAccount;

impl Bug for ForgetsItsAccount {
    fn reopened(&self, _: &MemoryStore) -> MemoryStore {
        MemoryStore::new()
    }
}

#[derive(Default)]
pub(super) struct BindsWithTheFirstLeader;

#[async_trait]
impl Bug for BindsWithTheFirstLeader {
    async fn lead(&self, store: &MemoryStore, account: Account) -> Result<Fence, StoreError> {
        store.bind(account.clone()).await?;
        store.lead(account).await
    }
}

#[derive(Default)]
pub(super) struct LeadsForAnybody;

#[async_trait]
impl Bug for LeadsForAnybody {
    async fn lead(&self, store: &MemoryStore, _: Account) -> Result<Fence, StoreError> {
        store.lead(Account::from("ann")).await
    }
}

/// How many tokens were given out since the database was opened.
#[derive(Default)]
pub(super) struct CountsTokensAnew(AtomicU64);

#[async_trait]
impl Bug for CountsTokensAnew {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        self.0.store(0, Ordering::Relaxed);
        store.clone()
    }

    async fn lead(&self, store: &MemoryStore, account: Account) -> Result<Fence, StoreError> {
        store.lead(account).await?;
        Ok(Fence(self.0.fetch_add(1, Ordering::Relaxed) + 1))
    }
}
