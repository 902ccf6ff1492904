//! Where news meets those who wait for it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};

use super::{DriverState, Event};
use crate::{
    model::{EntityType, Scope},
    ordered::OrderedMap,
    store::Touched,
};

/// What the driver knows of itself; see [`super::Status`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Runtime {
    pub(super) driver: DriverState,
    pub(super) online: bool,
    pub(super) visible: bool,
    pub(super) pushing: bool,
    pub(super) pulling: Vec<Scope>,
    pub(super) last_error: Option<String>,
    pub(super) progress: OrderedMap<Scope, u64>,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            driver: DriverState::default(),
            online: true,
            visible: true,
            pushing: false,
            pulling: Vec::new(),
            last_error: None,
            progress: OrderedMap::new(),
        }
    }
}

type ViewId = (Scope, EntityType);

#[derive(Debug)]
pub(super) struct Hub {
    events: broadcast::Sender<Event>,
    runtime: Mutex<Runtime>,
    status: watch::Sender<()>,
    /// A counter for each list that somebody watches.
    views: Mutex<OrderedMap<ViewId, watch::Sender<()>>>,
}

impl Hub {
    /// `capacity` is how many events a slow consumer may be behind before it misses some.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            events: broadcast::channel(capacity.max(1)).0,
            runtime: Mutex::default(),
            status: watch::channel(()).0,
            views: Mutex::default(),
        }
    }

    pub(super) fn emit(&self, event: Event) {
        // An error only says that nobody listens.
        let _ = self.events.send(event);
    }

    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Wakes whoever watches these views; a commit came before.
    pub(super) fn touched(&self, touched: &Touched) {
        if touched.is_empty() {
            return;
        }
        let mut views = lock(&self.views);
        views.retain(|(scope, entity_type), view| {
            let types = touched.0.get(scope);
            if types.is_some_and(|types| types.contains(entity_type)) {
                view.send_replace(());
            }
            view.receiver_count() > 0
        });
        drop(views);
        for (scope, types) in &touched.0 {
            self.emit(Event::Changed {
                scope: scope.clone(),
                entity_types: types.iter().cloned().collect(),
            });
        }
        self.status_changed();
    }

    /// Wakes whoever watches anything.
    pub(super) fn all_touched(&self) {
        for view in lock(&self.views).values() {
            view.send_replace(());
        }
        self.status_changed();
    }

    pub(super) fn watch_view(
        &self,
        scope: &Scope,
        entity_type: &EntityType,
    ) -> watch::Receiver<()> {
        lock(&self.views)
            .get_or_insert_with((scope.clone(), entity_type.clone()), || {
                watch::channel(()).0
            })
            .subscribe()
    }

    pub(super) fn watch_status(&self) -> watch::Receiver<()> {
        self.status.subscribe()
    }

    pub(super) fn status_changed(&self) {
        self.status.send_replace(());
    }

    pub(super) fn runtime(&self) -> Runtime {
        lock(&self.runtime).clone()
    }

    /// Changes what the driver knows of itself, and tells those who watch if it is different now.
    pub(super) fn update(&self, change: impl FnOnce(&mut Runtime)) {
        let mut runtime = lock(&self.runtime);
        let before = runtime.clone();
        change(&mut runtime);
        let changed = *runtime != before;
        drop(runtime);
        if changed {
            self.status_changed();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
