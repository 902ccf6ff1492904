//! A database under test, and a handle on it that leads: what an engine would do, call by call.

use std::sync::{
    Arc,
    atomic::{AtomicI64, AtomicU64, Ordering},
};

use sync_core::{
    error::StoreError,
    model::{
        Account, Cursor, Generation, MutationId, Op, Page, Payload, RecordKey, Schema, Scope,
        Version,
    },
    policy::{NoUpgrade, Resolve, ServerWins},
    store::{
        Applied, ApplyOutcome, ApplyRequest, Edit, EnqueueRequest, Enqueued, Entry, EntryFilter,
        EntryKind, Fence, Marks, Pick, RecordRow, SettleReport, SettleRequest, Settlement, Stamp,
        Store, TakeRequest, Taken, Tick,
    },
    time::Timestamp,
    transport::{ServerRecord, ServerTraits, Verdict},
};

use super::{
    Failure, Subject,
    failure::{Outcome, placed},
    named::{Named, named},
    page::PageOf,
};

pub(crate) const ACCOUNT: &str = "ann";

/// The wall clock when a handle is opened, and how far it moves with each call.
const START: i64 = 1_700_000_000_000;
const STEP: i64 = 7;

/// A database of the subject's that one case has for itself.
pub(crate) struct Database<'a> {
    subject: &'a dyn Subject,
    name: String,
}

impl<'a> Database<'a> {
    pub(crate) fn new(subject: &'a dyn Subject, name: &str) -> Self {
        Self {
            subject,
            name: name.to_owned(),
        }
    }

    /// Another database, for cases that need a fresh one for each of their rounds.
    pub(crate) fn another(&self, suffix: &str) -> Self {
        Self::new(self.subject, &format!("{}-{suffix}", self.name))
    }

    /// The bare store.
    #[track_caller]
    pub(crate) fn store(&self) -> impl Future<Output = Outcome<Arc<dyn Store>>> {
        placed(async move {
            let opened = self.subject.open(&self.name).await;
            let store = opened.map_err(|error| named("opening the database", error))?;
            Ok(Arc::new(Named::new(store)) as Arc<dyn Store>)
        })
    }

    /// A handle that has bound the database and taken the lead.
    #[track_caller]
    pub(crate) fn open(&self) -> impl Future<Output = Outcome<Device>> {
        placed(async move {
            let store = self.store().await?;
            store.bind(account()).await?;
            let fence = store.lead(account()).await?;
            Ok(Device {
                store,
                fence,
                clock: AtomicI64::new(START),
                pages: AtomicU64::new(0),
                traits: ServerTraits::default(),
                resolve: Arc::new(ServerWins),
            })
        })
    }

    /// Drops a handle without a farewell, and opens another that goes on with its clock and settings.
    #[track_caller]
    pub(crate) fn reopen(&self, device: Device) -> impl Future<Output = Outcome<Device>> {
        placed(async move {
            let Device {
                store,
                traits,
                resolve,
                clock,
                ..
            } = device;
            drop(store);
            Ok(Device {
                traits,
                resolve,
                clock,
                ..self.open().await?
            })
        })
    }
}

/// A store with the lead of its database, a wall clock and a server's traits.
pub(crate) struct Device {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) fence: Fence,
    pub(crate) traits: ServerTraits,
    pub(crate) resolve: Arc<dyn Resolve>,
    clock: AtomicI64,
    pages: AtomicU64,
}

/// What a page was asked with.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) scope: Scope,
    pub(crate) generation: Generation,
    pub(crate) from: Option<Cursor>,
    pub(crate) began: Tick,
}

pub(crate) fn account() -> Account {
    Account::from(ACCOUNT)
}

/// The record `id` of the type `log`, in the scope `baby` unless the id names one, as in `toy/a`.
pub(crate) fn key(id: &str) -> RecordKey {
    let (scope, id) = id.split_once('/').unwrap_or(("baby", id));
    RecordKey::new(scope, "log", id)
}

/// A payload of JSON that is known to be right.
pub(crate) fn json(text: &str) -> Outcome<Payload> {
    Payload::parse(text).map_err(|error| Failure::broken(format!("the suite's own JSON: {error}")))
}

