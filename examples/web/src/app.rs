//! The page: who is there, and what they see.

use leptos::{prelude::*, task::spawn_local};

use crate::{
    attention::{self, Attention},
    babies::Babies,
    device::{self, Device},
    families,
    inspector::Inspector,
    login::{self, Login},
    memory::{ACCOUNT, remembered},
    status::StatusBar,
};

#[component]
pub(crate) fn App() -> impl IntoView {
    let account = RwSignal::new(remembered(ACCOUNT));
    view! {
        {move || match account.get() {
            None => view! { <Login account/> }.into_any(),
            Some(name) => view! { <Opening name account/> }.into_any(),
        }}
    }
}

/// Opens the account's database, and shows why if it cannot be opened.
#[component]
fn Opening(name: String, account: RwSignal<Option<String>>) -> impl IntoView {
    let (opened, set_opened) = signal(None::<Result<Device, String>>);
    // The browser's signals belong to this thread, and to this component.
    let signals = StoredValue::new_local(None);
    let opening = name.clone();
    spawn_local(async move {
        let result = device::open(&opening, login::token_of(&opening)).await;
        let device = result.map(|(device, attached)| {
            signals.set_value(Some(attached));
            device
        });
        set_opened.set(Some(device));
    });
    view! {
        {move || match opened.get() {
            None => view! { <p class="notice" role="status">"Opening the database…"</p> }.into_any(),
            Some(Err(error)) => view! { <p class="notice error" role="alert">{error}</p> }.into_any(),
            Some(Ok(device)) => view! { <Shell device account/> }.into_any(),
        }}
    }
}

/// What a logged-in page shows; everything below finds the engine in its context.
#[component]
fn Shell(device: Device, account: RwSignal<Option<String>>) -> impl IntoView {
    let engine = device.engine.clone();
    provide_context(engine.clone());
    provide_context(device);
    families::provide();
    attention::provide();
    let name = engine.account().to_string();
    view! {
        <header class="top">
            <h1>"Baby log"</h1>
            <login::LogOut name account/>
        </header>
        <StatusBar/>
        <main>
            <Babies/>
            <Attention/>
            <Inspector/>
        </main>
    }
}
