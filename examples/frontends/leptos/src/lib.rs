//! Where the engine's streams become signals: all that a Leptos app needs to know about both.
//!
//! Each function belongs to the component that calls it: when that is taken down, its stream is dropped. An app gives the
//! engine to all of its components with `provide_context(engine)`; `notes` has a component that uses the rest.
#![cfg(target_arch = "wasm32")]

pub mod notes;

use futures::{Stream, StreamExt, future::abortable, stream::select};
use leptos::{prelude::*, task::spawn_local};
use sync_core::{
    engine::{Entity, Item, ScopeHandle, Status, SyncEngine},
    error::StoreErrorKind,
};

/// An entry of a live list, as views keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row<T> {
    /// The record's id.
    pub id: String,
    /// Its value, or why it cannot be read.
    pub value: Result<T, String>,
    /// Whether an edit of it waits for the server.
    pub pending: bool,
    /// Whether an edit of it was set aside.
    pub failed: bool,
    /// Whether somebody else edited it at the same time.
    pub conflict: bool,
}

impl<T> From<Item<T>> for Row<T> {
    fn from(item: Item<T>) -> Self {
        Self {
            id: item.id.as_str().to_owned(),
            pending: item.is_pending(),
            failed: item.is_failed(),
            conflict: item.conflict,
            value: item.value.map_err(|error| error.to_string()),
        }
    }
}

/// The engine of this page.
///
/// # Panics
/// Where no component above has provided one.
#[must_use]
pub fn use_engine() -> SyncEngine {
    expect_context()
}

/// The records of a type in a scope, as they are now and from now on.
#[must_use]
pub fn use_live<T>(scope: &ScopeHandle) -> ReadSignal<Vec<Row<T>>>
where
    T: Entity + Clone + Sync,
{
    let (rows, set_rows) = signal(Vec::new());
    follow(scope.live::<T>(), move |items| match items {
        Ok(items) => set_rows.set(items.into_iter().map(Row::from).collect()),
        // The user has logged out, be it in another tab: nothing here is to be seen by who comes next.
        Err(error) if *error.kind() == StoreErrorKind::Invalid => set_rows.set(Vec::new()),
        // It could not be read now, and what was shown stays.
        Err(_) => {}
    });
    rows
}

/// How the engine stands, as it changes; none before it is known, and when it cannot be read.
#[must_use]
pub fn use_status(engine: &SyncEngine) -> ReadSignal<Option<Status>> {
    let (status, set_status) = signal(None);
    follow(engine.watch_status(), move |now| set_status.set(now.ok()));
    status
}

/// Something that is read again whenever the engine has done anything; what has not changed is not set again, so that
/// nothing is redrawn under the user's finger.
pub fn use_reread<T>(
    engine: &SyncEngine,
    read: impl AsyncFn(SyncEngine) -> T + 'static,
) -> ReadSignal<T>
where
    T: Default + PartialEq + Send + Sync + 'static,
{
    let (value, set_value) = signal(T::default());
    let engine = engine.clone();
    // Events tell of the database, the status of what the driver does; the status also comes at once.
    let news = select(
        engine.events().map(|_| ()),
        engine.watch_status().map(|_| ()),
    );
    while_shown(async move {
        let mut news = news.ready_chunks(64);
        while news.next().await.is_some() {
            let now = read(engine.clone()).await;
            if value.with_untracked(|before| *before != now) {
                set_value.set(now);
            }
        }
    });
    value
}

/// Hands each item of a stream to a function.
pub fn follow<S>(stream: S, mut then: impl FnMut(S::Item) + 'static)
where
    S: Stream + 'static,
{
    let mut stream = Box::pin(stream);
    while_shown(async move {
        while let Some(item) = stream.next().await {
            then(item);
        }
    });
}

/// Runs a future until the component that asks for it is taken down.
fn while_shown(future: impl Future<Output = ()> + 'static) {
    let (future, handle) = abortable(future);
    on_cleanup(move || handle.abort());
    spawn_local(async move {
        // That it was stopped is what was asked for.
        let _ = future.await;
    });
}