/// A small object that tells one state of a record from another.
pub(crate) fn state(word: &str) -> Outcome<Payload> {
    json(&format!(r#"{{"state":"{word}"}}"#))
}

pub(crate) fn edit(key: RecordKey, op: Op) -> Edit {
    Edit {
        key,
        op,
        schema: Schema(1),
        expect: None,
    }
}

/// A server's verdict that it holds the mutation as this version.
pub(crate) fn applied(seq: u64) -> Verdict {
    Verdict::Applied {
        version: Some(Version::new("e1", seq)),
        record: None,
    }
}

/// A server's verdict that it holds another record; none when it is deleted.
pub(crate) fn conflict(theirs: Option<Payload>, seq: u64) -> Verdict {
    let theirs = ServerRecord {
        payload: theirs,
        schema: Schema(1),
        version: Some(Version::new("e1", seq)),
    };
    Verdict::Conflict { theirs }
}

pub(crate) fn rejected() -> Verdict {
    Verdict::Rejected {
        reason: "the server says no".to_owned(),
    }
}

impl Device {
    /// The wall clock; it moves with each look.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.clock.fetch_add(STEP, Ordering::Relaxed) + STEP)
    }

    /// Sets the wall clock forward, or back.
    pub(crate) fn set_clock(&self, by_millis: i64) {
        self.clock.fetch_add(by_millis, Ordering::Relaxed);
    }

    pub(crate) fn stamp(&self) -> Stamp {
        let now = self.now();
        let random = u128::from(now.as_millis().unsigned_abs());
        Stamp {
            now,
            random: random.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        }
    }

    pub(crate) fn enqueueing(&self, edits: Vec<Edit>) -> EnqueueRequest {
        EnqueueRequest {
            account: account(),
            stamp: self.stamp(),
            edits,
        }
    }

    pub(crate) async fn enqueue(&self, edits: Vec<Edit>) -> Result<Vec<Enqueued>, StoreError> {
        self.store.enqueue(self.enqueueing(edits)).await
    }

    #[track_caller]
    pub(crate) fn create(&self, id: &str, word: &str) -> impl Future<Output = Outcome<MutationId>> {
        placed(async move { self.queue(key(id), Op::Create(state(word)?)).await })
    }

    #[track_caller]
    pub(crate) fn update(&self, id: &str, word: &str) -> impl Future<Output = Outcome<MutationId>> {
        placed(async move { self.queue(key(id), Op::Update(state(word)?)).await })
    }

    #[track_caller]
    pub(crate) fn delete(&self, id: &str) -> impl Future<Output = Outcome<MutationId>> {
        placed(async move { self.queue(key(id), Op::Delete).await })
    }

    /// Enqueues one edit that is to be in the outbox afterwards.
    #[track_caller]
    pub(crate) fn queue(
        &self,
        key: RecordKey,
        op: Op,
    ) -> impl Future<Output = Outcome<MutationId>> {
        placed(async move {
            match self.enqueue(vec![edit(key, op)]).await?.as_slice() {
                [Enqueued::Queued(id)] => Ok(*id),
                other => Err(Failure::broken(format!(
                    "one edit should be in the outbox; the outcome is {other:?}"
                ))),
            }
        })
    }

    pub(crate) fn taking(&self, pick: Pick, max_count: u32, max_bytes: u64) -> TakeRequest {
        TakeRequest {
            fence: self.fence,
            now: self.now(),
            pick,
            max_count,
            max_bytes,
            traits: self.traits.clone(),
            upgrade: Arc::new(NoUpgrade),
        }
    }

    /// Takes all there is.
    pub(crate) async fn take(&self) -> Result<Taken, StoreError> {
        let request = self.taking(Pick::default(), 100_000, u64::MAX);
        self.store.take(request).await
    }

    /// Takes all there is; the ids in the order in which they go.
    pub(crate) async fn send(&self) -> Result<Vec<MutationId>, StoreError> {
        Ok(ids(&self.take().await?))
    }

    pub(crate) fn settling(&self, settlements: Vec<Settlement>) -> SettleRequest {
        SettleRequest {
            fence: self.fence,
            stamp: self.stamp(),
            settlements,
            resolve: Arc::clone(&self.resolve),
            traits: self.traits.clone(),
            max_again: 3,
            verdict_retention: None,
        }
    }

    pub(crate) async fn settle(
        &self,
        settlements: Vec<Settlement>,
    ) -> Result<SettleReport, StoreError> {
        self.store.settle(self.settling(settlements)).await
    }

    pub(crate) async fn answer(
        &self,
        id: MutationId,
        verdict: Verdict,
    ) -> Result<SettleReport, StoreError> {
        self.settle(vec![Settlement::Answer(id, verdict)]).await
    }

    /// What a page would be asked with now, by a pull that begins now.
    pub(crate) async fn ask(&self, scope: &str) -> Result<Asked, StoreError> {
        let (row, began) = self.store.scope(Scope::from(scope)).await?;
        Ok(Asked {
            scope: row.scope,
            generation: row.generation,
            from: row.cursor,
            began,
        })
    }

    pub(crate) fn applying(&self, asked: Asked, page: Page) -> ApplyRequest {
        ApplyRequest {
            fence: self.fence,
            scope: asked.scope,
            generation: asked.generation,
            from: asked.from,
            began: asked.began,
            now: self.now(),
            traits: self.traits.clone(),
            page,
        }
    }

    /// An empty page with nothing after it, to which a case adds changes. Its cursor is one that no other page has.
    pub(crate) fn page(&self) -> PageOf {
        let n = self.pages.fetch_add(1, Ordering::Relaxed);
        PageOf::new(Cursor::from(format!("{}-{n}", self.fence.0)))
    }

    pub(crate) async fn apply(
        &self,
        asked: Asked,
        page: impl Into<Page>,
    ) -> Result<ApplyOutcome, StoreError> {
        self.store.apply(self.applying(asked, page.into())).await
    }

    /// Applies a page as the next one of the scope, in a pull that begins now.
    #[track_caller]
    pub(crate) fn pull(
        &self,
        scope: &str,
        page: impl Into<Page>,
    ) -> impl Future<Output = Outcome<Applied>> {
        placed(async move {
            let asked = self.ask(scope).await?;
            match self.apply(asked, page).await? {
                ApplyOutcome::Applied(applied) => Ok(applied),
                other => Err(Failure::broken(format!(
                    "the scope's next page should be applied; the outcome is {other:?}"
                ))),
            }
        })
    }

    pub(crate) async fn row(&self, id: &str) -> Result<Option<RecordRow>, StoreError> {
        self.store.get(key(id)).await
    }

    /// The payload that the app sees, as text.
    pub(crate) async fn view(&self, id: &str) -> Result<Option<String>, StoreError> {
        let row = self.row(id).await?;
        Ok(row.map(|row| row.payload.as_str().to_owned()))
    }

    pub(crate) async fn entries(&self) -> Result<Vec<Entry>, StoreError> {
        self.store.entries(EntryFilter::default()).await
    }

    /// The entry of this mutation.
    #[track_caller]
    pub(crate) fn entry(&self, id: MutationId) -> impl Future<Output = Outcome<Entry>> {
        placed(async move {
            let entries = self.entries().await?;
            let found = entries.into_iter().find(|entry| entry.mutation.id == id);
            found.ok_or_else(|| {
                Failure::broken(format!("there should be an entry of mutation {id}"))
            })
        })
    }

    /// The mutations of all entries, in the order of the store.
    pub(crate) async fn order(&self) -> Result<Vec<MutationId>, StoreError> {
        let entries = self.entries().await?;
        Ok(entries.iter().map(|entry| entry.mutation.id).collect())
    }

    /// The word of the [`state`] that the app sees.
    pub(crate) async fn word(&self, id: &str) -> Result<Option<String>, StoreError> {
        let view = self.view(id).await?;
        Ok(view.map(|text| {
            let word = text.strip_prefix(r#"{"state":""#);
            let word = word.and_then(|word| word.strip_suffix(r#""}"#));
            word.map_or_else(|| text.clone(), str::to_owned)
        }))
    }

    /// The marks of the record that the app sees.
    pub(crate) async fn marks(&self, id: &str) -> Result<Option<Marks>, StoreError> {
        Ok(self.row(id).await?.map(|row| row.marks))
    }

    /// The states of a record's entries, in the order of the store.
    pub(crate) async fn states(&self, id: &str) -> Result<Vec<EntryKind>, StoreError> {
        let filter = EntryFilter {
            key: Some(key(id)),
            ..EntryFilter::default()
        };
        let entries = self.store.entries(filter).await?;
        Ok(entries.iter().map(Entry::kind).collect())
    }
}

/// The ids of a batch, in the order in which they go.
pub(crate) fn ids(taken: &Taken) -> Vec<MutationId> {
    taken.entries.iter().map(|t| t.entry.mutation.id).collect()
}
