//! Bugs of enqueueing.

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    store::{EnqueueRequest, Enqueued, MemoryStore, Outbox},
};

use crate::bent::Bug;

#[derive(Default)]
pub(super) struct EnqueuesTwice;

#[async_trait]
impl Bug for EnqueuesTwice {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        mut request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        for n in 0..request.edits.len() {
            let mut copy = request.edits[n].clone();
            copy.key = sync_core::model::RecordKey::new(copy.key.scope, "copy", "copy");
            request.edits.push(copy);
        }
        store.enqueue(request).await
    }
}

#[derive(Default)]
pub(super) struct EnqueuesOneByOne;

#[async_trait]
impl Bug for EnqueuesOneByOne {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        let mut outcomes = Vec::new();
        for edit in request.edits {
            let edits = vec![edit];
            let account = request.account.clone();
            let one = EnqueueRequest {
                account,
                edits,
                ..request
            };
            outcomes.extend(store.enqueue(one).await?);
        }
        Ok(outcomes)
    }
}
