//! The settings of a store.

use std::{rc::Rc, sync::Arc, time::Duration};

use futures::channel::oneshot;
use send_wrapper::SendWrapper;
use sync_core::error::{StoreError, StoreErrorKind};

use crate::{
    connection::Connection,
    declared::Declared,
    error::Attempt,
    schema::Shape,
    store::{IdbStore, Shared},
};

/// When a call that writes returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When the operating system has what was written. It survives a crash of the tab and of the browser, not always a
    /// power cut. What a push sends is marked as sent on the disk in any case, and so is all that was written before.
    #[default]
    Relaxed,
    /// When the disk has it.
    Strict,
}

/// The settings of a store; [`Builder::open`] opens it.
#[derive(Clone, Debug)]
pub struct Builder {
    name: String,
    durability: Durability,
    declared: Vec<Declared>,
    patience: Duration,
    web_locks: bool,
    lease: Duration,
    notice_interval: Duration,
}

impl Builder {
    pub(crate) fn new(name: String) -> Self {
        Self {
            name,
            durability: Durability::default(),
            declared: Vec::new(),
            patience: Duration::from_secs(10),
            web_locks: true,
            lease: Duration::from_secs(10),
            notice_interval: Duration::from_millis(250),
        }
    }

    /// When a call that writes returns; [`Durability::Relaxed`], if not set.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Gives the records of an entity type an object store of their own, with indexes. Types that are not declared are
    /// stored all the same, and move over when a later version of the app declares them.
    #[must_use]
    pub fn declare(mut self, declared: Declared) -> Self {
        self.declared.push(declared);
        self
    }

    /// How long opening waits for other tabs to close a database that has to change; 10 s, if not set.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Whether the lead is decided by Web Locks where the browser has them; true, if not set. Else, and where it has
    /// none, it is decided by a lease in the database.
    #[must_use]
    pub fn web_locks(mut self, web_locks: bool) -> Self {
        self.web_locks = web_locks;
        self
    }

    /// For how long a lease is taken that is not renewed; 10 s, if not set. Only without Web Locks.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How often who waits for the lead looks for a free lease; 250 ms, if not set. Only without Web Locks.
    #[must_use]
    pub fn notice_interval(mut self, interval: Duration) -> Self {
        self.notice_interval = interval;
        self
    }

    /// Opens the store; makes the database if there is none, and changes it if it lacks something.
    ///
    /// # Errors
    /// `Unavailable`, where the browser gives this page no storage; `Busy`, when another tab holds the database open in
    /// an older shape; `NewerFormat`, when a newer version of the library has written it; `Full`; `Invalid`, when
    /// declarations contradict one another or the database belongs to something else.
    pub async fn open(self) -> Result<IdbStore, StoreError> {
        let (answer, answered) = oneshot::channel();
        // In a task of its own, as every call: a transaction does not wait until the caller is polled.
        wasm_bindgen_futures::spawn_local(async move {
            // Nobody may wait for it any more; then it closes again.
            let _ = answer.send(self.open_here().await);
        });
        let what = "opening the database";
        match answered.await {
            Ok(opened) => opened.map_err(|failure| failure.during(what)),
            Err(_) => Err(StoreError::new(
                StoreErrorKind::Unavailable,
                format!("{what}: its task was stopped"),
            )),
        }
    }

    async fn open_here(self) -> Attempt<IdbStore> {
        let Self {
            name,
            durability,
            declared,
            patience,
            web_locks,
            lease,
            notice_interval,
        } = self;
        let wanted = Rc::new(Shape::declared(&declared)?);
        let connection = Connection::open(name.clone(), wanted, patience).await?;
        Ok(IdbStore::new(Shared {
            name,
            durability,
            web_locks,
            lease,
            notice_interval,
            connection: Arc::new(SendWrapper::new(connection)),
        }))
    }
}
