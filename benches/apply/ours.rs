//! The store as an app opens it, fed as the engine feeds it.

use std::{path::Path, sync::Arc};

use futures::executor::block_on;
use sync_core::{
    model::{Account, Cursor, Generation, Op, RecordKey, Schema},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, CursorStore, Edit, EnqueueRequest, Fence,
        Outbox, Stamp, Tick,
    },
    time::Timestamp,
    transport::ServerTraits,
};
use sync_http::dialect::Dialect;
use sync_sqlite::{Builder, SqliteStore};

use crate::workload::{ENTITY_TYPE, Random, SCOPE, payload};

const ACCOUNT: &str = "ann";
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

pub(crate) struct Ours {
    store: SqliteStore,
    fence: Fence,
    generation: Generation,
    began: Tick,
    pub(crate) cursor: Option<Cursor>,
}

impl Ours {
    pub(crate) fn open(file: &Path) -> Self {
        Self::open_with(SqliteStore::builder(file))
    }

    pub(crate) fn open_with(builder: Builder) -> Self {
        block_on(async {
            let store = builder.open().await.unwrap();
            store.bind(Account::from(ACCOUNT)).await.unwrap();
            let fence = store.lead(Account::from(ACCOUNT)).await.unwrap();
            let (scope, began) = store.scope(SCOPE.into()).await.unwrap();
            Self {
                store,
                fence,
                generation: scope.generation,
                began,
                cursor: scope.cursor,
            }
        })
    }

    /// From the body of an answer, as the transport hands it on, to the commit.
    pub(crate) fn apply(&mut self, body: Vec<u8>) {
        let body: Arc<str> = String::from_utf8(body).unwrap().into();
        let page = Dialect::Own.decode_page(&body).unwrap();
        let next = page.next.detached();
        let request = ApplyRequest {
            fence: self.fence,
            scope: SCOPE.into(),
            generation: self.generation,
            from: self.cursor.replace(next),
            began: self.began,
            now: NOW,
            traits: ServerTraits::default(),
            page,
        };
        let outcome = block_on(self.store.apply(request)).unwrap();
        assert!(matches!(outcome, ApplyOutcome::Applied(_)), "{outcome:?}");
    }

    /// Edits of records that no page touches, waiting to be pushed.
    pub(crate) fn enqueue(&self, edits: usize) {
        let mut random = Random(0xe41);
        let edits = (0..edits).map(|_| {
            let id = random.uuid();
            Edit {
                key: RecordKey::new(SCOPE, ENTITY_TYPE, id.to_string()),
                op: Op::Create(payload(&mut random, id, 0)),
                schema: Schema(1),
                expect: None,
            }
        });
        let request = EnqueueRequest {
            account: Account::from(ACCOUNT),
            edits: edits.collect(),
            stamp: Stamp {
                now: NOW,
                random: 1,
            },
        };
        block_on(self.store.enqueue(request)).unwrap();
    }

    pub(crate) fn close(self) {
        block_on(self.store.close());
    }
}
