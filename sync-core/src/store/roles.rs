//! The roles as traits, and what goes in and out of them.

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::{Conflict, Entry, FailReason, Fence, RecordRow, Revoked, ScopeRow, Tick};
use crate::{
    coordination::{Leadership, Peers},
    error::StoreError,
    model::{
        Account, Cursor, EntityId, EntityType, Generation, MutationId, Op, Page, Payload,
        RecordKey, Schema, Scope,
    },
    ordered::{OrderedMap, OrderedSet},
    policy::{Resolve, Upgrade},
    time::Timestamp,
    transport::{ServerTraits, Verdict},
};

/// A database that the engine can work on: all roles in one.
///
/// It is implemented by itself for whatever has the six roles.
pub trait Store:
    Outbox + CursorStore + ChangeApplier + Records + Conflicts + Coordination + fmt::Debug + 'static
{
}

impl<T> Store for T where
    T: Outbox
        + CursorStore
        + ChangeApplier
        + Records
        + Conflicts
        + Coordination
        + fmt::Debug
        + 'static
{
}

/// The durable queue of mutations.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Outbox: Send + Sync {
    /// Writes edits to the records and to the outbox, all of them or none, in their order.
    ///
    /// Not to be repeated blindly: a second call is a second edit. Rules: [`crate::overlay::enqueue`].
    ///
    /// # Errors
    /// `Moved`, when an edit names what it expects to find and finds something else; `OtherAccount`; `Invalid`, when
    /// the database is not bound; `Full`.
    async fn enqueue(&self, request: EnqueueRequest) -> Result<Vec<Enqueued>, StoreError>;

    /// Returns the next batch in order and marks each of its entries as sent, in the same transaction.
    ///
    /// Taking again before a settlement returns the same entries: nothing is stored as in flight.
    /// Rules: [`crate::overlay::Take`].
    ///
    /// # Errors
    /// `Fenced`.
    async fn take(&self, request: TakeRequest) -> Result<Taken, StoreError>;

    /// Acts on the server's answers: moves entries to the overlay, sets them aside, or leaves them.
    ///
    /// An answer for what is not in the outbox is a no-op, so that repeating a call is safe.
    /// Rules: [`crate::overlay::settle`].
    ///
    /// # Errors
    /// `Fenced`.
    async fn settle(&self, request: SettleRequest) -> Result<SettleReport, StoreError>;

    /// The overlay entries that match, in the order of the store.
    ///
    /// # Errors
    /// Those of reading.
    async fn entries(&self, filter: EntryFilter) -> Result<Vec<Entry>, StoreError>;

    /// Puts a record's failed entries back into the outbox, as one new mutation at the queue's end. Returns its
    /// id; none when nothing of the record is failed.
    ///
    /// # Errors
    /// Those of writing.
    async fn retry(
        &self,
        key: RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError>;

    /// Drops a record's failed entries; the view is then as if they had never been. Returns what was dropped.
    ///
    /// # Errors
    /// Those of writing.
    async fn discard(&self, key: RecordKey) -> Result<(Vec<Entry>, Touched), StoreError>;

    /// How many entries there are, by state; of one scope, or of all.
    ///
    /// # Errors
    /// Those of reading.
    async fn counts(&self, scope: Option<Scope>) -> Result<Counts, StoreError>;
}

/// Where each scope's pull stands. There is no way to save a cursor: it moves only inside
/// [`ChangeApplier::apply`], together with the records that it stands for.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait CursorStore: Send + Sync {
    /// Binds the database to an account, if it is not bound yet. Safe to repeat.
    ///
    /// # Errors
    /// `OtherAccount`, when it is bound to another one.
    async fn bind(&self, account: Account) -> Result<(), StoreError>;

    /// Raises the fence and returns the new token: whoever held an older one is refused from here on.
    ///
    /// # Errors
    /// `OtherAccount`, or `Invalid` before the first [`bind`](Self::bind) and after a wipe: the database must be bound
    /// to this account.
    async fn lead(&self, account: Account) -> Result<Fence, StoreError>;

    /// What is kept about a scope (a fresh row, when that is nothing yet) and the settle counter, read together.
    ///
    /// # Errors
    /// Those of reading.
    async fn scope(&self, scope: Scope) -> Result<(ScopeRow, Tick), StoreError>;

    /// All scopes of which something is kept, by name.
    ///
    /// # Errors
    /// Those of reading.
    async fn scopes(&self) -> Result<Vec<ScopeRow>, StoreError>;
}

