//! One transaction: its requests, and how it ends.
//!
//! A transaction of IndexedDB commits by itself as soon as it has nothing left to do, and fails by an event. So how it
//! ends is listened for from before its first request, whoever drops it unfinished aborts it, and nothing is awaited
//! inside it but its own requests.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use idb::{Index, KeyRange, ObjectStore, Query};
use js_sys::{Array, Function, Object, Reflect};
use sync_core::model::EntityType;
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{Event, IdbDatabase, IdbTransaction};

use crate::{
    error::{Attempt, Failure},
    reply::{Reply, WakerSlot, wake},
    schema::{Place, Shape},
};

/// What a transaction may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Read,
    /// Write, and return when the operating system has it.
    Relaxed,
    /// Write, and return when the disk has it.
    Strict,
}

/// A transaction that is under way. Dropping it aborts it.
pub(crate) struct Tx {
    inner: IdbTransaction,
    ended: Ended,
    shape: Rc<Shape>,
    kind: Kind,
    is_over: bool,
}

/// What a transaction is for, as far as its end depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    /// Chromium waits for ever for an upgrade that is committed explicitly within its own event.
    Upgrade,
}

impl Tx {
    /// Begins a transaction over these object stores.
    pub(crate) fn begin(
        database: &IdbDatabase,
        stores: &[&str],
        mode: Mode,
        shape: &Rc<Shape>,
    ) -> Attempt<Self> {
        let names: Array = stores.iter().copied().map(JsValue::from_str).collect();
        let (kind, mode, durability) = match mode {
            Mode::Read => (Kind::Read, "readonly", "relaxed"),
            Mode::Relaxed => (Kind::Write, "readwrite", "relaxed"),
            Mode::Strict => (Kind::Write, "readwrite", "strict"),
        };
        let options = Object::new();
        Reflect::set(&options, &"durability".into(), &durability.into())?;
        // The method is called by name, as the durability is not in web_sys's stable part. Browsers that do not know
        // it leave it aside.
        let begin: Function = Reflect::get(database, &"transaction".into())?.unchecked_into();
        let inner = begin
            .call3(database, &names, &mode.into(), &options)
            .map_err(|error| Failure::from(error).at_begin())?;
        Ok(Self::of(inner.unchecked_into(), Rc::clone(shape), kind))
    }

    /// The transaction that the browser has begun for an upgrade.
    pub(crate) fn of_upgrade(inner: IdbTransaction, shape: Rc<Shape>) -> Self {
        Self::of(inner, shape, Kind::Upgrade)
    }

    fn of(inner: IdbTransaction, shape: Rc<Shape>, kind: Kind) -> Self {
        Self {
            ended: Ended::of(&inner),
            inner,
            shape,
            kind,
            is_over: false,
        }
    }

