//! Bugs that need a history to show.

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    store::{MemoryStore, Outbox, SettleReport, SettleRequest, Settlement},
};

use crate::bent::Bug;

#[derive(Default)]
pub(super) struct GathersAnswersById;

#[async_trait]
impl Bug for GathersAnswersById {
    async fn settle(
        &self,
        store: &MemoryStore,
        mut request: SettleRequest,
    ) -> Result<SettleReport, StoreError> {
        let mut gathered: Vec<Settlement> = Vec::new();
        for settlement in request.settlements {
            let same = gathered
                .iter_mut()
                .find(|other| match (&settlement, other) {
                    (Settlement::Answer(id, _), Settlement::Answer(other, _)) => id == other,
                    _ => false,
                });
            match same {
                Some(earlier) => *earlier = settlement,
                None => gathered.push(settlement),
            }
        }
        request.settlements = gathered;
        store.settle(request).await
    }
}
