//! What the tests of a window and of a worker share.

pub(crate) mod browser;
pub(crate) mod device;
pub(crate) mod elsewhere;
pub(crate) mod server;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{Change, ChangeOp, Op, Page, Payload, RecordKey, Schema},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, CursorStore, Edit, EnqueueRequest, Fence,
        ListRequest, RecordRow, Records, Stamp, Store,
    },
    time::Timestamp,
    transport::ServerTraits,
};
use sync_idb::{Builder, IdbStore};
use sync_testing::store_suite::Subject;

/// A name that no other database of this run has.
pub(crate) fn fresh(name: &str) -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let run = js_sys::Math::random().to_bits();
    format!("{name}-{run:x}-{n}")
}

/// The store under test: each opening is a tab of its own, as far as IndexedDB can tell.
pub(crate) struct Tabs {
    run: String,
    settings: fn(Builder) -> Builder,
}

impl Tabs {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(settings: fn(Builder) -> Builder) -> Self {
        Self {
            run: fresh("suite"),
            settings,
        }
    }
}

#[async_trait(?Send)]
impl Subject for Tabs {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let builder = IdbStore::builder(format!("{}-{name}", self.run));
        Ok(Arc::new((self.settings)(builder).open().await?))
    }
}

/// A store as an engine has it: bound, with the lead.
pub(crate) async fn leading(store: IdbStore) -> (IdbStore, Fence) {
    store.bind("ann".into()).await.unwrap();
    let fence = store.lead("ann".into()).await.unwrap();
    (store, fence)
}

/// An edit to enqueue.
pub(crate) fn create(id: &str, json: &str) -> EnqueueRequest {
    EnqueueRequest {
        account: "ann".into(),
        stamp: Stamp {
            now: Timestamp::from_millis(1_700_000_000_000),
            random: u128::from(js_sys::Math::random().to_bits()),
        },
        edits: vec![Edit {
            key: key(id),
            op: Op::Create(Payload::parse(json).unwrap()),
            schema: Schema(1),
            expect: None,
        }],
    }
}

pub(crate) fn key(id: &str) -> RecordKey {
    RecordKey::new("baby", "feed_log", id)
}

/// The next page of the scope: these records of a type, pulled.
pub(crate) async fn pull(store: &IdbStore, fence: Fence, next: &str, records: &[(&str, &str)]) {
    let outcome = store.apply(page(store, fence, next, records).await).await;
    assert!(
        matches!(outcome, Ok(ApplyOutcome::Applied(_))),
        "{outcome:?}"
    );
}

pub(crate) async fn page(
    store: &IdbStore,
    fence: Fence,
    next: &str,
    records: &[(&str, &str)],
) -> ApplyRequest {
    let (row, began) = store.scope("baby".into()).await.unwrap();
    let changes = (1..).zip(records).map(|(seq, (id, json))| Change {
        entity_type: "feed_log".into(),
        entity_id: (*id).into(),
        op: ChangeOp::Put(Payload::parse(*json).unwrap()),
        schema: Schema(1),
        seq: Some(seq),
        mutation_id: None,
        overwritten: Vec::new(),
    });
    ApplyRequest {
        fence,
        scope: row.scope,
        generation: row.generation,
        from: row.cursor,
        began,
        now: Timestamp::from_millis(1),
        traits: ServerTraits::default(),
        page: Page {
            changes: changes.collect(),
            next: next.into(),
            has_more: true,
            through: None,
            epoch: None,
            verdict_retention: None,
        },
    }
}

/// The records of the scope, as id and JSON.
pub(crate) async fn list(store: &IdbStore) -> Vec<(String, String)> {
    let request = ListRequest {
        scope: "baby".into(),
        entity_type: "feed_log".into(),
        after: None,
        limit: None,
    };
    let rows = store.list(request).await.unwrap();
    rows.iter().map(shown).collect()
}

pub(crate) fn shown(row: &RecordRow) -> (String, String) {
    let id = row.key.entity_id.as_str();
    (id.to_owned(), row.payload.as_str().to_owned())
}