/// What turns pulled pages into records.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait ChangeApplier: Send + Sync {
    /// Applies a page: records, bases, views and the next cursor, together.
    ///
    /// Repeating a call does nothing: the stored cursor has moved on, and the outcome is `Stale`.
    /// Rules: [`crate::overlay::apply`].
    ///
    /// # Errors
    /// `Fenced`; `Full`, with nothing written.
    async fn apply(&self, request: ApplyRequest) -> Result<ApplyOutcome, StoreError>;

    /// Begins a resync: the generation rises, the next pull starts from nothing, the live records stay.
    ///
    /// With `new_epoch`, acknowledged entries go back to the outbox, at their old place and marked as sent.
    ///
    /// # Errors
    /// `Fenced`.
    async fn resync(
        &self,
        scope: Scope,
        new_epoch: bool,
        fence: Fence,
    ) -> Result<Touched, StoreError>;

    /// Looks, after a resync's pull has drained, at the next `limit` records in an order of the store's, and removes
    /// those that the pull did not bring; to be called until `done`, which is said by the call that finds no record
    /// left to look at. Where it stopped is stored: after a crash it goes on from there.
    ///
    /// # Errors
    /// `Fenced`.
    async fn sweep(
        &self,
        scope: Scope,
        limit: u32,
        fence: Fence,
    ) -> Result<SweepOutcome, StoreError>;

    /// Removes a scope's records, bases, cursor and overlay, and raises its generation. What was not synced is
    /// moved, in the same transaction, to the list of [`Conflicts::revoked`]. Its conflicts stay.
    ///
    /// # Errors
    /// `Fenced`.
    async fn purge(&self, scope: Scope, at: Timestamp, fence: Fence) -> Result<Purged, StoreError>;

    /// Empties the database and unbinds it from its account; every scope's generation and the fence rise.
    ///
    /// Unless `force`, refuses (`Invalid`, with the counts) while anything is pending, failed or acknowledged, or
    /// a conflict or a revoked mutation waits for the app to acknowledge it.
    ///
    /// # Errors
    /// `Invalid`.
    async fn wipe(&self, force: bool) -> Result<Touched, StoreError>;
}

/// What the app reads.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Records: Send + Sync {
    /// One record as the app sees it; none when the view holds none.
    ///
    /// # Errors
    /// Those of reading.
    async fn get(&self, key: RecordKey) -> Result<Option<RecordRow>, StoreError>;

    /// The records of a scope and type, by id.
    ///
    /// # Errors
    /// Those of reading.
    async fn list(&self, request: ListRequest) -> Result<Vec<RecordRow>, StoreError>;

    /// How many records a scope has, of one type or of all.
    ///
    /// # Errors
    /// Those of reading.
    async fn count(&self, scope: Scope, entity_type: Option<EntityType>)
    -> Result<u64, StoreError>;
}

/// What is kept until the app has acknowledged it: conflicts, and what was not synced of revoked scopes.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Conflicts: Send + Sync {
    /// Conflicts of one scope, or of all, oldest first.
    ///
    /// # Errors
    /// Those of reading.
    async fn conflicts(&self, scope: Option<Scope>) -> Result<Vec<Conflict>, StoreError>;

    /// Forgets conflicts; unknown ids are no error. Returns what was touched.
    ///
    /// # Errors
    /// Those of writing.
    async fn acknowledge_conflicts(&self, ids: Vec<MutationId>) -> Result<Touched, StoreError>;

    /// Unsynced mutations of purged scopes, oldest first.
    ///
    /// # Errors
    /// Those of reading.
    async fn revoked(&self) -> Result<Vec<Revoked>, StoreError>;

    /// Forgets revoked mutations; unknown ids are no error.
    ///
    /// # Errors
    /// Those of writing.
    async fn acknowledge_revoked(&self, ids: Vec<MutationId>) -> Result<(), StoreError>;
}

