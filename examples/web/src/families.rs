//! Who shares which baby, as the demo's server says. Sharing is the app's business, not the engine's: these are
//! requests of their own, made with a network or not at all.

use std::collections::BTreeMap;

use leptos::{prelude::*, task::spawn_local};
use leptos_hooks::{follow, use_engine};
use serde::Deserialize;
use sync_core::engine::{Event, SyncEngine};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::{
    device::{Device, home, origin},
    records::Link,
};

/// The accounts that share a baby, with their roles.
pub(crate) type Members = BTreeMap<String, String>;

/// The babies of this account by scope, as the server last said.
#[derive(Clone, Copy)]
pub(crate) struct Families(RwSignal<BTreeMap<String, Members>>);

#[derive(Deserialize)]
struct Answer {
    babies: BTreeMap<String, Members>,
}

impl Families {
    /// Who shares this baby; nobody, where it is not known yet.
    pub(crate) fn members(self, baby: &str) -> Members {
        self.0
            .with(|all| all.get(baby).cloned().unwrap_or_default())
    }

    /// Asks the server, and puts babies that others have shared into the account's list.
    async fn refresh(self, device: &Device) -> Result<(), String> {
        let text = ask(device, "GET", "").await?;
        let answer: Answer = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let home = home(&device.engine);
        for id in answer.babies.keys() {
            let known = home.get::<Link>(id.as_str()).await;
            if known.map_err(|error| error.to_string())?.is_none() {
                let linked = home.create(&Link { id: id.clone() }).await;
                linked.map_err(|error| error.to_string())?;
            }
        }
        if self.0.with_untracked(|known| *known != answer.babies) {
            self.0.set(answer.babies);
        }
        Ok(())
    }

    /// Makes an account a member.
    pub(crate) async fn invite(self, device: &Device, baby: &str, who: &str) -> Result<(), String> {
        ask(device, "PUT", &member(baby, who)).await?;
        self.refresh(device).await
    }

    /// Takes a membership away.
    pub(crate) async fn revoke(self, device: &Device, baby: &str, who: &str) -> Result<(), String> {
        ask(device, "DELETE", &member(baby, who)).await?;
        self.refresh(device).await
    }
}

/// Keeps the families in the context, and up to date: asked for whenever the account's own scope has been pulled.
pub(crate) fn provide() {
    let families = Families(RwSignal::default());
    provide_context(families);
    let engine = use_engine();
    let device: Device = expect_context();
    let own = home(&engine);
    let asked = device.clone();
    // In a tab that does not pull, this is the only time.
    spawn_local(async move {
        let _ = families.refresh(&asked).await;
    });
    let active = StoredValue::new(own.activate());
    on_cleanup(move || active.dispose());
    follow(engine.events(), move |event| match event {
        Ok(Event::Synced { scope }) if scope == *own.scope() => {
            let device = device.clone();
            spawn_local(async move {
                // Without an answer the last one stands; the next pull asks again.
                let _ = families.refresh(&device).await;
            });
        }
        Ok(Event::Revoked { scope, .. }) => forget(engine.clone(), scope.as_str().to_owned()),
        _ => {}
    });
}

/// Takes a baby off the account's list.
fn forget(engine: SyncEngine, baby: String) {
    spawn_local(async move {
        // A list that cannot be written shows in the status.
        let _ = home(&engine).delete::<Link>(baby).await;
    });
}

fn member(baby: &str, who: &str) -> String {
    let part = |text| String::from(js_sys::encode_uri_component(text));
    format!("/{}/members/{}", part(baby), part(who))
}

/// A request to the demo's own part of the server; what it says against it is the error.
async fn ask(device: &Device, method: &str, path: &str) -> Result<String, String> {
    let told = |error: JsValue| {
        let error: Option<js_sys::Error> = error.dyn_into().ok();
        error.map_or_else(
            || "the request failed".to_owned(),
            |error| error.message().into(),
        )
    };
    let window = web_sys::window().ok_or("there is no window")?;
    let url = format!("{}/demo/babies{path}", origin()?);
    let headers = web_sys::Headers::new().map_err(told)?;
    let bearer = format!("Bearer {}", device.token);
    headers.set("authorization", &bearer).map_err(told)?;
    let init = web_sys::RequestInit::new();
    init.set_method(method);
    init.set_headers(&headers);
    let fetched = JsFuture::from(window.fetch_with_str_and_init(&url, &init)).await;
    let response: web_sys::Response = fetched.map_err(told)?.dyn_into().map_err(told)?;
    let body = JsFuture::from(response.text().map_err(told)?).await;
    let text = body.map_err(told)?.as_string().unwrap_or_default();
    if response.ok() { Ok(text) } else { Err(text) }
}
