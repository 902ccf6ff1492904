//! A change log that falters in the middle of a batch.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{EntityId, EntityType, Epoch, Scope},
    time::Timestamp,
    transport::{Answer, Verdict},
};
use sync_server::log::{
    BatchRequest, ChangeLog, Compacted, MemoryLog, NewEpoch, ReadOutcome, ReadRequest, Retention,
    ScopeRow,
};

use crate::simulator::executor::lock;

/// What happens to the next batch once its first mutations are decided.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// The server is killed.
    Killed,
    /// The database is gone: nobody is told what was decided.
    Gone,
    /// What is left cannot be stored now, and is to be sent again.
    Stuck,
}

/// Where a log falters. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shaky(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    trouble: Option<(Trouble, usize)>,
    /// What was decided of a batch whose sender is not told.
    untold: Vec<Answer>,
}

impl Shaky {
    /// The next batch meets with trouble after so many of its mutations.
    pub(crate) fn falter(&self, trouble: Trouble, after: usize) {
        lock(&self.0).trouble = Some((trouble, after));
    }

    /// No batch does. Returns what was decided of one that did, without its sender being told.
    pub(crate) fn steady(&self) -> Vec<Answer> {
        std::mem::take(&mut *lock(&self.0)).untold
    }

    pub(crate) fn over(&self, log: MemoryLog) -> ShakyLog {
        ShakyLog {
            log,
            shaky: self.clone(),
        }
    }
}

pub(crate) struct ShakyLog {
    log: MemoryLog,
    shaky: Shaky,
}

impl fmt::Debug for ShakyLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShakyLog").finish_non_exhaustive()
    }
}

#[async_trait]
impl ChangeLog for ShakyLog {
    async fn decide(&self, mut batch: BatchRequest) -> Result<Vec<Answer>, StoreError> {
        let trouble = lock(&self.shaky.0).trouble.take();
        let Some((trouble, after)) = trouble else {
            return self.log.decide(batch).await;
        };
        let left = batch.mutations.split_off(after.min(batch.mutations.len()));
        let mut answers = self.log.decide(batch).await?;
        match trouble {
            Trouble::Killed => {
                lock(&self.shaky.0).untold = answers;
                std::future::pending().await
            }
            Trouble::Gone => {
                lock(&self.shaky.0).untold = answers;
                Err(StoreError::new(
                    StoreErrorKind::Unavailable,
                    "the server's database is gone",
                ))
            }
            Trouble::Stuck => {
                answers.extend(left.into_iter().map(|incoming| Answer {
                    id: incoming.id,
                    verdict: Verdict::Retry {
                        after: None,
                        resync: false,
                    },
                }));
                Ok(answers)
            }
        }
    }

    async fn read(&self, request: ReadRequest) -> Result<ReadOutcome, StoreError> {
        self.log.read(request).await
    }

    async fn scope(&self, scope: Scope) -> Result<Option<ScopeRow>, StoreError> {
        self.log.scope(scope).await
    }

    async fn open(&self, scope: Scope, epoch: Epoch) -> Result<ScopeRow, StoreError> {
        self.log.open(scope, epoch).await
    }

    async fn new_epoch(&self, request: NewEpoch) -> Result<(), StoreError> {
        self.log.new_epoch(request).await
    }

    async fn compact(&self, now: Timestamp, retention: Retention) -> Result<Compacted, StoreError> {
        self.log.compact(now, retention).await
    }

    async fn locate(
        &self,
        entity_type: EntityType,
        entity_id: EntityId,
    ) -> Result<Vec<Scope>, StoreError> {
        self.log.locate(entity_type, entity_id).await
    }
}