    /// Where the records of a type are.
    pub(crate) fn place(&self, entity_type: &EntityType) -> Place<'_> {
        self.shape.place(entity_type)
    }

    /// All places of records, in a fixed order.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        self.shape.places()
    }

    pub(crate) fn store(&self, name: &str) -> Attempt<ObjectStore> {
        Ok(self.inner.object_store(name).map(ObjectStore::from)?)
    }

    fn index(&self, store: &str, name: &str) -> Attempt<Index> {
        Ok(self.store(store)?.index(name)?)
    }

    pub(crate) fn get(&self, store: &str, key: JsValue) -> Attempt<Reply> {
        Ok(Reply::of(self.store(store)?.get(key)?))
    }

    pub(crate) fn all(
        &self,
        store: &str,
        range: Option<KeyRange>,
        limit: Option<u32>,
    ) -> Attempt<Reply> {
        let query = range.map(Query::from);
        Ok(Reply::of(self.store(store)?.get_all(query, limit)?))
    }

    pub(crate) fn all_keys(
        &self,
        store: &str,
        range: Option<KeyRange>,
        limit: Option<u32>,
    ) -> Attempt<Reply> {
        let query = range.map(Query::from);
        Ok(Reply::of(self.store(store)?.get_all_keys(query, limit)?))
    }

    pub(crate) fn count(&self, store: &str, range: Option<KeyRange>) -> Attempt<Reply> {
        Ok(Reply::of(self.store(store)?.count(range.map(Query::from))?))
    }

    /// The values that an index has for a key or a range.
    pub(crate) fn indexed(
        &self,
        store: &str,
        index: &str,
        query: Option<Query>,
        limit: Option<u32>,
    ) -> Attempt<Reply> {
        Ok(Reply::of(self.index(store, index)?.get_all(query, limit)?))
    }

    /// The primary key of the first value that an index has for a key.
    pub(crate) fn indexed_key(&self, store: &str, index: &str, key: JsValue) -> Attempt<Reply> {
        Ok(Reply::of(self.index(store, index)?.get_key(key)?))
    }

    /// The last of the values that an index has for a key: a cursor, or null.
    pub(crate) fn last_indexed(&self, store: &str, index: &str, key: JsValue) -> Attempt<Reply> {
        let index = self.index(store, index)?;
        let last = Some(idb::CursorDirection::Prev);
        Ok(Reply::of(index.open_key_cursor(Some(key.into()), last)?))
    }

    pub(crate) fn count_indexed(
        &self,
        store: &str,
        index: &str,
        query: Option<Query>,
    ) -> Attempt<Reply> {
        Ok(Reply::of(self.index(store, index)?.count(query)?))
    }

    /// Writes a value. That this succeeds is known when the transaction has ended.
    pub(crate) fn put(&self, store: &str, value: &JsValue, key: Option<&JsValue>) -> Attempt<()> {
        self.store(store)?.put(value, key)?;
        Ok(())
    }

    pub(crate) fn delete(&self, store: &str, query: impl Into<Query>) -> Attempt<()> {
        self.store(store)?.delete(query)?;
        Ok(())
    }

    pub(crate) fn clear(&self, store: &str) -> Attempt<()> {
        self.store(store)?.clear()?;
        Ok(())
    }

    /// Ends the transaction as the outcome of its body says: commits and waits until that has succeeded, or aborts and
    /// waits until nothing of it is left.
    pub(crate) async fn finish<T>(mut self, outcome: Attempt<T>) -> Attempt<T> {
        self.is_over = true;
        match outcome {
            Ok(value) => {
                if self.kind != Kind::Upgrade {
                    // Without it the browser looks around first for what may still come.
                    self.commit();
                }
                if (&mut self.ended).await {
                    return Ok(value);
                }
                Err(self.reason())
            }
            Err(failure) => {
                let is_over = self.inner.abort().is_err();
                let committed = (&mut self.ended).await;
                if committed && is_over {
                    tracing::warn!("a transaction was over before its call was");
                }
                Err(self.explained(failure))
            }
        }
    }

    /// Says that whoever only reads has made the last request. The transaction then ends when the browser has answered,
    /// even if this page is frozen by then and hears nothing of it: otherwise it holds up whoever wants to write. One
    /// that writes as well goes on.
    pub(crate) fn asks_no_more(&self) {
        if self.kind == Kind::Read {
            self.commit();
        }
    }

    /// Ends a transaction that has only read, and whose end changes nothing for anybody.
    pub(crate) fn finish_reading<T>(mut self, outcome: Attempt<T>) -> Attempt<T> {
        self.is_over = outcome.is_ok();
        outcome.map_err(|failure| self.explained(failure))
    }

    fn commit(&self) {
        // One that has ended by itself, or by an error, refuses: how it has ended is what counts.
        #[expect(deprecated, reason = "web_sys marks it so; the standard does not")]
        let _ = self.inner.commit();
    }

    /// A failure of a request. One of an aborted transaction is no more than that; why it was aborted says more.
    fn explained(&self, failure: Failure) -> Failure {
        match self.inner.error() {
            Some(reason) if failure.is("AbortError") => reason.into(),
            _ => failure,
        }
    }

    /// Why the transaction was aborted.
    fn reason(&self) -> Failure {
        match self.inner.error() {
            Some(error) => error.into(),
            None => Failure::browser("AbortError", "no reason was given"),
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if !self.is_over {
            // One that has ended already refuses, which is as well.
            let _ = self.inner.abort();
        }
    }
}

/// How a transaction ends: true when it was committed. What came before the future was first polled is not missed.
struct Ended {
    transaction: IdbTransaction,
    state: Rc<Cell<Option<bool>>>,
    waker: WakerSlot,
    _on_event: Closure<dyn FnMut(Event)>,
}

impl Ended {
    fn of(transaction: &IdbTransaction) -> Self {
        let state = Rc::new(Cell::new(None));
        let waker = WakerSlot::default();
        let on_event = Closure::<dyn FnMut(Event)>::new({
            let (state, waker) = (Rc::clone(&state), Rc::clone(&waker));
            move |event: Event| {
                state.set(Some(event.type_() == "complete"));
                wake(&waker);
            }
        });
        let listener = on_event.as_ref().unchecked_ref();
        transaction.set_oncomplete(Some(listener));
        transaction.set_onabort(Some(listener));
        Self {
            transaction: transaction.clone(),
            state,
            waker,
            _on_event: on_event,
        }
    }
}

