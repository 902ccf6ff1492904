//! The roles: each method is one transaction, in a task of its own.

use std::{
    cell::Cell,
    fmt,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use async_trait::async_trait;
use futures::{FutureExt, channel::oneshot, future::LocalBoxFuture};
use js_sys::Math;
use send_wrapper::SendWrapper;
use sync_core::{
    coordination::{Leadership, Peers},
    error::{StoreError, StoreErrorKind},
    model::{Account, EntityType, MutationId, RecordKey, Scope},
    store::{
        ApplyOutcome, ApplyRequest, ChangeApplier, Conflict, Conflicts, Coordination, Counts,
        CursorStore, EnqueueRequest, Enqueued, Entry, EntryFilter, Fence, ListRequest, Outbox,
        Purged, RecordRow, Records, Revoked, ScopeRow, SettleReport, SettleRequest, Stamp,
        SweepOutcome, TakeRequest, Taken, Tick, Touched,
    },
    time::Timestamp,
};
use wasm_bindgen::JsValue;

use crate::{
    builder::{Builder, Durability},
    connection::{Closed, Connection, Over},
    database,
    error::Attempt,
    lease::DatabaseLeadership,
    locks::{self, LockLeadership},
    peers::ChannelPeers,
    schema::{CONFLICTS, ENTRIES, META, REVOKED, SCOPES},
    transaction::{Mode, Tx},
    while_open::WhileOpen,
};

/// A store on an IndexedDB database.
///
/// Clones share one connection. It closes when the last clone goes, or with [`IdbStore::close`]. Other stores, in this
/// tab, in another or in a worker, may have the same database open.
#[derive(Clone)]
pub struct IdbStore {
    shared: Arc<Shared>,
}

/// What the clones of a store share.
pub(crate) struct Shared {
    pub(crate) name: String,
    pub(crate) durability: Durability,
    pub(crate) web_locks: bool,
    pub(crate) lease: Duration,
    pub(crate) notice_interval: Duration,
    pub(crate) connection: Arc<SendWrapper<Connection>>,
}

impl IdbStore {
    /// The settings of a store on the database of this name.
    pub fn builder(name: impl Into<String>) -> Builder {
        Builder::new(name.into())
    }

    /// Opens a store on the database of this name with the default settings.
    ///
    /// # Errors
    /// Those of [`Builder::open`].
    pub async fn open(name: impl Into<String>) -> Result<Self, StoreError> {
        Self::builder(name).open().await
    }

    pub(crate) fn new(shared: Shared) -> Self {
        Self {
            shared: Arc::new(shared),
        }
    }

    /// The records that an index of a declared type has for a key or a range, in the order of the index; all of them,
    /// if there is no query.
    ///
    /// # Errors
    /// `Invalid`, where the type is not declared or has no such index, or the query is no key; those of reading.
    pub async fn query(
        &self,
        entity_type: impl Into<EntityType>,
        index: impl Into<String>,
        query: Option<idb::Query>,
        limit: Option<u32>,
    ) -> Result<Vec<RecordRow>, StoreError> {
        let (entity_type, index) = (entity_type.into(), index.into());
        let over = Over::RecordsOf(entity_type.clone());
        self.read("querying records", over, async move |tx| {
            database::query(tx, &entity_type, &index, query.clone(), limit).await
        })
        .await
    }

    /// Waits until the connection is closed for good, and says why. An app that learns of
    /// [`Closed::Upgraded`] tells its user to reload the page: every other call of this store fails from then on.
    pub fn closed(&self) -> impl Future<Output = Closed> + use<> {
        self.shared.connection.until_closed()
    }

    /// Closes the database for all clones, after the calls under way. Calls made later fail as `Unavailable`.
    pub async fn close(self) {
        self.shared.connection.close().await;
    }

    fn write<T: 'static>(
        &self,
        what: &'static str,
        call: impl AsyncFn(&Tx) -> Attempt<T> + 'static,
    ) -> Call<T> {
        let mode = match self.shared.durability {
            Durability::Relaxed => Mode::Relaxed,
            Durability::Strict => Mode::Strict,
        };
        // Over everything: such calls run in the order in which they were made, in this tab and in others.
        run(&self.shared.connection, what, Over::Everything, mode, call)
    }

    fn read<T: 'static>(
        &self,
        what: &'static str,
        over: Over,
        call: impl AsyncFn(&Tx) -> Attempt<T> + 'static,
    ) -> Call<T> {
        run(&self.shared.connection, what, over, Mode::Read, call)
    }
}

