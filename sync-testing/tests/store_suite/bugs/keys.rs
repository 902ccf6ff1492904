//! Bugs of telling texts apart.

use std::marker::PhantomData;

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::RecordKey,
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, EnqueueRequest, Enqueued, MemoryStore, Outbox,
        RecordRow, Records,
    },
};

use crate::bent::Bug;

/// What a database makes of a record's type and id before it compares them.
pub(super) trait Collation: Default + Send + Sync {
    fn collate(entity_type: &str, id: &str) -> (String, String);
}

/// Records are found by their collated types and ids.
#[derive(Default)]
pub(super) struct Collated<C>(PhantomData<C>);

fn collated<C: Collation>(key: &RecordKey) -> RecordKey {
    let (entity_type, id) = C::collate(key.entity_type.as_str(), key.entity_id.as_str());
    RecordKey::new(key.scope.clone(), entity_type, id)
}

#[async_trait]
impl<C: Collation> Bug for Collated<C> {
    async fn enqueue(
        &self,
        store: &MemoryStore,
        mut request: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        for edit in &mut request.edits {
            edit.key = collated::<C>(&edit.key);
        }
        store.enqueue(request).await
    }

    async fn apply(
        &self,
        store: &MemoryStore,
        mut request: ApplyRequest,
    ) -> Result<ApplyOutcome, StoreError> {
        for change in &mut request.page.changes {
            let (entity_type, id) =
                C::collate(change.entity_type.as_str(), change.entity_id.as_str());
            change.entity_type = entity_type.into();
            change.entity_id = id.into();
        }
        store.apply(request).await
    }

    async fn get(
        &self,
        store: &MemoryStore,
        key: RecordKey,
    ) -> Result<Option<RecordRow>, StoreError> {
        let row = store.get(collated::<C>(&key)).await?;
        Ok(row.map(|row| RecordRow { key, ..row }))
    }
}

macro_rules! collations {
    ($($bug:ident: $collation:ident, |$entity_type:ident, $id:ident| $collated:expr;)*) => {$(
        #[derive(Default)]
        pub(super) struct $collation;

        impl Collation for $collation {
            fn collate($entity_type: &str, $id: &str) -> (String, String) {
                $collated
            }
        }

        pub(super) type $bug = Collated<$collation>;
    )*};
}

collations! {
    EndsAtNul: CStrings, |t, id| (t.to_owned(), id.split('\0').next().unwrap_or(id).to_owned());
    IgnoresCase: Lowercase, |t, id| (t.to_owned(), id.to_lowercase());
    Normalises: Composed, |t, id| (t.to_owned(), id.replace("e\u{301}", "\u{e9}"));
    PadsWithSpaces: Trimmed, |t, id| (t.to_owned(), id.trim_end_matches(' ').to_owned());
    ParsesUuids: Uuids, |t, id| (t.to_owned(), as_uuid(id));
    ComparesAPrefix: Prefix, |t, id| (t.to_owned(), id.chars().take(255).collect());
    JoinsTypeAndId: Joined, |t, id| (String::new(), format!("{t}/{id}"));
}

/// What is a UUID in whatever case comes back in lower case.
fn as_uuid(id: &str) -> String {
    let is_uuid = id.len() == 36 && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    match is_uuid {
        true => id.to_ascii_lowercase(),
        false => id.to_owned(),
    }
}