/// How engines on one database find one another. [`crate::coordination::Local`] serves a store that only one
/// process opens.
pub trait Coordination: Send + Sync {
    /// Who may push and pull.
    fn leadership(&self) -> Arc<dyn Leadership>;

    /// Notices to and from the other engines on this database.
    fn peers(&self) -> Arc<dyn Peers>;
}

/// When a call is made, and randomness for the ids that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Now, by the wall clock.
    pub now: Timestamp,
    /// The bits that ids are made of; those of several ids are derived from it.
    pub random: u128,
}

/// Edits to enqueue together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnqueueRequest {
    /// On whose behalf; the database must be bound to it.
    pub account: Account,
    /// When, and randomness for the ids.
    pub stamp: Stamp,
    /// The edits, in order.
    pub edits: Vec<Edit>,
}

/// One edit to enqueue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The record.
    pub key: RecordKey,
    /// What to do with it.
    pub op: Op,
    /// The format version of the payload.
    pub schema: Schema,
    /// The JSON that the view must still hold, however it is spelt; without it the edit is made whatever is there.
    pub expect: Option<Payload>,
}

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Enqueued {
    /// It is in the outbox under this id: its own, or that of the unsent entry that it was merged into.
    Queued(MutationId),
    /// It took an unsent create with it, and nothing is left to send.
    Cancelled,
}

/// What to take.
#[derive(Clone, Debug)]
pub struct TakeRequest {
    /// The leader's token.
    pub fence: Fence,
    /// Now, by the wall clock.
    pub now: Timestamp,
    /// Which entries may go.
    pub pick: Pick,
    /// The most entries.
    pub max_count: u32,
    /// The most bytes of payload; one entry goes even if it alone is larger.
    pub max_bytes: u64,
    /// What the server can do.
    pub traits: ServerTraits,
    /// Brings payloads that were never sent up to date.
    pub upgrade: Arc<dyn Upgrade>,
}

/// Which entries a batch may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pick {
    /// Only this scope.
    pub only: Option<Scope>,
    /// None of these scopes.
    pub hold: OrderedSet<Scope>,
    /// None of these mutations, and none that comes later of their records.
    pub skip: OrderedSet<MutationId>,
}

/// A batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// The entries, in the order in which they go.
    pub entries: Vec<TakenEntry>,
    /// The stored cursor of each scope in the batch.
    pub cursors: Vec<(Scope, Option<Cursor>)>,
    /// Scopes left out because an entry at their head was sent so long ago that the server has forgotten the
    /// verdict: they are pulled to the end first, then [`Settlement::Forgotten`] settles what is left.
    pub forgotten: Vec<(Scope, MutationId)>,
    /// Scopes left out because they wait for a pull.
    pub waiting: OrderedSet<Scope>,
    /// What the upgrade of payloads has touched.
    pub touched: Touched,
}

/// An entry of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakenEntry {
    /// The entry as it stands now.
    pub entry: Entry,
    /// The base, when it is what this entry's own predecessor had written; see
    /// [`crate::transport::Outgoing::over`].
    pub over: Option<Payload>,
}

/// Answers to act on.
#[derive(Clone, Debug)]
pub struct SettleRequest {
    /// The leader's token.
    pub fence: Fence,
    /// When, and randomness for the ids of what is put again.
    pub stamp: Stamp,
    /// What to do, in order.
    pub settlements: Vec<Settlement>,
    /// Decides conflicts.
    pub resolve: Arc<dyn Resolve>,
    /// What the server can do.
    pub traits: ServerTraits,
    /// How often an edit is put again over a conflict.
    pub max_again: u32,
    /// How long the server keeps verdicts, where the answer says so: kept with the scopes that it was about.
    pub verdict_retention: Option<Duration>,
}

/// One thing to settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The server's answer for a mutation. `Forbidden` sets it aside: evidence has been gathered before.
    Answer(MutationId, Verdict),
    /// The engine gives up on a mutation, for this reason.
    SetAside(MutationId, FailReason, String),
    /// Its scope was pulled to the end, and what the server had decided is not to be learnt any more.
    Forgotten(MutationId),
    /// A scope was pulled to the end by a pull that began at this tick: doubts from before it are judged.
    Judge(Scope, Tick),
}