/// What a call does in its transaction, without what it returns: so all calls share the code around them, which
/// counts where code is downloaded.
trait Steps {
    /// Takes the steps. They may be taken twice.
    fn take<'a>(&'a self, tx: &'a Tx) -> LocalBoxFuture<'a, Attempt<()>>;
}

struct Body<F, T> {
    call: F,
    returned: Rc<Cell<Option<T>>>,
}

impl<T, F: AsyncFn(&Tx) -> Attempt<T>> Steps for Body<F, T> {
    fn take<'a>(&'a self, tx: &'a Tx) -> LocalBoxFuture<'a, Attempt<()>> {
        Box::pin(async move {
            self.returned.set(Some((self.call)(tx).await?));
            Ok(())
        })
    }
}

/// Runs a call in a task of its own, which comes to its end whether or not what is returned is kept: a transaction stays
/// open only while its task is polled in the very events of its requests, and no caller promises that.
pub(crate) fn run<T: 'static>(
    connection: &Arc<SendWrapper<Connection>>,
    what: &'static str,
    over: Over,
    mode: Mode,
    call: impl AsyncFn(&Tx) -> Attempt<T> + 'static,
) -> Call<T> {
    let returned = Rc::new(Cell::new(None));
    let steps = Box::new(Body {
        call,
        returned: Rc::clone(&returned),
    });
    Call {
        what,
        committed: spawn(Arc::clone(connection), what, over, mode, steps),
        returned,
    }
}

/// The outcome of a call that is under way.
pub(crate) struct Call<T> {
    what: &'static str,
    committed: oneshot::Receiver<Result<(), StoreError>>,
    returned: Rc<Cell<Option<T>>>,
}

impl<T> Future for Call<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let what = self.what;
        let committed = ready!(self.committed.poll_unpin(cx));
        committed.unwrap_or_else(|_| Err(stopped(what)))?;
        Poll::Ready(self.returned.take().ok_or_else(|| stopped(what)))
    }
}

fn stopped(what: &str) -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        format!("{what}: its task was stopped"),
    )
}

fn spawn(
    connection: Arc<SendWrapper<Connection>>,
    what: &'static str,
    over: Over,
    mode: Mode,
    steps: Box<dyn Steps>,
) -> oneshot::Receiver<Result<(), StoreError>> {
    let (answer, answered) = oneshot::channel();
    wasm_bindgen_futures::spawn_local(async move {
        let outcome = transact(&connection, &over, mode, &*steps).await;
        // Nobody may wait for it any more.
        let _ = answer.send(outcome.map_err(|failure| failure.during(what)));
    });
    answered
}

/// Runs a call in a transaction; once more on another connection, if the connection is lost on the way. A commit may have
/// been under way by then: so each call that writes leaves a mark, by which the second attempt sees that there is nothing
/// left to do.
async fn transact(
    connection: &Connection,
    over: &Over,
    mode: Mode,
    steps: &dyn Steps,
) -> Attempt<()> {
    let mark = JsValue::from_f64(Math::random());
    let outcome = attempt(connection, over, mode, steps, &mark, false).await;
    if !matches!(&outcome, Err(failure) if failure.is_lost()) {
        return outcome;
    }
    connection.forget().await;
    attempt(connection, over, mode, steps, &mark, true).await
}

