//! A device with a memory store, driven call by call: what an engine would do, without one.

use std::sync::Arc;

use futures::FutureExt;
use sync_core::{
    error::StoreErrorKind,
    model::{
        Account, Cursor, Generation, MutationId, Op, Page, Payload, RecordKey, Schema, Scope,
        Version,
    },
    policy::{Choice, Contest, NoUpgrade, Resolve},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, Counts, CursorStore, Edit,
        EnqueueRequest, Enqueued, Entry, EntryFilter, EntryKind, FailReason, Fence, Marks,
        MemoryStore, Outbox, Pick, RecordRow, Records, ScopeRow, SettleReport, SettleRequest,
        Settlement, Stamp, TakeRequest, Taken, Tick,
    },
    time::Timestamp,
    transport::{ServerRecord, ServerTraits, Verdict},
};

use crate::page_of::PageOf;

pub(crate) const DAY: i64 = 24 * 60 * 60 * 1000;

/// The memory store's futures are ready at once.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("the memory store never waits")
}

/// `a` names a record of the scope `baby`, `toy/a` one of the scope `toy`.
pub(crate) fn key(id: &str) -> RecordKey {
    let (scope, id) = id.split_once('/').unwrap_or(("baby", id));
    RecordKey::new(scope, "log", id)
}

/// The JSON string of a word; an object stays what it is.
pub(crate) fn json(text: &str) -> Payload {
    let json = if text.starts_with('{') {
        text.to_owned()
    } else {
        format!("\"{text}\"")
    };
    Payload::parse(json).unwrap()
}

pub(crate) fn text(payload: &Payload) -> String {
    payload.as_str().trim_matches('"').to_owned()
}

/// A server that neither repeats verdicts nor has versions.
pub(crate) fn dialect() -> ServerTraits {
    ServerTraits {
        idempotent: false,
        ordered: false,
        stamped_fields: vec!["updatedAt".to_owned()],
        edit_time_field: Some("updatedAt".to_owned()),
    }
}

/// Ends every conflict in the same way.
#[derive(Debug)]
pub(crate) struct Always(pub Choice);

impl Resolve for Always {
    fn resolve(&self, _: &Contest<'_>) -> Choice {
        self.0.clone()
    }
}

#[derive(Debug)]
pub(crate) struct Device {
    pub(crate) store: MemoryStore,
    pub(crate) fence: Fence,
    pub(crate) now: i64,
    pub(crate) traits: ServerTraits,
    pub(crate) resolve: Arc<dyn Resolve>,
    pages: u64,
}

