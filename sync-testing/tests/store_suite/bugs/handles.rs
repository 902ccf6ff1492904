//! Bugs of several handles, and of several calls at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    store::{EnqueueRequest, Enqueued, Entry, EntryFilter, MemoryStore, Outbox},
};

use super::dropped::wait;
pub(super) use super::dropped::{AppliesInSteps, EnqueuesInSteps};
use crate::bent::Bug;

#[derive(Default)]
pub(super) struct ReadsWhatItFound;

impl Bug for ReadsWhatItFound {
    fn reopened(&self, store: &MemoryStore) -> MemoryStore {
        store.fork()
    }
}

#[derive(Default)]
pub(super) struct ListsByTime;

#[async_trait]
impl Bug for ListsByTime {
    async fn entries(
        &self,
        store: &MemoryStore,
        filter: EntryFilter,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut entries = store.entries(filter).await?;
        entries.sort_by_key(|entry| entry.mutation.edited_at);
        Ok(entries)
    }
}

#[derive(Default)]
pub(super) struct WaitsForAConnection(AtomicUsize);

#[async_trait]
impl Bug for WaitsForAConnection {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let before = self.0.fetch_add(1, Ordering::Relaxed);
        for _ in before..3 {
            wait().await;
        }
        store.enqueue(request).await
    }
}
