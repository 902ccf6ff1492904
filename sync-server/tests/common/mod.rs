//! A server in process, on each kind of log, with a clock that the test sets.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file uses a part of this; a helper that fails fails its test"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::executor::block_on;
use sync_core::{
    model::{
        Account, Change, Cursor, Mutation, MutationId, Op, Page, Payload, RecordKey, Schema, Scope,
        Version,
    },
    time::{Clock, Entropy, Time, Timestamp},
    transport::{Outgoing, PullRequest, PushRequest, ServerRecord, Verdict},
};
use sync_server::{
    Server, ServerError, ServerErrorKind,
    access::{MemoryMembers, Role},
    decide::Rules,
    log::{ChangeLog, MemoryLog, sqlite::SqliteLog},
};

/// The scope that most tests use; `ann` and `bob` are its editors.
pub const S: &str = "baby-1";

/// Runs a test on a log in memory and on SQLite.
pub fn on_every_log(test: impl AsyncFn(World)) {
    for log in [
        Arc::new(MemoryLog::new()) as Arc<dyn ChangeLog>,
        Arc::new(SqliteLog::in_memory().unwrap()),
    ] {
        eprintln!("on {log:?}");
        block_on(test(World::new(log)));
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, _: Time) {
        std::future::pending().await
    }
}

/// Counts, so that every id is another one and every run the same.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Entropy for Counter {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::SeqCst)) + 1
    }
}

#[derive(Clone, Debug)]
pub struct World {
    pub server: Server,
    pub log: Arc<dyn ChangeLog>,
    pub members: MemoryMembers,
    pub clock: Arc<ManualClock>,
    ids: Arc<AtomicU64>,
}

impl World {
    pub fn new(log: Arc<dyn ChangeLog>) -> Self {
        let members = MemoryMembers::new();
        members.grant(S, "ann", Role::Owner);
        members.grant(S, "bob", Role::Editor);
        // 2026-11-22T13:13:20Z
        let clock = Arc::new(ManualClock(AtomicI64::new(1_795_353_200_000)));
        let server = Server::new(
            Arc::clone(&log),
            Arc::new(members.clone()),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Counter::default()),
        );
        Self {
            server,
            log,
            members,
            clock,
            ids: Arc::default(),
        }
    }

    pub fn with_rules(mut self, rules: Rules) -> Self {
        self.server = self.server.with_rules(rules);
        self
    }

    pub fn sleep(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }

    pub fn id(&self) -> MutationId {
        let n = u128::from(self.ids.fetch_add(1, Ordering::SeqCst)) + 1;
        MutationId::from(uuid::Uuid::from_u128(n))
    }

    pub fn create(&self, id: &str, payload: &str) -> Edit {
        self.edit(id, Op::Create(json(payload)))
    }

    pub fn update(&self, id: &str, payload: &str) -> Edit {
        self.edit(id, Op::Update(json(payload)))
    }

    pub fn delete(&self, id: &str) -> Edit {
        self.edit(id, Op::Delete)
    }

    fn edit(&self, id: &str, op: Op) -> Edit {
        Edit(Outgoing {
            mutation: Mutation {
                id: self.id(),
                key: RecordKey::new(S, "feed_log", id),
                op,
                schema: Schema(1),
                base_version: None,
                after: None,
                edited_at: Timestamp::default(),
            },
            age: Duration::ZERO,
            over: None,
        })
    }

    /// Pushes a batch with no cursors.
    pub async fn push(&self, account: &str, edits: &[&Edit]) -> Vec<Verdict> {
        self.push_at(account, Vec::new(), edits).await
    }

    /// Pushes a batch with the cursor of the scope that most tests use.
    pub async fn push_from(&self, account: &str, cursor: &Cursor, edits: &[&Edit]) -> Vec<Verdict> {
        let cursors = vec![(Scope::from(S), Some(cursor.clone()))];
        self.push_at(account, cursors, edits).await
    }

    pub async fn push_at(
        &self,
        account: &str,
        cursors: Vec<(Scope, Option<Cursor>)>,
        edits: &[&Edit],
    ) -> Vec<Verdict> {
        let request = PushRequest {
            account: Account::from(account),
            cursors,
            mutations: edits.iter().map(|edit| edit.0.clone()).collect(),
        };
        let answer = self.server.push(&account.into(), request).await.unwrap();
        let ids = answer.answers.iter().map(|answer| answer.id);
        assert!(
            ids.eq(edits.iter().map(|edit| edit.id())),
            "one answer each, in order"
        );
        answer.answers.into_iter().map(|a| a.verdict).collect()
    }

    /// Pushes one mutation with no cursor.
    pub async fn push_one(&self, account: &str, edit: &Edit) -> Verdict {
        self.push(account, &[edit]).await.remove(0)
    }

    /// Pushes one mutation that must be applied, and returns the version that it made.
    pub async fn apply(&self, account: &str, edit: &Edit) -> Version {
        version(&self.push_one(account, edit).await)
    }

    pub async fn try_pull(
        &self,
        account: &str,
        scope: &str,
        cursor: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page, ServerError> {
        let request = PullRequest {
            account: Account::from(account),
            scope: Scope::from(scope),
            cursor: cursor.cloned(),
            limit,
        };
        self.server.pull(&account.into(), request).await
    }

    pub async fn pull(&self, cursor: Option<&Cursor>, limit: u32) -> Page {
        self.try_pull("ann", S, cursor, limit).await.unwrap()
    }

    /// The kind of error that a pull ends with.
    pub async fn refused(&self, account: &str, cursor: &Cursor) -> ServerErrorKind {
        self.try_pull(account, S, Some(cursor), 100)
            .await
            .unwrap_err()
            .kind()
    }

    /// All changes from the start, by record.
    pub async fn state(&self) -> BTreeMap<String, Change> {
        let page = self.pull(None, 1_000).await;
        assert!(!page.has_more);
        page.changes
            .into_iter()
            .map(|change| (change.entity_id.as_str().to_owned(), change))
            .collect()
    }

    /// The payload of a record as text; `None` when it is gone or was never there.
    pub async fn payload(&self, id: &str) -> Option<String> {
        let state = self.state().await;
        Some(plain(state.get(id)?.op.payload()?).to_owned())
    }
}

