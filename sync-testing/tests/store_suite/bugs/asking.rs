//! What many bugs share: the memory store is asked for something else than the caller asks for.

use sync_core::{
    error::StoreError,
    model::{Change, RecordKey},
    store::{ApplyRequest, Entry, EntryFilter, MemoryStore, Outbox},
};

/// A bug that only changes the request of one method.
macro_rules! asks_wrongly {
    ($bug:ident, $method:ident($store:ident, $request:ident: $type:ty) -> $answer:ty { $($bend:tt)* }) => {
        #[derive(Default)]
        pub(super) struct $bug;

        #[async_trait]
        impl Bug for $bug {
            async fn $method(
                &self,
                $store: &MemoryStore,
                mut $request: $type,
            ) -> Result<$answer, StoreError> {
                $($bend)*
                $store.$method($request).await
            }
        }
    };
}
pub(super) use asks_wrongly;

/// The key of a change of this request's scope.
pub(super) fn key_of(request: &ApplyRequest, change: &Change) -> RecordKey {
    RecordKey {
        scope: request.scope.clone(),
        entity_type: change.entity_type.clone(),
        entity_id: change.entity_id.clone(),
    }
}

/// The entries of a record.
pub(super) async fn entries_of(
    store: &MemoryStore,
    key: RecordKey,
) -> Result<Vec<Entry>, StoreError> {
    let filter = EntryFilter {
        key: Some(key),
        ..EntryFilter::default()
    };
    store.entries(filter).await
}
