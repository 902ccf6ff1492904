//! How the engine stands: online or not, what waits, when it last synced, what went wrong.

use leptos::{prelude::*, task::spawn_local};
use leptos_hooks::{use_engine, use_status};
use sync_core::engine::{DriverState, Status};

use crate::{
    attention::{Open, use_open},
    device::Device,
    time::clock,
    words::counted,
};

#[component]
pub(crate) fn StatusBar() -> impl IntoView {
    let engine = use_engine();
    let status = use_status(&engine);
    // Each is its own memo, so that a screen reader hears what has changed, and nothing at every poll.
    let open = use_open();
    let now = Memo::new(move |_| {
        let (status, open) = (status.read(), open.read());
        status.as_ref().map(|status| sentence(status, &open))
    });
    let synced = Memo::new(move |_| status.with(|status| status.as_ref()?.last_synced.map(clock)));
    let error = Memo::new(move |_| status.with(|status| status.as_ref()?.last_error.clone()));
    let busy = Memo::new(move |_| {
        status.with(|status| {
            let status = status.as_ref();
            status.is_some_and(|status| status.pushing || !status.pulling.is_empty())
        })
    });
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
                aria-label="Online"
                aria-checked=move || on.get().to_string()
                on:click=turn
            >
                <span class="knob" aria-hidden="true"></span>
                {move || if on.get() { "Online" } else { "Offline" }}
            </button>
            <div class="now">
                <p role="status" aria-live="polite">{move || now.get()}</p>
                <small>{move || synced.get().map(|at| format!("last synced {at}"))}</small>
            </div>
            <span class="dot" aria-hidden="true" class:busy=move || busy.get()></span>
            <button class="quiet" on:click=sync>"Sync now"</button>
            {move || error.get().map(|error| view! {
                <p class="error wide" role="alert">
                    {error} ". It is tried again by itself; Sync now tries at once."
                </p>
            })}
        </section>
    }
}

/// What wants the user first, then what waits, then whether anything is done about it.
fn sentence(status: &Status, open: &Open) -> String {
    let counts = status.counts;
    let unsent = counts.failed > 0 || !open.revoked.is_empty();
    let some = |count: u64, one, several| (count > 0).then(|| counted(count, one, several));
    let parts = [
        (!status.online).then(|| "Offline".to_owned()),
        some(counts.failed, "edit was refused", "edits were refused"),
        some(
            open.revoked.len() as u64,
            "edit was not sent: the baby is shared no more",
            "edits were not sent: the baby is shared no more",
        ),
        some(
            open.conflicts.len() as u64,
            "conflict to decide",
            "conflicts to decide",
        ),
        some(counts.pending, "edit waits", "edits wait"),
        (counts.pending == 0 && !unsent).then(|| "Everything is sent".to_owned()),
        match status.driver {
            DriverState::Paused(_) => Some("Sync is paused: log in again".to_owned()),
            DriverState::Following => Some("Another tab syncs".to_owned()),
            _ => None,
        },
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(". ")
}
