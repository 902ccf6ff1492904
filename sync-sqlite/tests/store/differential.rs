//! Any history of calls gives the same answers and the same rows as the store in memory, which is the reference.

use std::{collections::BTreeSet, fmt::Debug, sync::Arc};

use crate::support::{account, page, payload, put, removed, stamp};
use futures::FutureExt;
use proptest::{collection::vec, prelude::*, sample::select};
use sync_core::{
    error::StoreError,
    model::{
        Cursor, EntityId, EntityType, Epoch, MutationId, Op, Overwritten, RecordKey, Schema, Scope,
        Version,
    },
    policy::{Choice, Contest, NoUpgrade, Resolve},
    store::{
        ApplyRequest, ChangeApplier, Conflicts, CursorStore, Edit, EnqueueRequest, EntryFilter,
        EntryKind, FailReason, Fence, ListRequest, MemoryStore, Outbox, Pick, Records,
        SettleRequest, Settlement, TakeRequest,
    },
    time::Timestamp,
    transport::{ServerRecord, ServerTraits, Verdict},
};
use sync_sqlite::SqliteStore;

const SCOPES: [&str; 3] = ["a", "b", "b\0"];
const TYPES: [&str; 3] = ["feed_log", "sleep", "s"];
/// Canonical UUIDs and texts that sort between, before and behind them.
const IDS: [&str; 8] = [
    "0190a5c4-7e1f-7abc-8def-0123456789ab",
    "7190a5c4-7e1f-7abc-8def-0123456789ab",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "0190A5C4-7E1F-7ABC-8DEF-0123456789AB",
    "7",
    "",
    "zoë",
    "a\0b",
];

#[derive(Clone, Debug)]
enum Step {
    Enqueue(Vec<(usize, usize, usize, u8, u8, bool)>),
    Take {
        max: u32,
        bytes: u64,
        only: Option<usize>,
        hold: Option<usize>,
        skip: Option<(usize, usize, usize)>,
        dialect: bool,
    },
    Settle(Vec<(usize, u8)>, bool),
    Judge(usize),
    Apply {
        scope: usize,
        changes: Vec<(usize, usize, u8, Option<usize>, bool)>,
        has_more: bool,
        versions: bool,
        stale: u8,
    },
    Resync(usize, bool),
    Sweep(usize, u32),
    Purge(usize),
    Wipe(bool),
    Retry(usize, usize, usize),
    Discard(usize, usize, usize),
    Acknowledge(usize),
    Lead,
    Bind,
}

fn step() -> impl Strategy<Value = Step> {
    let scope = || 0..SCOPES.len();
    let record = || (0..SCOPES.len(), 0..TYPES.len(), 0..IDS.len());
    // Few of the records are met often, so that things happen to the same one.
    let few = || (0..2_usize, 0..2_usize, 0..3_usize);
    let edited = prop_oneof![3 => few(), 1 => record()];
    let edits = (edited, 0..3_u8, 0..4_u8, any::<bool>())
        .prop_map(|((scope, kind, id), op, n, expect)| (scope, kind, id, op, n, expect && n == 0));
    let change = (
        0..TYPES.len(),
        prop_oneof![3 => 0..3_usize, 1 => 0..IDS.len()],
        0..5_u8,
        proptest::option::of(0..6_usize),
        proptest::bool::weighted(0.1),
    );
    prop_oneof![
        8 => vec(edits, 1..4).prop_map(Step::Enqueue),
        5 => (
            1..6_u32,
            select(vec![1_u64, 20, 1 << 20]),
            proptest::option::weighted(0.2, scope()),
            proptest::option::weighted(0.2, scope()),
            proptest::option::weighted(0.2, few()),
            proptest::bool::weighted(0.2),
        ).prop_map(|(max, bytes, only, hold, skip, dialect)| Step::Take {
            max, bytes, only, hold, skip, dialect
        }),
        6 => (vec((0..8_usize, 0..11_u8), 1..5), proptest::bool::weighted(0.2))
            .prop_map(|(answers, dialect)| Step::Settle(answers, dialect)),
        1 => scope().prop_map(Step::Judge),
        6 => (scope(), vec(change, 0..6), any::<bool>(), proptest::bool::weighted(0.8), 0..12_u8)
            .prop_map(|(scope, changes, has_more, versions, stale)| Step::Apply {
                scope, changes, has_more, versions, stale
            }),
        1 => (scope(), proptest::bool::weighted(0.3)).prop_map(|(s, epoch)| Step::Resync(s, epoch)),
        3 => (scope(), 1..4_u32).prop_map(|(scope, limit)| Step::Sweep(scope, limit)),
        1 => scope().prop_map(Step::Purge),
        1 => proptest::bool::weighted(0.1).prop_map(Step::Wipe),
        1 => few().prop_map(|(s, t, i)| Step::Retry(s, t, i)),
        1 => few().prop_map(|(s, t, i)| Step::Discard(s, t, i)),
        1 => (0..6_usize).prop_map(Step::Acknowledge),
        1 => Just(Step::Lead),
        2 => Just(Step::Bind),
    ]
}

