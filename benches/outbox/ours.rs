//! The store as an app opens it, called as the engine calls it.

use std::{
    path::Path,
    sync::{Arc, Mutex},
};

use benches::records::{ENTITY_TYPE, EPOCH, Random};
use futures::executor::block_on;
use rusqlite::{Connection, types::ValueRef};
use sync_core::{
    model::{Account, Cursor, Generation, MutationId, Op, Page, RecordKey, Schema, Version},
    policy::{NoUpgrade, ServerWins},
    scheduler::Settings,
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, CursorStore, Edit, EnqueueRequest, Fence,
        Outbox, Pick, RecordRow, Records, SettleRequest, Settlement, Stamp, TakeRequest, Tick,
    },
    time::Timestamp,
    transport::{ServerTraits, Verdict},
};
use sync_sqlite::{Builder, Projection, ProjectionError, SqliteStore};

use crate::{
    SCOPE,
    edits::{Kind, Queued},
};

const ACCOUNT: &str = "ann";
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

pub(crate) struct Ours {
    store: SqliteStore,
    fence: Fence,
    generation: Generation,
    cursor: Option<Cursor>,
    /// The number of the scope's newest change on the server.
    seq: u64,
    random: Random,
}

impl Ours {
    pub(crate) fn open(file: &Path) -> Self {
        Self::open_with(SqliteStore::builder(file))
    }

    fn open_with(builder: Builder) -> Self {
        block_on(async {
            let store = builder.open().await.unwrap();
            store.bind(Account::from(ACCOUNT)).await.unwrap();
            let fence = store.lead(Account::from(ACCOUNT)).await.unwrap();
            let (scope, _) = store.scope(SCOPE.into()).await.unwrap();
            Self {
                store,
                fence,
                generation: scope.generation,
                cursor: scope.cursor,
                seq: scope.through.unwrap_or(0),
                random: Random(0x0b0e),
            }
        })
    }

    /// The settings of an enqueue, as its own connection states them: a projection is given it.
    pub(crate) fn pragmas(file: &Path) -> String {
        let seen = Seen::default();
        let builder = SqliteStore::builder(file).projection(ENTITY_TYPE, seen.clone());
        let mut ours = Self::open_with(builder);
        let mut random = Random(0);
        let id = random.uuid();
        ours.enqueue(vec![Queued::new(&mut random, Kind::Create, id).ours()]);
        ours.close();
        let seen = seen.0.lock().unwrap();
        seen.clone()
    }

    /// The number of the scope's newest change.
    pub(crate) fn seq(&self) -> u64 {
        self.seq
    }

    /// Takes in a page.
    pub(crate) fn apply(&mut self, page: Page) {
        self.seq = page.through.unwrap_or(self.seq);
        let request = ApplyRequest {
            fence: self.fence,
            scope: SCOPE.into(),
            generation: self.generation,
            from: self.cursor.replace(page.next.detached()),
            began: Tick(0),
            now: NOW,
            traits: ServerTraits::default(),
            page,
        };
        let outcome = block_on(self.store.apply(request)).unwrap();
        assert!(matches!(outcome, ApplyOutcome::Applied(_)), "{outcome:?}");
    }

    /// Enqueues edits, each by a call of its own.
    pub(crate) fn enqueue(&mut self, edits: Vec<(RecordKey, Op)>) {
        for edit in edits {
            self.enqueue_together([edit]);
        }
    }

    /// Enqueues edits by one call.
    pub(crate) fn enqueue_together(&mut self, edits: impl IntoIterator<Item = (RecordKey, Op)>) {
        let edits = edits.into_iter().map(|(key, op)| Edit {
            key,
            op,
            schema: Schema(1),
            expect: None,
        });
        let request = EnqueueRequest {
            account: Account::from(ACCOUNT),
            edits: edits.collect(),
            stamp: self.stamp(),
        };
        block_on(self.store.enqueue(request)).unwrap();
    }

    /// Takes a batch such as the engine takes.
    pub(crate) fn take(&mut self) -> Vec<MutationId> {
        let settings = Settings::default();
        let request = TakeRequest {
            fence: self.fence,
            now: NOW,
            pick: Pick::default(),
            max_count: settings.batch_count,
            max_bytes: settings.batch_bytes,
            traits: ServerTraits::default(),
            upgrade: Arc::new(NoUpgrade),
        };
        let taken = block_on(self.store.take(request)).unwrap();
        let ids = taken.entries.iter().map(|taken| taken.entry.mutation.id);
        ids.collect()
    }

    /// Settles a batch that the server has applied.
    pub(crate) fn settle(&mut self, batch: &[MutationId]) {
        let settlements = batch.iter().map(|id| {
            self.seq += 1;
            let verdict = Verdict::Applied {
                version: Some(Version::new(EPOCH, self.seq)),
                record: None,
            };
            Settlement::Answer(*id, verdict)
        });
        let request = SettleRequest {
            fence: self.fence,
            settlements: settlements.collect(),
            stamp: self.stamp(),
            resolve: Arc::new(ServerWins),
            traits: ServerTraits::default(),
            max_again: 3,
            verdict_retention: None,
        };
        let report = block_on(self.store.settle(request)).unwrap();
        assert_eq!(report.applied.len(), batch.len());
    }

    /// Pulls past all that was settled, so that nothing of it is left in the overlay.
    pub(crate) fn confirm(&mut self) {
        let page = Page {
            changes: Vec::new(),
            next: Cursor::from(format!("{EPOCH}.{}", self.seq)),
            has_more: false,
            through: Some(self.seq),
            epoch: Some(EPOCH.into()),
            verdict_retention: None,
        };
        self.apply(page);
    }

    pub(crate) fn pending(&self) -> u64 {
        block_on(self.store.counts(None)).unwrap().pending
    }

    pub(crate) fn records(&self) -> u64 {
        block_on(self.store.count(SCOPE.into(), Some(ENTITY_TYPE.into()))).unwrap()
    }

    pub(crate) fn close(self) {
        block_on(self.store.close());
    }

    fn stamp(&mut self) -> Stamp {
        Stamp {
            now: NOW,
            random: self.random.wide(),
        }
    }
}

const PRAGMAS: [&str; 5] = [
    "journal_mode",
    "synchronous",
    "page_size",
    "cache_size",
    "wal_autocheckpoint",
];

/// The settings of a connection.
pub(crate) fn pragmas(conn: &Connection) -> rusqlite::Result<String> {
    let mut all = Vec::new();
    for pragma in PRAGMAS {
        let value = conn.query_row(&format!("PRAGMA {pragma}"), [], |row| {
            Ok(match row.get_ref(0)? {
                ValueRef::Integer(number) => number.to_string(),
                value => value.as_str()?.to_owned(),
            })
        })?;
        all.push(format!("{pragma}={value}"));
    }
    Ok(all.join(" "))
}

#[derive(Clone, Debug, Default)]
struct Seen(Arc<Mutex<String>>);

impl Projection for Seen {
    fn version(&self) -> u32 {
        1
    }

    fn prepare(&self, _: &Connection) -> Result<(), ProjectionError> {
        Ok(())
    }

    fn put(&self, tables: &Connection, _: &RecordRow) -> Result<(), ProjectionError> {
        *self.0.lock().unwrap() = pragmas(tables)?;
        Ok(())
    }

    fn remove(&self, _: &Connection, _: &RecordKey) -> Result<(), ProjectionError> {
        Ok(())
    }
}