/// What a page was asked with.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) scope: Scope,
    pub(crate) generation: Generation,
    pub(crate) from: Option<Cursor>,
    pub(crate) began: Tick,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self::of(ServerTraits::default())
    }

    pub(crate) fn of(traits: ServerTraits) -> Self {
        let store = MemoryStore::new();
        now(store.bind("me".into())).unwrap();
        let fence = now(store.lead("me".into())).unwrap();
        Self {
            store,
            fence,
            now: 1_000,
            traits,
            resolve: Arc::new(Always(Choice::Theirs)),
            pages: 0,
        }
    }

    /// A device that has pulled the scope `baby` up to this position, with these records and versions.
    pub(crate) fn with(records: &[(&str, &str, u64)], through: u64) -> Self {
        let mut device = Self::new();
        let mut page = device.page();
        for (id, text, seq) in records {
            page = page.put(id, text, *seq);
        }
        page.through(through).apply();
        device
    }

    pub(crate) fn stamp(&mut self) -> Stamp {
        self.now += 1;
        Stamp {
            now: Timestamp::from_millis(self.now),
            random: u128::try_from(self.now).unwrap() * 0x9e37_79b9_7f4a_7c15,
        }
    }

    pub(crate) fn edit(&mut self, id: &str, op: Op) -> Enqueued {
        self.edit_expecting(id, op, None).unwrap()
    }

    pub(crate) fn edit_expecting(
        &mut self,
        id: &str,
        op: Op,
        expect: Option<Payload>,
    ) -> Result<Enqueued, StoreErrorKind> {
        let request = EnqueueRequest {
            account: Account::from("me"),
            stamp: self.stamp(),
            edits: vec![Edit {
                key: key(id),
                op,
                schema: Schema(1),
                expect,
            }],
        };
        match now(self.store.enqueue(request)) {
            Ok(mut outcomes) => Ok(outcomes.remove(0)),
            Err(error) => Err(error.kind().clone()),
        }
    }

    pub(crate) fn create(&mut self, id: &str, text: &str) -> MutationId {
        queued(self.edit(id, Op::Create(json(text))))
    }

    pub(crate) fn update(&mut self, id: &str, text: &str) -> MutationId {
        queued(self.edit(id, Op::Update(json(text))))
    }

    pub(crate) fn delete(&mut self, id: &str) -> MutationId {
        queued(self.edit(id, Op::Delete))
    }

    pub(crate) fn take(&mut self) -> Taken {
        self.take_with(Pick::default(), 100, u64::MAX)
    }

    pub(crate) fn take_with(&mut self, pick: Pick, max_count: u32, max_bytes: u64) -> Taken {
        now(self.store.take(TakeRequest {
            fence: self.fence,
            now: Timestamp::from_millis(self.now),
            pick,
            max_count,
            max_bytes,
            traits: self.traits.clone(),
            upgrade: Arc::new(NoUpgrade),
        }))
        .unwrap()
    }

    /// Takes a batch, to send it; returns what goes out.
    pub(crate) fn send(&mut self) -> Vec<MutationId> {
        let taken = self.take();
        taken.entries.iter().map(|t| t.entry.mutation.id).collect()
    }

    pub(crate) fn settle(&mut self, settlements: Vec<Settlement>) -> SettleReport {
        let request = SettleRequest {
            fence: self.fence,
            stamp: self.stamp(),
            settlements,
            resolve: Arc::clone(&self.resolve),
            traits: self.traits.clone(),
            max_again: 3,
            verdict_retention: None,
        };
        now(self.store.settle(request)).unwrap()
    }

    pub(crate) fn answer(&mut self, id: MutationId, verdict: Verdict) -> SettleReport {
        self.settle(vec![Settlement::Answer(id, verdict)])
    }

    pub(crate) fn applied(&mut self, id: MutationId, seq: u64) -> SettleReport {
        let version = Some(Version::new("e1", seq));
        let record = None;
        self.answer(id, Verdict::Applied { version, record })
    }

    /// Applied by a server without versions.
    pub(crate) fn applied_somewhere(&mut self, id: MutationId) -> SettleReport {
        let (version, record) = (None, None);
        self.answer(id, Verdict::Applied { version, record })
    }

    pub(crate) fn merged(&mut self, id: MutationId, text: &str, seq: u64) -> SettleReport {
        let record = server_record(Some(text), seq);
        let version = record.version.clone();
        let record = Some(record);
        self.answer(id, Verdict::Applied { version, record })
    }

    /// The server repeats the verdict of an edit that it has merged as `seq`, with the record as it is by now.
    pub(crate) fn merged_before(&mut self, id: MutationId, seq: u64, now: (&str, u64)) {
        let record = Some(server_record(Some(now.0), now.1));
        let version = server_record(None, seq).version;
        self.answer(id, Verdict::Applied { version, record });
    }

    pub(crate) fn conflict(
        &mut self,
        id: MutationId,
        theirs: impl Into<Option<&'static str>>,
        seq: u64,
    ) -> SettleReport {
        let theirs = server_record(theirs.into(), seq);
        self.answer(id, Verdict::Conflict { theirs })
    }

    pub(crate) fn rejected(&mut self, id: MutationId) -> SettleReport {
        let reason = "no".to_owned();
        self.answer(id, Verdict::Rejected { reason })
    }

    pub(crate) fn set_aside(&mut self, id: MutationId, reason: FailReason) -> SettleReport {
        self.settle(vec![Settlement::SetAside(id, reason, "why".to_owned())])
    }

    pub(crate) fn retry(&mut self, id: &str) -> Option<MutationId> {
        let stamp = self.stamp();
        now(self.store.retry(key(id), stamp)).unwrap().0
    }

    pub(crate) fn discard(&mut self, id: &str) -> Vec<Entry> {
        now(self.store.discard(key(id))).unwrap().0
    }

    /// What a page would be asked with now, by a pull that begins now.
    pub(crate) fn ask(&self, scope: &str) -> Asked {
        let (row, began) = now(self.store.scope(scope.into())).unwrap();
        Asked {
            scope: row.scope,
            generation: row.generation,
            from: row.cursor,
            began,
        }
    }

    /// A page of the scope `baby`, asked for now, with nothing after it.
    pub(crate) fn page(&mut self) -> PageOf<'_> {
        let asked = self.ask("baby");
        self.page_for(asked)
    }

    pub(crate) fn page_for(&mut self, asked: Asked) -> PageOf<'_> {
        self.pages += 1;
        let next = format!("cursor {}", self.pages).into();
        PageOf::new(self, asked, next)
    }

    pub(crate) fn apply(&self, asked: Asked, page: Page) -> Result<ApplyOutcome, StoreErrorKind> {
        now(self.store.apply(ApplyRequest {
            fence: self.fence,
            scope: asked.scope,
            generation: asked.generation,
            from: asked.from,
            began: asked.began,
            now: Timestamp::from_millis(self.now),
            traits: self.traits.clone(),
            page,
        }))
        .map_err(|error| error.kind().clone())
    }

    pub(crate) fn resync(&mut self, new_epoch: bool) {
        now(self.store.resync("baby".into(), new_epoch, self.fence)).unwrap();
    }

    /// One step of a sweep; true when it was the last.
    pub(crate) fn sweep(&mut self, limit: u32) -> bool {
        now(self.store.sweep("baby".into(), limit, self.fence))
            .unwrap()
            .done
    }

    pub(crate) fn sweep_all(&mut self) {
        let done = (0..100).any(|_| self.sweep(100));
        assert!(done, "the sweep does not come to its end");
    }

    pub(crate) fn row(&self, id: &str) -> Option<RecordRow> {
        now(self.store.get(key(id))).unwrap()
    }

    pub(crate) fn view(&self, id: &str) -> Option<String> {
        self.row(id).map(|row| text(&row.payload))
    }

    pub(crate) fn marks(&self, id: &str) -> Marks {
        self.row(id).map(|row| row.marks).unwrap_or_default()
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        now(self.store.entries(EntryFilter::default())).unwrap()
    }

    pub(crate) fn entry(&self, id: MutationId) -> Entry {
        let mut entries = self.entries().into_iter();
        entries.find(|e| e.mutation.id == id).unwrap()
    }

    /// The states of a record's entries, in the order of the store.
    pub(crate) fn states(&self, id: &str) -> Vec<EntryKind> {
        let filter = EntryFilter {
            key: Some(key(id)),
            ..EntryFilter::default()
        };
        let entries = now(self.store.entries(filter)).unwrap();
        entries.iter().map(Entry::kind).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        now(self.store.counts(None)).unwrap()
    }

    pub(crate) fn conflicts(&self) -> Vec<Conflict> {
        now(self.store.conflicts(None)).unwrap()
    }

    pub(crate) fn scope(&self) -> ScopeRow {
        now(self.store.scope("baby".into())).unwrap().0
    }
}

pub(crate) fn queued(outcome: Enqueued) -> MutationId {
    match outcome {
        Enqueued::Queued(id) => id,
        Enqueued::Cancelled => panic!("nothing is left to send"),
    }
}

pub(crate) fn server_record(text: Option<&str>, seq: u64) -> ServerRecord {
    ServerRecord {
        payload: text.map(json),
        schema: Schema(1),
        version: Some(Version::new("e1", seq)),
    }
}
