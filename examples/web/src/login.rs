//! Logging in as one of the demo's accounts, and out again.

use leptos::{prelude::*, task::spawn_local};

use crate::{device::database, glue::use_engine};

const REMEMBERED: &str = "baby-log-account";

/// The accounts that the demo's server knows.
const ACCOUNTS: [&str; 3] = ["alice", "bob", "carol"];

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

/// Who was logged in when the page was last open.
pub(crate) fn remembered() -> Option<String> {
    storage()?.get_item(REMEMBERED).ok()?
}

fn remember(name: Option<&str>) {
    let Some(storage) = storage() else {
        return;
    };
    // Where nothing can be remembered, the page asks again the next time.
    let _ = match name {
        Some(name) => storage.set_item(REMEMBERED, name),
        None => storage.remove_item(REMEMBERED),
    };
}

/// The demo's tokens are no secret.
pub(crate) fn token_of(name: &str) -> String {
    format!("{name}-token")
}

#[component]
pub(crate) fn Login(account: RwSignal<Option<String>>) -> impl IntoView {
    let log_in = move |name: &str| {
        remember(Some(name));
        account.set(Some(name.to_owned()));
    };
    view! {
        <main class="login">
            <h1>"Baby log"</h1>
            <p>"Feeds, sleeps and nappies, in step with everybody who cares for the baby."</p>
            <h2>"Log in as"</h2>
            <ul class="plain">
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

/// Sends what waits; what could not be sent is only given up if the user says so.
#[component]
pub(crate) fn LogOut(name: String, account: RwSignal<Option<String>>) -> impl IntoView {
    let engine = use_engine();
    let (left, set_left) = signal(None::<String>);
    let shown = format!("Log out {name}");
    let log_out = move |force: bool| {
        let engine = engine.clone();
        spawn_local(async move {
            let waiting = if force {
                None
            } else {
                match engine.drain().await {
                    Ok(report) if report.left.pending + report.left.failed == 0 => None,
                    Ok(report) => Some(format!(
                        "{} edits are not on the server.",
                        report.left.pending + report.left.failed
                    )),
                    Err(error) => Some(error.to_string()),
                }
            };
            if waiting.is_some() {
                set_left.set(waiting);
                return;
            }
            match engine.wipe(true).await {
                Ok(()) => {
                    remember(None);
                    account.set(None);
                }
                Err(error) => set_left.set(Some(error.to_string())),
            }
        });
    };
    let force = log_out.clone();
    view! {
        <div class="logout" title=database(&name)>
            <button class="quiet" on:click=move |_| log_out(false)>{shown}</button>
            {move || left.get().map(|why| {
                let force = force.clone();
                view! {
                    <p role="alert" class="error">
                        {why} " "
                        <button class="danger" on:click=move |_| force(true)>"Log out and lose them"</button>
                        " "
                        <button class="quiet" on:click=move |_| set_left.set(None)>"Stay"</button>
                    </p>
                }
            })}
        </div>
    }
}