async fn attempt(
    connection: &Connection,
    over: &Over,
    mode: Mode,
    steps: &dyn Steps,
    mark: &JsValue,
    again: bool,
) -> Attempt<()> {
    let tx = connection.begin(over, mode).await?;
    match mode {
        Mode::Read => {
            let outcome = steps.take(&tx).await;
            tx.finish_reading(outcome)
        }
        Mode::Relaxed | Mode::Strict => {
            let outcome = write(&tx, steps, connection.slot(), mark, again).await;
            tx.finish(outcome).await
        }
    }
}

async fn write(
    tx: &Tx,
    steps: &dyn Steps,
    slot: &JsValue,
    mark: &JsValue,
    again: bool,
) -> Attempt<()> {
    if again && tx.get(META, slot.clone())?.await? == *mark {
        return Ok(());
    }
    steps.take(tx).await?;
    tx.put(META, mark, Some(slot))
}

impl fmt::Debug for IdbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdbStore")
            .field("name", &self.shared.name)
            .finish_non_exhaustive()
    }
}

#[async_trait(?Send)]
impl Outbox for IdbStore {
    async fn enqueue(&self, request: EnqueueRequest) -> Result<Vec<Enqueued>, StoreError> {
        self.write("enqueueing edits", async move |tx| {
            database::enqueue(tx, &request).await
        })
        .await
    }

    async fn take(&self, request: TakeRequest) -> Result<Taken, StoreError> {
        let connection = &self.shared.connection;
        // Strict, whatever the setting: what goes out may not lose its mark to a power cut.
        let (over, mode) = (Over::Everything, Mode::Strict);
        run(connection, "taking a batch", over, mode, async move |tx| {
            database::take(tx, &request).await
        })
        .await
    }

    async fn settle(&self, request: SettleRequest) -> Result<SettleReport, StoreError> {
        self.write("settling answers", async move |tx| {
            database::settle(tx, &request).await
        })
        .await
    }

    async fn entries(&self, filter: EntryFilter) -> Result<Vec<Entry>, StoreError> {
        let over = Over::Stores(&[ENTRIES]);
        self.read("listing entries", over, async move |tx| {
            database::entries(tx, &filter).await
        })
        .await
    }

    async fn retry(
        &self,
        key: RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError> {
        self.write("retrying failed edits", async move |tx| {
            database::retry(tx, &key, stamp).await
        })
        .await
    }

    async fn discard(&self, key: RecordKey) -> Result<(Vec<Entry>, Touched), StoreError> {
        self.write("discarding failed edits", async move |tx| {
            database::discard(tx, &key).await
        })
        .await
    }

    async fn counts(&self, scope: Option<Scope>) -> Result<Counts, StoreError> {
        let over = Over::Stores(&[ENTRIES]);
        self.read("counting entries", over, async move |tx| {
            database::counts(tx, scope.as_ref()).await
        })
        .await
    }
}

#[async_trait(?Send)]
impl CursorStore for IdbStore {
    async fn bind(&self, account: Account) -> Result<(), StoreError> {
        self.write("binding the database", async move |tx| {
            database::bind(tx, &account).await
        })
        .await
    }

    async fn lead(&self, account: Account) -> Result<Fence, StoreError> {
        self.write("taking the lead", async move |tx| {
            database::lead(tx, &account).await
        })
        .await
    }

    async fn scope(&self, scope: Scope) -> Result<(ScopeRow, Tick), StoreError> {
        let over = Over::Stores(&[META, SCOPES]);
        self.read("reading a scope", over, async move |tx| {
            database::scope(tx, &scope).await
        })
        .await
    }

    async fn scopes(&self) -> Result<Vec<ScopeRow>, StoreError> {
        let over = Over::Stores(&[SCOPES]);
        self.read("listing scopes", over, async |tx| {
            database::scopes(tx).await
        })
        .await
    }
}

#[async_trait(?Send)]
impl ChangeApplier for IdbStore {
    async fn apply(&self, request: ApplyRequest) -> Result<ApplyOutcome, StoreError> {
        self.write("applying a page", async move |tx| {
            database::apply(tx, &request).await
        })
        .await
    }

