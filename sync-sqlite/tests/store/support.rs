//! What the tests of the store have in common.

use std::sync::Arc;

use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{
        Account, Change, ChangeOp, Cursor, EntityId, EntityType, MutationId, Op, Page, Payload,
        RecordKey, Schema, Scope,
    },
    policy::{NoUpgrade, ServerWins},
    store::{
        Applied, ApplyOutcome, ApplyRequest, Edit, EnqueueRequest, Enqueued, Fence, ListRequest,
        Pick, RecordRow, SettleRequest, Settlement, Stamp, Store, TakeRequest, Tick,
    },
    time::Timestamp,
    transport::ServerTraits,
};

pub(crate) const ACCOUNT: &str = "ann";

pub(crate) fn account() -> Account {
    Account::from(ACCOUNT)
}

pub(crate) fn payload(json: &str) -> Payload {
    Payload::parse(json).unwrap()
}

pub(crate) fn key(scope: &str, id: &str) -> RecordKey {
    RecordKey::new(scope, "feed_log", id)
}

pub(crate) fn uuid(n: u128) -> String {
    uuid::Uuid::from_u128(n).to_string()
}

pub(crate) fn stamp(now: i64) -> Stamp {
    Stamp {
        now: Timestamp::from_millis(now),
        random: 0x1234_5678_9abc_def0_u128.wrapping_mul(now.unsigned_abs().into()),
    }
}

pub(crate) fn edit(key: &RecordKey, op: Op) -> Edit {
    Edit {
        key: key.clone(),
        op,
        schema: Schema(1),
        expect: None,
    }
}

pub(crate) fn create(json: &str) -> Op {
    Op::Create(payload(json))
}

pub(crate) fn update(json: &str) -> Op {
    Op::Update(payload(json))
}

pub(crate) fn enqueueing(edits: Vec<Edit>, now: i64) -> EnqueueRequest {
    EnqueueRequest {
        account: account(),
        stamp: stamp(now),
        edits,
    }
}

pub(crate) async fn enqueue(store: &impl Store, key: &RecordKey, op: Op, now: i64) -> MutationId {
    let queued = store.enqueue(enqueueing(vec![edit(key, op)], now)).await;
    match queued.unwrap()[0] {
        Enqueued::Queued(id) => id,
        Enqueued::Cancelled => panic!("the edit was cancelled"),
    }
}

/// Binds the database and takes the lead.
pub(crate) async fn lead(store: &impl Store) -> Fence {
    store.bind(account()).await.unwrap();
    store.lead(account()).await.unwrap()
}

pub(crate) fn taking(fence: Fence, max_count: u32) -> TakeRequest {
    TakeRequest {
        fence,
        now: Timestamp::from_millis(1_000_000),
        pick: Pick::default(),
        max_count,
        max_bytes: 1 << 20,
        traits: ServerTraits::default(),
        upgrade: Arc::new(NoUpgrade),
    }
}

pub(crate) fn settling(fence: Fence, settlements: Vec<Settlement>) -> SettleRequest {
    SettleRequest {
        fence,
        stamp: stamp(2_000_000),
        settlements,
        resolve: Arc::new(ServerWins),
        traits: ServerTraits::default(),
        max_again: 3,
        verdict_retention: None,
    }
}

pub(crate) fn put(entity_type: &str, id: &str, json: &str, seq: u64) -> Change {
    Change {
        entity_type: EntityType::from(entity_type),
        entity_id: EntityId::from(id),
        op: ChangeOp::Put(payload(json)),
        schema: Schema(1),
        seq: Some(seq),
        mutation_id: None,
        overwritten: Vec::new(),
    }
}

pub(crate) fn removed(entity_type: &str, id: &str, seq: u64) -> Change {
    Change {
        op: ChangeOp::Remove,
        ..put(entity_type, id, "0", seq)
    }
}

pub(crate) fn page(changes: Vec<Change>, next: &str, has_more: bool) -> Page {
    let through = changes.iter().filter_map(|change| change.seq).max();
    Page {
        changes,
        next: Cursor::from(next),
        has_more,
        through,
        epoch: Some("e1".into()),
        verdict_retention: None,
    }
}

/// Applies a page as the next one of its scope.
pub(crate) async fn pull(store: &impl Store, fence: Fence, scope: &str, page: Page) -> Applied {
    let (row, _) = store.scope(Scope::from(scope)).await.unwrap();
    let request = ApplyRequest {
        fence,
        scope: Scope::from(scope),
        generation: row.generation,
        from: row.cursor,
        began: Tick(0),
        now: Timestamp::from_millis(3_000_000),
        traits: ServerTraits::default(),
        page,
    };
    match store.apply(request).await.unwrap() {
        ApplyOutcome::Applied(applied) => applied,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn list(store: &impl Store, scope: &str) -> Vec<RecordRow> {
    let request = ListRequest {
        scope: Scope::from(scope),
        entity_type: EntityType::from("feed_log"),
        after: None,
        limit: None,
    };
    store.list(request).await.unwrap()
}

pub(crate) async fn json(store: &impl Store, key: &RecordKey) -> Option<String> {
    let record = store.get(key.clone()).await.unwrap();
    record.map(|record| record.payload.as_str().to_owned())
}

pub(crate) fn kind_of<T: std::fmt::Debug>(result: Result<T, StoreError>) -> StoreErrorKind {
    result.unwrap_err().kind().clone()
}