/// What a settlement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettleReport {
    /// Mutations that the server holds.
    pub applied: Vec<MutationId>,
    /// Conflicts that were recorded.
    pub conflicts: Vec<Conflict>,
    /// Mutations that were set aside, with the reason.
    pub failed: Vec<(MutationId, FailReason)>,
    /// Mutations whose answer waits for a pull of the scope: a refusal in doubt, or one from before the server was
    /// restored.
    pub doubted: Vec<(Scope, MutationId)>,
    /// The views that changed.
    pub touched: Touched,
}

/// Which entries to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// Only of this scope.
    pub scope: Option<Scope>,
    /// Only of this record.
    pub key: Option<RecordKey>,
    /// Only in this state.
    pub state: Option<EntryKind>,
}

/// The states of an overlay entry, without what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EntryKind {
    /// Applied by the server, not yet seen in a pull.
    Acknowledged,
    /// In the outbox.
    Pending,
    /// Set aside.
    Failed,
}

/// How many entries there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// In the outbox.
    pub pending: u64,
    /// Set aside.
    pub failed: u64,
    /// Applied by the server, not yet seen in a pull.
    pub acknowledged: u64,
}

/// A page to apply, with what must still be true for it to count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplyRequest {
    /// The leader's token.
    pub fence: Fence,
    /// The scope.
    pub scope: Scope,
    /// The scope's generation when the page was asked for.
    pub generation: Generation,
    /// The cursor that it was asked with.
    pub from: Option<Cursor>,
    /// The settle counter when the first page of this pull was asked for.
    pub began: Tick,
    /// Now, by the wall clock.
    pub now: Timestamp,
    /// What the server can do.
    pub traits: ServerTraits,
    /// The page.
    pub page: Page,
}

/// What became of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// It is applied.
    Applied(Applied),
    /// The scope has moved on since the page was asked for; nothing was done.
    Stale,
    /// The page is of another epoch than the scope; nothing was done. A resync with `new_epoch` comes next.
    OtherEpoch,
}

/// What an applied page did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Own mutations that the page has settled.
    pub confirmed: Vec<MutationId>,
    /// Conflicts that were recorded.
    pub conflicts: Vec<Conflict>,
    /// Whether the scope now waits for [`ChangeApplier::sweep`].
    pub sweep: bool,
    /// Records whose projection failed.
    pub unprojected: Vec<RecordKey>,
    /// The views that changed.
    pub touched: Touched,
}

/// What a step of a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SweepOutcome {
    /// Whether the resync has come to its end.
    pub done: bool,
    /// The views that changed.
    pub touched: Touched,
}

/// What a purge did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Unsynced mutations that were moved to the list.
    pub revoked: u64,
    /// The views that changed.
    pub touched: Touched,
}

/// Which records to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListRequest {
    /// Of this scope.
    pub scope: Scope,
    /// Of this type.
    pub entity_type: EntityType,
    /// Only ids after this one.
    pub after: Option<EntityId>,
    /// At most this many.
    pub limit: Option<u32>,
}

/// The scopes and entity types of which a view has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Touched(pub OrderedMap<Scope, OrderedSet<EntityType>>);

impl Touched {
    /// Adds one record's scope and type.
    pub fn add(&mut self, scope: &Scope, entity_type: &EntityType) {
        if let Some(types) = self.0.get_mut(scope) {
            if !types.contains(entity_type) {
                types.insert(entity_type.detached());
            }
        } else {
            self.0
                .insert(scope.detached(), OrderedSet::from([entity_type.detached()]));
        }
    }

    /// Adds all that `other` has.
    pub fn merge(&mut self, other: Self) {
        for (scope, types) in other.0 {
            self.0.get_or_default(scope).extend(types);
        }
    }

    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How long the engine keeps sending an entry again when the server has not said how long it keeps verdicts.
pub const DEFAULT_VERDICT_RETENTION: Duration = Duration::from_secs(30 * 24 * 60 * 60);