    async fn resync(
        &self,
        scope: Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError> {
        self.write("beginning a resync", async move |tx| {
            database::resync(tx, &scope, new_epoch, fence).await
        })
        .await
    }

    async fn sweep(
        &self,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError> {
        self.write("sweeping a scope", async move |tx| {
            database::sweep(tx, &scope, limit, fence).await
        })
        .await
    }

    async fn purge(&self, scope: Scope, at: Timestamp, fence: Fence) -> Result<Purged, StoreError> {
        self.write("purging a scope", async move |tx| {
            database::purge(tx, &scope, at, fence).await
        })
        .await
    }

    async fn wipe(&self, force: bool) -> Result<Touched, StoreError> {
        self.write("wiping the database", async move |tx| {
            database::wipe(tx, force).await
        })
        .await
    }
}

#[async_trait(?Send)]
impl Records for IdbStore {
    async fn get(&self, key: RecordKey) -> Result<Option<RecordRow>, StoreError> {
        let over = Over::RecordsOf(key.entity_type.clone());
        self.read("reading a record", over, async move |tx| {
            database::get(tx, &key).await
        })
        .await
    }

    async fn list(&self, request: ListRequest) -> Result<Vec<RecordRow>, StoreError> {
        let over = Over::RecordsOf(request.entity_type.clone());
        self.read("listing records", over, async move |tx| {
            database::list(tx, &request).await
        })
        .await
    }

    async fn count(
        &self,
        scope: Scope,
        entity_type: Option<EntityType>,
    ) -> Result<u64, StoreError> {
        let over = match &entity_type {
            Some(entity_type) => Over::RecordsOf(entity_type.clone()),
            None => Over::Records,
        };
        self.read("counting records", over, async move |tx| {
            database::count(tx, &scope, entity_type.as_ref()).await
        })
        .await
    }
}

#[async_trait(?Send)]
impl Conflicts for IdbStore {
    async fn conflicts(&self, scope: Option<Scope>) -> Result<Vec<Conflict>, StoreError> {
        let over = Over::Stores(&[CONFLICTS]);
        self.read("listing conflicts", over, async move |tx| {
            database::conflicts(tx, scope.as_ref()).await
        })
        .await
    }

    async fn acknowledge_conflicts(&self, ids: Vec<MutationId>) -> Result<Touched, StoreError> {
        self.write("acknowledging conflicts", async move |tx| {
            database::acknowledge_conflicts(tx, &ids).await
        })
        .await
    }

    async fn revoked(&self) -> Result<Vec<Revoked>, StoreError> {
        let over = Over::Stores(&[REVOKED]);
        self.read("listing revoked mutations", over, async |tx| {
            database::revoked(tx).await
        })
        .await
    }

    async fn acknowledge_revoked(&self, ids: Vec<MutationId>) -> Result<(), StoreError> {
        self.write("acknowledging revoked mutations", async move |tx| {
            database::acknowledge_revoked(tx, &ids).await
        })
        .await
    }
}

impl Coordination for IdbStore {
    fn leadership(&self) -> Arc<dyn Leadership> {
        let shared = &self.shared;
        match locks::manager().filter(|_| shared.web_locks) {
            Some(manager) => {
                let leadership = LockLeadership::new(manager, &shared.name);
                Arc::new(WhileOpen::new(leadership, &shared.connection))
            }
            None => {
                let leadership = DatabaseLeadership::new(shared);
                Arc::new(WhileOpen::new(leadership, &shared.connection))
            }
        }
    }

    fn peers(&self) -> Arc<dyn Peers> {
        Arc::new(ChannelPeers::new(&self.shared.name))
    }
}