/// A mutation to push.
#[derive(Clone, Debug)]
pub struct Edit(pub Outgoing);

impl Edit {
    pub fn id(&self) -> MutationId {
        self.0.mutation.id
    }

    pub fn on(mut self, base: &Version) -> Self {
        self.0.mutation.base_version = Some(base.clone());
        self
    }

    pub fn after(mut self, edit: &Self) -> Self {
        self.0.mutation.after = Some(edit.id());
        self
    }

    pub fn aged(mut self, seconds: u64) -> Self {
        self.0.age = Duration::from_secs(seconds);
        self
    }

    pub fn scope(mut self, scope: &str) -> Self {
        self.0.mutation.key.scope = Scope::from(scope);
        self
    }

    pub fn with_id(mut self, id: MutationId) -> Self {
        self.0.mutation.id = id;
        self
    }
}

/// JSON text as it is, and a bare word as a string.
fn json(text: &str) -> Payload {
    Payload::parse(text).unwrap_or_else(|_| Payload::encode(text).unwrap())
}

/// What [`json`] was made of.
pub fn plain(payload: &Payload) -> &str {
    payload.as_str().trim_matches('"')
}

pub fn version(verdict: &Verdict) -> Version {
    match verdict {
        Verdict::Applied {
            version: Some(version),
            ..
        } => version.clone(),
        other => panic!("not applied: {other:?}"),
    }
}

pub fn theirs(verdict: &Verdict) -> &ServerRecord {
    match verdict {
        Verdict::Conflict { theirs } => theirs,
        other => panic!("no conflict: {other:?}"),
    }
}

/// The payload in a conflict as text.
pub fn their_payload(verdict: &Verdict) -> Option<&str> {
    theirs(verdict).payload.as_ref().map(plain)
}

pub const RESYNC: Verdict = Verdict::Retry {
    after: None,
    resync: true,
};

pub const RETRY: Verdict = Verdict::Retry {
    after: None,
    resync: false,
};

pub fn is_applied(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Applied { .. })
}

pub fn is_rejected(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Rejected { .. })
}