impl Future for Ended {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        if let Some(committed) = self.state.get() {
            return Poll::Ready(committed);
        }
        *self.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Ended {
    /// The closure goes with this, so that nothing may call it any more.
    fn drop(&mut self) {
        self.transaction.set_oncomplete(None);
        self.transaction.set_onabort(None);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sync_core::{error::StoreErrorKind, platform::Sleep};
    use wasm_bindgen_test::wasm_bindgen_test;

    use super::*;
    use crate::{
        connection::{Connection, Over},
        schema::{META, SCOPES},
        values,
    };

    async fn database() -> Connection {
        let name = format!("transactions-{:x}", js_sys::Math::random().to_bits());
        let patience = Duration::from_secs(5);
        Connection::open(name, Rc::default(), patience)
            .await
            .unwrap()
    }

    async fn begun(connection: &Connection) -> Tx {
        connection
            .begin(&Over::Everything, Mode::Relaxed)
            .await
            .unwrap()
    }

    fn put(tx: &Tx, key: &str) -> Attempt<()> {
        tx.put(SCOPES, &"value".into(), Some(&key.into()))
    }

    async fn held(connection: &Connection) -> u64 {
        let tx = begun(connection).await;
        values::counted(&tx.count(SCOPES, None).unwrap().await.unwrap())
    }

    fn app_failed<T>() -> Attempt<T> {
        Err(Failure::refused(StoreErrorKind::App, "the app's own"))
    }

    #[wasm_bindgen_test]
    async fn a_commit_is_waited_for() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        put(&tx, "b").unwrap();
        assert_eq!(tx.finish(Ok(7)).await.unwrap(), 7);
        assert_eq!(held(&connection).await, 2);
    }

    #[wasm_bindgen_test]
    async fn an_early_error_takes_back_the_puts_that_were_issued_before_it() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        put(&tx, "b").unwrap();
        let failure = tx.finish::<()>(app_failed()).await.unwrap_err();
        assert_eq!(*failure.during("x").kind(), StoreErrorKind::App);
        assert_eq!(held(&connection).await, 0);
    }

    #[wasm_bindgen_test]
    async fn a_transaction_that_was_aborted_with_nothing_pending_is_an_error() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        tx.count(SCOPES, None).unwrap().await.unwrap();
        tx.inner.abort().unwrap();
        assert!(tx.finish(Ok(())).await.unwrap_err().is("AbortError"));
        assert_eq!(held(&connection).await, 0);
    }

    #[wasm_bindgen_test]
    async fn a_transaction_that_was_aborted_with_requests_pending_is_an_error() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        let pending = tx.count(SCOPES, None).unwrap();
        tx.inner.abort().unwrap();
        assert!(pending.await.unwrap_err().is("AbortError"));
        assert!(tx.finish(Ok(())).await.unwrap_err().is("AbortError"));
        assert_eq!(held(&connection).await, 0);
    }

    #[wasm_bindgen_test]
    async fn a_failed_add_fails_the_whole_transaction_with_its_reason() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        let store = tx.store(SCOPES).unwrap();
        store.add(&"again".into(), Some(&"a".into())).unwrap();
        put(&tx, "b").unwrap();
        let failure = tx.finish(Ok(())).await.unwrap_err();
        assert!(failure.is("ConstraintError"), "{failure:?}");
        assert_eq!(held(&connection).await, 0);
    }

    #[wasm_bindgen_test]
    async fn a_transaction_that_has_committed_by_itself_is_not_waited_for_for_ever() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        Sleep::new(Duration::from_millis(50)).await;
        tx.finish(Ok(())).await.unwrap();
        assert_eq!(held(&connection).await, 1);
    }

    #[wasm_bindgen_test]
    async fn a_put_after_something_foreign_was_awaited_is_an_error() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        Sleep::new(Duration::from_millis(50)).await;
        let outcome = put(&tx, "b");
        assert!(outcome.is_err());
        // It is not taken for a lost connection, whose calls are made again: half of this one has happened.
        let failure = tx.finish(outcome).await.unwrap_err();
        assert!(!failure.is_lost(), "{failure:?}");
    }

    #[wasm_bindgen_test]
    async fn a_transaction_that_is_dropped_is_aborted() {
        let connection = database().await;
        let tx = begun(&connection).await;
        put(&tx, "a").unwrap();
        let read = tx.get(META, "nothing".into()).unwrap();
        drop((tx, read));
        assert_eq!(held(&connection).await, 0);
    }
}
