//! The connection to a database: opened when it is needed, closed when another tab wants to change the database, opened
//! again once when it is lost.

use std::{cell::Cell, fmt, rc::Rc, time::Duration};

use sync_core::{error::StoreErrorKind, model::EntityType};
use tokio::sync::{Mutex, watch};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{Event, IdbDatabase, IdbVersionChangeEvent};

use crate::{
    error::{Attempt, Failure},
    open::open,
    schema::{Shape, row},
    transaction::{Mode, Tx},
};

/// Why a store has closed its connection for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closed {
    /// Another tab has opened the database with more than this one knows: a newer version of the app. Reload the page.
    Upgraded,
    /// The database was deleted. Reload the page.
    Deleted,
    /// The app has closed the store.
    ByApp,
}

impl Closed {
    pub(crate) fn failure(self) -> Failure {
        let (kind, context) = match self {
            Self::Upgraded => (
                StoreErrorKind::NewerFormat,
                "another tab has opened it with a newer version of the app, and this one has closed it; reload the page",
            ),
            Self::Deleted => (
                StoreErrorKind::Unavailable,
                "it was deleted; reload the page",
            ),
            Self::ByApp => (StoreErrorKind::Unavailable, "the store was closed"),
        };
        Failure::refused(kind, context)
    }
}

/// An open connection, which closes when this is dropped.
pub(crate) struct Handle {
    pub(crate) database: IdbDatabase,
    shape: Rc<Shape>,
    events: Rc<Events>,
    _on_event: Closure<dyn FnMut(Event)>,
}

/// What the browser has said about a connection.
#[derive(Default)]
struct Events {
    is_lost: Cell<bool>,
    closed: Cell<Option<Closed>>,
    tell: Cell<Option<watch::Sender<Option<Closed>>>>,
}

impl Handle {
    pub(crate) fn new(database: IdbDatabase) -> Self {
        let events = Rc::new(Events::default());
        let on_event = Closure::<dyn FnMut(Event)>::new({
            let (events, database) = (Rc::clone(&events), database.clone());
            move |event: Event| {
                let Some(change) = event.dyn_ref::<IdbVersionChangeEvent>() else {
                    events.is_lost.set(true);
                    return;
                };
                // Whoever wants to change the database waits for this.
                database.close();
                let closed = match change.new_version() {
                    Some(_) => Closed::Upgraded,
                    None => Closed::Deleted,
                };
                events.closed.set(Some(closed));
                if let Some(tell) = events.tell.take() {
                    tell.send_replace(Some(closed));
                }
            }
        });
        let listener = on_event.as_ref().unchecked_ref();
        database.set_onversionchange(Some(listener));
        database.set_onclose(Some(listener));
        Self {
            database,
            shape: Rc::default(),
            events,
            _on_event: on_event,
        }
    }

    pub(crate) fn with_shape(mut self, shape: Shape) -> Self {
        self.shape = Rc::new(shape);
        self
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.database.set_onversionchange(None);
        self.database.set_onclose(None);
        // Transactions under way come to their end.
        self.database.close();
    }
}

/// What a transaction is about.
pub(crate) enum Over {
    /// All object stores. Such transactions that write run one after another, in the order in which they were begun.
    Everything,
    /// These object stores.
    Stores(&'static [&'static str]),
    /// The records of one type.
    RecordsOf(EntityType),
    /// All records.
    Records,
}

/// The connection of a store, with all that is needed to open it again.
pub(crate) struct Connection {
    name: String,
    wanted: Rc<Shape>,
    patience: Duration,
    /// The lock is fair: whoever asks first begins its transaction first, whether or not the connection is open.
    open: Mutex<Option<Handle>>,
    closed: watch::Sender<Option<Closed>>,
    /// Where its calls leave their marks.
    slot: JsValue,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Opens the database.
    pub(crate) async fn open(name: String, wanted: Rc<Shape>, patience: Duration) -> Attempt<Self> {
        let connection = Self {
            name,
            wanted,
            patience,
            open: Mutex::new(None),
            closed: watch::Sender::new(None),
            slot: row::a_mark().into(),
        };
        let handle = connection.reopened().await?;
        *connection.open.lock().await = Some(handle);
        Ok(connection)
    }

    async fn reopened(&self) -> Attempt<Handle> {
        let handle = open(&self.name, &self.wanted, self.patience).await?;
        if handle.events.closed.get().is_none() {
            handle.events.tell.set(Some(self.closed.clone()));
        }
        Ok(handle)
    }

    /// The key of the row of [`META`](crate::schema::META) in which its calls leave their marks.
    pub(crate) fn slot(&self) -> &JsValue {
        &self.slot
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self, over: &Over, mode: Mode) -> Attempt<Tx> {
        let mut open = self.open.lock().await;
        if let Some(closed) = self.closed() {
            *open = None;
            return Err(closed.failure());
        }
        if let Some(handle) = open.as_ref() {
            if let Some(closed) = handle.events.closed.get() {
                self.closed.send_replace(Some(closed));
                return Err(closed.failure());
            }
            if handle.events.is_lost.get() {
                *open = None;
            }
        }
        if let Some(handle) = open.as_ref() {
            match begin(handle, over, mode) {
                // Another is opened here, with the lock held, so that no later call overtakes this one.
                Err(failure) if failure.is_lost() => {
                    tracing::debug!(
                        ?failure,
                        "the connection to the database is lost; opening another"
                    );
                    *open = None;
                }
                begun => return begun,
            }
        }
        let handle = open.insert(self.reopened().await?);
        begin(handle, over, mode)
    }

    /// Forgets a connection that was lost in the middle of a transaction.
    pub(crate) async fn forget(&self) {
        *self.open.lock().await = None;
    }

    /// Closes the connection for good, when what is under way has ended.
    pub(crate) async fn close(&self) {
        self.closed.send_if_modified(|closed| {
            let is_first = closed.is_none();
            closed.get_or_insert(Closed::ByApp);
            is_first
        });
        *self.open.lock().await = None;
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        *self.closed.borrow()
    }

    /// Waits until the connection is closed for good.
    pub(crate) fn until_closed(&self) -> impl Future<Output = Closed> + use<> {
        let mut closed = self.closed.subscribe();
        async move {
            loop {
                if let Some(closed) = *closed.borrow_and_update() {
                    return closed;
                }
                if closed.changed().await.is_err() {
                    return Closed::ByApp;
                }
            }
        }
    }
}

fn begin(handle: &Handle, over: &Over, mode: Mode) -> Attempt<Tx> {
    let shape = &handle.shape;
    let records = || shape.places().map(|place| place.store);
    let stores = match over {
        Over::Everything => shape.stores(),
        Over::Stores(stores) => stores.to_vec(),
        Over::RecordsOf(entity_type) => vec![shape.place(entity_type).store],
        Over::Records => records().collect(),
    };
    Tx::begin(&handle.database, &stores, mode, shape)
}
