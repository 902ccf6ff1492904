//! Logging in as one of the demo's accounts, and out again.

use leptos::prelude::*;
use leptos_hooks::use_engine;
use sync_core::engine::SyncEngine;

use crate::{
    device::database,
    memory::{ACCOUNT, remember},
    saving::Saving,
};

/// The accounts that the demo's server knows.
const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

/// The demo's tokens are no secret.
pub(crate) fn token_of(name: &str) -> String {
    format!("{name}-token")
}

#[component]
pub(crate) fn Login(account: RwSignal<Option<String>>) -> impl IntoView {
    let log_in = move |name: &str| {
        remember(ACCOUNT, Some(name));
        account.set(Some(name.to_owned()));
    };
    view! {
        <main class="login">
            <h1>"Baby log"</h1>
            <p>"Feeds, sleeps and nappies, in step with everybody who cares for the baby."</p>
            <h2>"Log in as"</h2>
            <ul class="plain" aria-label="Accounts">
                {ACCOUNTS.map(|name| view! {
                    <li><button class="wide" on:click=move |_| log_in(name)>{name}</button></li>
                }).collect_view()}
            </ul>
            <p class="hint">
                "Try two browsers, or a private window: alice in one, bob in the other."
            </p>
        </main>
    }
}

/// Sends what waits and empties the database; says what would be lost by it.
async fn leave(engine: &SyncEngine) -> Result<(), String> {
    let drained = engine.drain().await.map_err(|error| error.to_string())?;
    let unsent = drained.left.pending + drained.left.failed;
    if unsent > 0 {
        return Err(format!("Edits that are not on the server: {unsent}."));
    }
    // What the server has applied stays in the database until a pull has shown it.
    engine.sync_now([]).await;
    let wiped = engine.wipe(false).await;
    wiped.map_err(|error| error.to_string())
}

/// What is not on the server is only given up if the user says so.
#[component]
pub(crate) fn LogOut(name: String, account: RwSignal<Option<String>>) -> impl IntoView {
    let engine = use_engine();
    let (refused, set_refused) = signal(None::<String>);
    let shown = format!("Log out {name}");
    let saving = Saving::new();
    let log_out = move |force: bool| {
        let engine = engine.clone();
        saving.run(async move {
            let left = if force {
                let wiped = engine.wipe(true).await;
                wiped.map_err(|error| error.to_string())
            } else {
                leave(&engine).await
            };
            match left {
                Ok(()) => {
                    remember(ACCOUNT, None);
                    account.set(None);
                }
                Err(error) => set_refused.set(Some(error)),
            }
            // Whoever is told what is left decides anew, however soon.
            false
        });
    };
    let force = log_out.clone();
    view! {
        <div class="logout" role="group" aria-label="Account" title=database(&name)>
            <button
                class="quiet"
                aria-disabled=move || saving.busy()
                on:click=move |_| log_out(false)
            >
                {shown}
            </button>
            {move || refused.get().map(|why| {
                let force = force.clone();
                view! {
                    <p role="alert" class="error">
                        {why} " "
                        <button
                            class="danger"
                            aria-disabled=move || saving.busy()
                            on:click=move |_| force(true)
                        >
                            "Log out and lose it"
                        </button>
                        " "
                        <button class="quiet" on:click=move |_| set_refused.set(None)>"Stay"</button>
                    </p>
                }
            })}
        </div>
    }
}