/// Both stores, and what a server would know.
struct Twins {
    memory: MemoryStore,
    sqlite: SqliteStore,
    fence: Fence,
    clock: i64,
    log: u64,
    epoch: u64,
}

/// Makes the same call on both and compares the answers, errors by their kind.
macro_rules! both {
    ($twins:expr, $method:ident ( $($argument:expr),* )) => {{
        let expected = now($twins.memory.$method($($argument.clone()),*));
        let answer = now($twins.sqlite.$method($($argument.clone()),*));
        assert_eq!(answer, expected, "{}", stringify!($method));
        answer
    }};
}

/// The outcome of a call, which an inline store has after one poll.
fn now<T: Debug + PartialEq>(
    call: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, String> {
    let outcome = call.now_or_never().expect("complete after one poll");
    outcome.map_err(|error| format!("{:?}", error.kind()))
}

#[derive(Debug)]
struct Alternating;

impl Resolve for Alternating {
    fn resolve(&self, contest: &Contest<'_>) -> Choice {
        match contest.mutation_id.as_uuid().as_u128() % 3 {
            0 => Choice::Theirs,
            1 => Choice::Mine,
            _ => Choice::Merged(payload(r#"{"merged":1}"#)),
        }
    }
}

fn record((scope, kind, id): (usize, usize, usize)) -> RecordKey {
    RecordKey::new(SCOPES[scope], TYPES[kind], IDS[id])
}

fn traits(dialect: bool) -> ServerTraits {
    ServerTraits {
        idempotent: !dialect,
        ordered: !dialect,
        stamped_fields: Vec::new(),
        edit_time_field: dialect.then(|| "updatedAt".to_owned()),
    }
}

impl Twins {
    fn new() -> Self {
        let sqlite = SqliteStore::in_memory().inline().open();
        let mut twins = Self {
            memory: MemoryStore::new(),
            sqlite: sqlite.now_or_never().unwrap().unwrap(),
            fence: Fence(0),
            clock: 1_000,
            log: 0,
            epoch: 1,
        };
        twins.run(&Step::Bind);
        twins.run(&Step::Lead);
        twins
    }

    fn tick(&mut self) -> i64 {
        self.clock += 7;
        self.clock
    }

    /// The id of one of the mutations there are, or of none.
    fn id(&self, n: usize) -> MutationId {
        let entries = now(self.memory.entries(EntryFilter::default())).unwrap();
        entries.get(n).map_or_else(
            || MutationId::following(None, Timestamp::from_millis(1), n as u128),
            |entry| entry.mutation.id,
        )
    }

    fn version(&self, seq: u64) -> Version {
        Version::new(format!("e{}", self.epoch), seq)
    }

    fn verdict(&mut self, n: u8) -> Verdict {
        self.log += 1;
        let version = Some(self.version(self.log));
        let theirs = |json: Option<&str>| ServerRecord {
            payload: json.map(payload),
            schema: Schema(2),
            version: version.clone(),
        };
        match n {
            0..=2 => Verdict::Applied {
                version,
                record: None,
            },
            3 => Verdict::Applied {
                version: None,
                record: None,
            },
            4 => Verdict::Applied {
                record: Some(theirs(Some(r#"{"server":1}"#))),
                version,
            },
            5 => Verdict::Conflict {
                theirs: theirs(Some(r#"{"n":1}"#)),
            },
            6 => Verdict::Conflict {
                theirs: theirs(None),
            },
            7 => Verdict::Rejected {
                reason: "no".to_owned(),
            },
            8 => Verdict::Forbidden,
            _ => Verdict::Retry {
                after: None,
                resync: false,
            },
        }
    }

    fn run(&mut self, step: &Step) {
        let now_millis = self.tick();
        match step.clone() {
            Step::Enqueue(edits) => {
                let edits = edits
                    .into_iter()
                    .map(|(scope, kind, id, op, n, expect)| Edit {
                        key: record((scope, kind, id)),
                        op: match op {
                            0 => Op::Create(payload(&format!(r#"{{"n":{n}}}"#))),
                            1 => Op::Update(payload(&format!(r#"{{"n":{n}}}"#))),
                            _ => Op::Delete,
                        },
                        schema: Schema(1),
                        expect: expect.then(|| payload(r#"{"n":0}"#)),
                    });
                let request = EnqueueRequest {
                    account: account(),
                    stamp: stamp(now_millis),
                    edits: edits.collect(),
                };
                let _ = both!(self, enqueue(request));
            }
            Step::Take {
                max,
                bytes,
                only,
                hold,
                skip,
                dialect,
            } => {
                let request = TakeRequest {
                    fence: self.fence,
                    now: Timestamp::from_millis(now_millis),
                    pick: Pick {
                        only: only.map(|scope| Scope::from(SCOPES[scope])),
                        hold: hold
                            .map(|scope| Scope::from(SCOPES[scope]))
                            .into_iter()
                            .collect(),
                        skip: skip.map(record).into_iter().collect(),
                    },
                    max_count: max,
                    max_bytes: bytes,
                    traits: traits(dialect),
                    upgrade: Arc::new(NoUpgrade),
                };
                let _ = both!(self, take(request));
            }
            Step::Settle(answers, dialect) => {
                let settlements = answers.into_iter().map(|(n, verdict)| {
                    let id = self.id(n);
                    if verdict == 10 {
                        Settlement::SetAside(id, FailReason::Poison, "poison".to_owned())
                    } else {
                        Settlement::Answer(id, self.verdict(verdict))
                    }
                });
                let settlements = settlements.collect();
                self.settle(settlements, dialect);
            }
            Step::Judge(scope) => {
                let (_, tick) = now(self.memory.scope(Scope::from(SCOPES[scope]))).unwrap();
                self.settle(
                    vec![Settlement::Judge(Scope::from(SCOPES[scope]), tick)],
                    true,
                );
            }
            Step::Apply {
                scope,
                changes,
                has_more,
                versions,
                stale,
            } => self.apply(scope, &changes, has_more, versions, stale),
            Step::Resync(scope, new_epoch) => {
                self.epoch += u64::from(new_epoch);
                let _ = both!(
                    self,
                    resync(Scope::from(SCOPES[scope]), new_epoch, self.fence)
                );
            }
            Step::Sweep(scope, limit) => {
                let _ = both!(self, sweep(Scope::from(SCOPES[scope]), limit, self.fence));
            }
            Step::Purge(scope) => {
                let at = Timestamp::from_millis(now_millis);
                let _ = both!(self, purge(Scope::from(SCOPES[scope]), at, self.fence));
            }
            Step::Wipe(force) => {
                let _ = both!(self, wipe(force));
            }
            Step::Retry(scope, kind, id) => {
                let _ = both!(self, retry(record((scope, kind, id)), stamp(now_millis)));
            }
            Step::Discard(scope, kind, id) => {
                let _ = both!(self, discard(record((scope, kind, id))));
            }
            Step::Acknowledge(n) => {
                let conflicts = now(self.memory.conflicts(None)).unwrap();
                let revoked = now(self.memory.revoked()).unwrap();
                let ids = conflicts.iter().map(|c| c.mutation_id).skip(n).take(2);
                let _ = both!(self, acknowledge_conflicts(ids.clone().collect::<Vec<_>>()));
                let ids = revoked.iter().map(|r| r.mutation.id).skip(n).take(2);
                let _ = both!(self, acknowledge_revoked(ids.clone().collect::<Vec<_>>()));
            }
            Step::Lead => {
                if let Ok(fence) = both!(self, lead(account())) {
                    self.fence = fence;
                }
            }
            Step::Bind => {
                let _ = both!(self, bind(account()));
            }
        }
    }

    fn settle(&mut self, settlements: Vec<Settlement>, dialect: bool) {
        let request = SettleRequest {
            fence: self.fence,
            stamp: stamp(self.clock),
            settlements,
            resolve: Arc::new(Alternating),
            traits: traits(dialect),
            max_again: 2,
            verdict_retention: None,
        };
        let _ = both!(self, settle(request));
    }

    fn apply(
        &mut self,
        scope: usize,
        changes: &[(usize, usize, u8, Option<usize>, bool)],
        has_more: bool,
        versions: bool,
        stale: u8,
    ) {
        let scope = Scope::from(SCOPES[scope]);
        let (row, tick) = now(self.memory.scope(scope.clone())).unwrap();
        let mut page = page(Vec::new(), "", has_more);
        for (kind, id, n, own, overwrites) in changes {
            self.log += 1;
            let json = format!(r#"{{"n":{n}}}"#);
            let mut change = match n {
                4 => removed(TYPES[*kind], IDS[*id], self.log),
                _ => put(TYPES[*kind], IDS[*id], &json, self.log),
            };
            change.mutation_id = own.map(|n| self.id(n));
            if *overwrites {
                change.overwritten.push(Overwritten {
                    mutation_id: self.id(1),
                    account: account(),
                    payload: Some(payload("1")),
                    by: self.log,
                });
            }
            if !versions {
                change.seq = None;
            }
            page.changes.push(change);
        }
        page.through = versions.then_some(self.log);
        page.epoch = versions.then(|| Epoch::from(format!("e{}", self.epoch)));
        page.next = Cursor::from(format!("c{}", self.log));
        let request = ApplyRequest {
            fence: if stale == 0 { Fence(99) } else { self.fence },
            generation: if stale == 1 {
                row.generation.next()
            } else {
                row.generation
            },
            from: if stale == 2 {
                Some(Cursor::from("another"))
            } else {
                row.cursor
            },
            scope,
            began: tick,
            now: Timestamp::from_millis(self.clock),
            traits: traits(!versions),
            page,
        };
        let _ = both!(self, apply(request));
    }

    /// Compares all that can be read.
    fn compare(&self) {
        let all = || EntryFilter::default();
        let entries = both!(self, entries(all())).unwrap();
        for state in [
            EntryKind::Pending,
            EntryKind::Failed,
            EntryKind::Acknowledged,
        ] {
            let filter = EntryFilter {
                state: Some(state),
                ..all()
            };
            let _ = both!(self, entries(filter));
        }
        let keys: BTreeSet<RecordKey> = entries.into_iter().map(|e| e.mutation.key).collect();
        for key in keys {
            let filter = EntryFilter {
                key: Some(key),
                ..all()
            };
            let _ = both!(self, entries(filter));
        }
        let none: Option<Scope> = None;
        let _ = both!(self, counts(none));
        let _ = both!(self, scopes());
        let _ = both!(self, conflicts(none));
        let _ = both!(self, revoked());
        for scope in SCOPES.map(Scope::from) {
            let _ = both!(self, scope(scope));
            let _ = both!(self, counts(Some(scope.clone())));
            let _ = both!(self, conflicts(Some(scope.clone())));
            let _ = both!(self, count(scope, None::<EntityType>));
            let filter = EntryFilter {
                scope: Some(scope.clone()),
                state: Some(EntryKind::Pending),
                ..all()
            };
            let _ = both!(self, entries(filter));
            for entity_type in TYPES.map(EntityType::from) {
                let _ = both!(self, count(scope, Some(entity_type.clone())));
                for (after, limit) in [(None, None), (Some("5"), Some(2)), (Some(IDS[0]), Some(1))]
                {
                    let request = ListRequest {
                        scope: scope.clone(),
                        entity_type: entity_type.clone(),
                        after: after.map(EntityId::from),
                        limit,
                    };
                    let _ = both!(self, list(request));
                }
            }
        }
        for id in 0..IDS.len() {
            let _ = both!(self, get(record((0, 0, id))));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_shrink_iters: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_gives_the_same_answers_and_rows_as_the_memory_store(steps in vec(step(), 1..40)) {
        let mut twins = Twins::new();
        for step in &steps {
            twins.run(step);
            twins.compare();
        }
    }
}
