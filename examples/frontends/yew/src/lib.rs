//! Where the engine's streams become state: all that a Yew app needs to know about both.
//!
//! Each hook belongs to the component that calls it: when that is unmounted, its stream is dropped. An app gives the engine to
//! all of its components with a `Provided` context; `notes` has a component that uses the rest.
#![cfg(target_arch = "wasm32")]

pub mod notes;

use std::rc::Rc;

use futures::{Stream, StreamExt, future::abortable};
use sync_core::{
    engine::{Entity, Item, Status, SyncEngine},
    error::StoreErrorKind,
};
use yew::{platform::spawn_local, prelude::*};

/// The engine as a context: `<ContextProvider<Provided> context={Provided(engine)}>`.
#[derive(Clone, Debug, PartialEq)]
pub struct Provided(pub SyncEngine);

/// The engine of this page.
///
/// # Panics
/// Where no component above has provided one.
#[hook]
#[expect(
    clippy::expect_used,
    reason = "a page without an engine is a mistake of its author"
)]
pub fn use_engine() -> SyncEngine {
    let provided = use_context::<Provided>();
    provided.expect("a component above provides the engine").0
}

/// Makes a scope active for as long as the component is mounted: it is pulled now, and polled.
#[hook]
pub fn use_active(scope: &AttrValue) {
    let engine = use_engine();
    use_effect_with((scope.clone(), engine), move |(scope, engine)| {
        let active = engine.scope(scope.as_str()).activate();
        move || drop(active)
    });
}

/// The records of a type in a scope, as they are now and from now on.
#[hook]
pub fn use_live<T: Entity>(scope: &AttrValue) -> Rc<Vec<Item<T>>> {
    let engine = use_engine();
    let items = use_state(Rc::<Vec<Item<T>>>::default);
    let set = items.setter();
    use_effect_with((scope.clone(), engine), move |(scope, engine)| {
        // The rows of another scope are not this one's.
        set.set(Rc::default());
        follow(
            engine.scope(scope.as_str()).live::<T>(),
            move |items| match items {
                Ok(items) => set.set(Rc::new(items)),
                // The user has logged out, be it in another tab: nothing here is to be seen by who comes next.
                Err(error) if *error.kind() == StoreErrorKind::Invalid => set.set(Rc::default()),
                // It could not be read now, and what was shown stays.
                Err(_) => {}
            },
        )
    });
    Rc::clone(&items)
}

/// How the engine stands, as it changes; none before it is known, and when it cannot be read.
#[hook]
pub fn use_status() -> Option<Status> {
    let engine = use_engine();
    let status = use_state(|| None);
    let set = status.setter();
    use_effect_with(engine, move |engine| {
        follow(engine.watch_status(), move |now| set.set(now.ok()))
    });
    (*status).clone()
}

/// Hands each item of a stream to a function, until what it returns is called.
fn follow<S>(stream: S, mut then: impl FnMut(S::Item) + 'static) -> impl FnOnce() + 'static
where
    S: Stream + 'static,
{
    let mut stream = Box::pin(stream);
    let (future, handle) = abortable(async move {
        while let Some(item) = stream.next().await {
            then(item);
        }
    });
    spawn_local(async move {
        // That it was stopped is what was asked for.
        let _ = future.await;
    });
    move || handle.abort()
}
