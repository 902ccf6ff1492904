//! A whole engine in a worker of its own, on a database that others have open: as another tab has it.
//!
//! The worker loads the test's own program, and does what it is asked by messages. It can be killed in the middle of
//! anything, as a tab can.
#![allow(unreachable_pub, reason = "what the worker's script calls")]
#![allow(dead_code, reason = "each test program needs some of it")]

use std::{cell::Cell, rc::Rc, time::Duration};

use futures::StreamExt;
use js_sys::{Array, Function, Promise, Reflect};
use sync_core::{
    engine::{Activation, DriverState, Event, SyncEngine},
    store::{Outbox, Records},
};
use sync_http::Credentials;
use sync_idb::IdbStore;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::{
    browser::run,
    create,
    device::{settings, tab_with},
    key,
    server::{Feed, eventually, feed},
};

/// The engine, within its worker.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Tab {
    engine: SyncEngine,
    scope: String,
    heard: Rc<Cell<u32>>,
    _active: Activation,
}

/// Opens an engine for the scope, and follows its events.
#[wasm_bindgen]
pub async fn open_tab(database: String, scope: String) -> Tab {
    let mut settings = settings();
    settings.scheduler.poll_interval = Duration::from_millis(300);
    let credentials = Credentials::new("alice", "alice-token");
    let engine = tab_with("alice", &database, credentials, settings).await;
    let heard = Rc::new(Cell::new(0));
    let mut events = engine.events();
    spawn_local({
        let heard = Rc::clone(&heard);
        async move {
            while let Some(event) = events.next().await {
                if matches!(event, Ok(Event::Changed { .. })) {
                    heard.set(heard.get() + 1);
                }
            }
        }
    });
    Tab {
        _active: engine.scope(&*scope).activate(),
        engine,
        scope,
        heard,
    }
}

#[wasm_bindgen]
impl Tab {
    /// Creates a record; it is durable when this is answered.
    pub async fn create(&self, id: String) {
        let scope = self.engine.scope(&*self.scope);
        scope.create(&feed(&id, 1)).await.unwrap();
    }

    /// How many records there are.
    pub async fn count(&self) -> usize {
        let scope = self.engine.scope(&*self.scope);
        scope.list::<Feed>().await.unwrap().len()
    }

    /// How often views were said to have changed.
    pub fn heard(&self) -> u32 {
        self.heard.get()
    }

    pub async fn leads(&self) -> bool {
        self.engine.status().await.unwrap().driver == DriverState::Leading
    }

    pub async fn follows(&self) -> bool {
        self.engine.status().await.unwrap().driver == DriverState::Following
    }

    /// How many mutations wait, as the status says.
    pub async fn pending(&self) -> usize {
        let counts = self.engine.status().await.unwrap().counts;
        usize::try_from(counts.pending).unwrap()
    }

    pub async fn shutdown(&self) {
        self.engine.shutdown().await;
    }
}

/// A store with no engine around it, within its worker.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Bare(IdbStore);

#[wasm_bindgen]
pub async fn open_bare(database: String, _: String) -> Bare {
    Bare(IdbStore::open(&database).await.unwrap())
}

#[wasm_bindgen]
impl Bare {
    pub async fn create(&self, id: String) {
        self.0.enqueue(create(&id, "{}")).await.unwrap();
    }

    pub async fn read(&self, id: String) {
        self.0.get(key(&id)).await.unwrap();
    }
}

/// The engine, from outside. Its worker is killed when this is dropped.
pub(crate) struct Elsewhere(JsValue);

impl Elsewhere {
    /// Starts a worker with an engine in it.
    pub(crate) async fn open(database: &str, scope: &str) -> Self {
        Self::open_by("open_tab", database, scope, "").await
    }

    /// Starts a worker with nothing but a store in it. `before` is a script that runs there first.
    pub(crate) async fn bare(database: &str, before: &str) -> Self {
        Self::open_by("open_bare", database, "", before).await
    }

    async fn open_by(open: &str, database: &str, scope: &str, before: &str) -> Self {
        let script = format!(
            "const script = `
                import init, {{ {open} }} from '${{location.origin}}/wasm-bindgen-test';
                const theirs = fetch;
                let asked = 0;
                globalThis.fetch = (...all) => {{ asked++; return theirs(...all); }};
                {before}
                await init('${{location.origin}}/wasm-bindgen-test_bg.wasm');
                asked = 0;
                const tab = await {open}('{database}', '{scope}');
                globalThis.answering = 0;
                onmessage = async ({{ data: [n, what, ...all] }}) => {{
                    answering = n;
                    const answer = what === 'asked' ? asked : await tab[what](...all);
                    postMessage([n, answer]);
                }};
                postMessage([0]);
            `;
            return new Promise((ready, failed) => {{
                const source = new Blob([script], {{ type: 'text/javascript' }});
                const worker = new Worker(URL.createObjectURL(source), {{ type: 'module' }});
                const waiting = new Map();
                let last = 0;
                const ask = (...what) => new Promise(answered => {{
                    waiting.set(++last, answered);
                    worker.postMessage([last, ...what]);
                }});
                worker.onerror = error => failed(error.message);
                worker.onmessage = ({{ data: [n, answer] }}) => {{
                    if (n === 0) ready({{ ask, kill: () => worker.terminate() }});
                    else waiting.get(n)(answer);
                }};
            }})"
        );
        let promise: Promise = run(&script).unchecked_into();
        Self(JsFuture::from(promise).await.unwrap())
    }

    fn method(&self, name: &str) -> Function {
        let method = Reflect::get(&self.0, &name.into()).unwrap();
        method.unchecked_into()
    }

    async fn ask(&self, what: &[&str]) -> JsValue {
        let what: Array = what.iter().map(|word| JsValue::from_str(word)).collect();
        let promise = self.method("ask").apply(&self.0, &what).unwrap();
        let promise: Promise = promise.unchecked_into();
        JsFuture::from(promise).await.unwrap()
    }

    async fn number(&self, what: &str) -> usize {
        self.ask(&[what]).await.as_f64().unwrap() as usize
    }

    pub(crate) async fn create(&self, id: &str) {
        self.ask(&["create", id]).await;
    }

    pub(crate) async fn read(&self, id: &str) {
        self.ask(&["read", id]).await;
    }

    pub(crate) async fn count(&self) -> usize {
        self.number("count").await
    }

    pub(crate) async fn heard(&self) -> usize {
        self.number("heard").await
    }

    pub(crate) async fn pending(&self) -> usize {
        self.number("pending").await
    }

    /// How many requests the worker has made.
    pub(crate) async fn asked(&self) -> usize {
        self.number("asked").await
    }

    pub(crate) async fn leads(&self) -> bool {
        self.ask(&["leads"]).await.is_truthy()
    }

    pub(crate) async fn follows(&self) -> bool {
        self.ask(&["follows"]).await.is_truthy()
    }

    pub(crate) async fn shutdown(&self) {
        self.ask(&["shutdown"]).await;
    }

    pub(crate) fn kill(&self) {
        self.method("kill").call0(&self.0).unwrap();
    }

    pub(crate) async fn is_idle_with(&self, records: usize) {
        eventually("all is pushed, and seen", async || {
            self.pending().await == 0 && self.count().await == records
        })
        .await;
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        self.kill();
    }
}
