//! A form or a decision while it is being stored: once is enough, however often Enter is pressed.

use js_sys::Date;
use leptos::{prelude::*, task::spawn_local};

/// For how long after one press another is its echo: as long as systems take two clicks for a double one.
const DOUBLE_MS: f64 = 500.0;

/// Whether something is being stored, and when something last was.
#[derive(Clone, Copy)]
pub(crate) struct Saving {
    busy: RwSignal<bool>,
    stored_at: StoredValue<Option<f64>>,
}

impl Saving {
    pub(crate) fn new() -> Self {
        Self {
            busy: RwSignal::new(false),
            stored_at: StoredValue::new(None),
        }
    }

    /// Whether something is being stored now, as attributes say it.
    ///
    /// A button says so in `aria-disabled`: one that is disabled altogether loses the focus.
    pub(crate) fn busy(self) -> Option<&'static str> {
        self.busy.get().then_some("true")
    }

    /// What the user has written since then is meant, however soon it is sent off.
    pub(crate) fn edited(self) {
        self.stored_at.set_value(None);
    }

    /// Stores, unless that is under way or was done by the press before this one. `store` says whether it was done.
    pub(crate) fn run(self, store: impl Future<Output = bool> + 'static) {
        let is_echo = |at: f64| Date::now() - at < DOUBLE_MS;
        if self.busy.get_untracked() || self.stored_at.get_value().is_some_and(is_echo) {
            return;
        }
        self.busy.set(true);
        spawn_local(async move {
            let stored = store.await;
            // Whatever was stored may have taken the form off the screen.
            self.stored_at.try_set_value(stored.then(Date::now));
            self.busy.try_set(false);
        });
    }
}
