//! How the engine stands: online or not, what waits, when it last synced, what went wrong.

use leptos::{prelude::*, task::spawn_local};
use sync_core::engine::{DriverState, Status};

use crate::{
    device::Device,
    glue::{self, use_engine},
    time::clock,
};

#[component]
pub(crate) fn StatusBar() -> impl IntoView {
    let engine = use_engine();
    let status = glue::status(&engine);
    let (on, set_on) = signal(true);
    let switch = expect_context::<Device>().switch;
    let turned = engine.clone();
    let turn = move |_| {
        let now = !on.get_untracked();
        set_on.set(now);
        switch.set(now);
        turned.set_online(now);
    };
    let sync = move |_| {
        let engine = engine.clone();
        spawn_local(async move {
            // What became of it is in the status.
            engine.sync_now([]).await;
        });
    };
    view! {
        <section class="status" aria-label="Sync status">
            <button
                class="switch"
                role="switch"
                aria-checked=move || on.get().to_string()
                on:click=turn
            >
                <span class="knob" aria-hidden="true"></span>
                {move || if on.get() { "Online" } else { "Offline" }}
            </button>
            <p role="status" aria-live="polite" class="now">
                {move || status.get().map(|status| sentence(&status))}
            </p>
            <span class="dot" aria-hidden="true" class:busy=move || {
                status.get().is_some_and(|status| status.pushing || !status.pulling.is_empty())
            }></span>
            <button class="quiet" on:click=sync>"Sync now"</button>
            {move || status.get().and_then(|status| status.last_error).map(|error| view! {
                <p class="error wide" role="alert">{error} ". It is tried again by itself."</p>
            })}
        </section>
    }
}

/// What a user wants to know. What changes with every poll is left out: a screen reader would read it each time.
fn sentence(status: &Status) -> impl IntoView + use<> {
    let counts = status.counts;
    let waiting = match counts.pending {
        0 => "Everything is sent".to_owned(),
        1 => "1 edit waits".to_owned(),
        n => format!("{n} edits wait"),
    };
    let failed = match counts.failed {
        0 => String::new(),
        n => format!(", {n} failed"),
    };
    let driver = match status.driver {
        DriverState::Paused(_) => ". Sync is paused: log in again",
        DriverState::Following => ". Another tab syncs",
        _ => "",
    };
    let synced = status
        .last_synced
        .map(|at| format!("last synced {}", clock(at)));
    view! {
        <span data-testid="waiting">{waiting}{failed}</span>{driver}
        <small aria-live="off">{synced}</small>
    }
}
