//! What a browser says about its page and its network, passed on to an engine.

use std::{
    cell::Cell,
    fmt,
    rc::{Rc, Weak},
    time::Duration,
};

use js_sys::Reflect;
use send_wrapper::SendWrapper;
use sync_core::{
    engine::SyncEngine,
    platform::Sleep,
    scheduler::{FlushEnd, SyncEnd},
};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{Event, EventTarget};

/// How long a browser is believed that it is offline.
const BELIEVED: Duration = Duration::from_secs(30);

/// Events of the document; a worker has none.
const OF_DOCUMENT: [&str; 3] = ["visibilitychange", "freeze", "resume"];
/// Events of the window; a worker has the first two.
const OF_GLOBAL: [&str; 4] = ["online", "offline", "pageshow", "pagehide"];

/// Tells an engine what the browser says, for as long as it lives; dropping it detaches it.
///
/// - **Visible or not**, from `visibilitychange`, `freeze`, `resume`, `pagehide` and `pageshow`. However many of them come
///   when a tab is back, the engine hears once that it is, and catches up once.
/// - **The last push**: when the page is hidden (the last that a page on a phone may hear) and edits wait for a retry,
///   they are tried at once.
/// - **Online or not**, as a hint. Browsers are wrong about it, behind some VPNs for years: after half a minute of
///   *offline*, and every half minute from there, a sync is tried, and one that succeeds proves that there is a network.
///
/// In a worker there is only the network to hear of; its page says by a message whether it is visible.
///
/// It holds a handle of the engine, whose driver therefore goes on until it is detached or the engine is shut down.
#[must_use = "it is detached when it is dropped"]
pub struct Signals {
    _attached: SendWrapper<Attached>,
}

impl Signals {
    /// Tells the engine how things stand, and from now on whatever changes.
    pub fn attach(engine: &SyncEngine) -> Self {
        Self::attach_believing(engine, BELIEVED)
    }

    /// As [`Signals::attach`], with another time than half a minute for which *offline* is believed.
    pub fn attach_believing(engine: &SyncEngine, believed: Duration) -> Self {
        let heard = Rc::new(Heard {
            engine: engine.clone(),
            believed,
            away: Cell::new(false),
            visible: Cell::new(true),
            word: Cell::new(0),
        });
        heard.show();
        if is_offline() {
            heard.offline();
        }
        let on_event = Closure::<dyn FnMut(Event)>::new({
            let heard = Rc::clone(&heard);
            move |event: Event| heard.hear(&event.type_())
        });
        let mut sources = Vec::new();
        let global = js_sys::global().unchecked_into::<EventTarget>();
        sources.extend(OF_GLOBAL.map(|name| (global.clone(), name)));
        if let Some(document) = document() {
            sources.extend(OF_DOCUMENT.map(|name| (document.clone(), name)));
        }
        for (source, name) in &sources {
            let listener = on_event.as_ref().unchecked_ref();
            // It fails for no event that exists; one that does not never comes.
            let _ = source.add_event_listener_with_callback(name, listener);
        }
        Self {
            _attached: SendWrapper::new(Attached {
                sources,
                on_event,
                _heard: heard,
            }),
        }
    }
}

impl fmt::Debug for Signals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signals")
    }
}

/// The listeners, which this takes away again.
struct Attached {
    sources: Vec<(EventTarget, &'static str)>,
    on_event: Closure<dyn FnMut(Event)>,
    _heard: Rc<Heard>,
}

impl Drop for Attached {
    fn drop(&mut self) {
        for (source, name) in &self.sources {
            let listener = self.on_event.as_ref().unchecked_ref();
            let _ = source.remove_event_listener_with_callback(name, listener);
        }
    }
}

/// What was heard last.
struct Heard {
    engine: SyncEngine,
    believed: Duration,
    /// Whether the page is frozen, or put aside for the way back.
    away: Cell<bool>,
    visible: Cell<bool>,
    /// Counts what was said of the network, so that a doubt knows which word it is about.
    word: Cell<u64>,
}

impl Heard {
    fn hear(self: &Rc<Self>, event: &str) {
        match event {
            "online" => {
                self.word.set(self.word.get() + 1);
                self.engine.set_online(true);
            }
            "offline" => self.offline(),
            "freeze" | "pagehide" => self.away.set(true),
            "resume" | "pageshow" => self.away.set(false),
            _ => {}
        }
        self.show();
    }

    /// Tells the engine whether the page can be seen, if that has changed.
    fn show(&self) {
        let visible = !self.away.get() && !is_hidden();
        if self.visible.replace(visible) == visible {
            return;
        }
        self.engine.set_visible(visible);
        if !visible {
            wasm_bindgen_futures::spawn_local(push_what_waits(self.engine.clone()));
        }
    }

    fn offline(self: &Rc<Self>) {
        let word = self.word.get() + 1;
        self.word.set(word);
        self.engine.set_online(false);
        wasm_bindgen_futures::spawn_local(doubt(Rc::downgrade(self), word, self.believed));
    }

    /// The same, while no other word has been said.
    fn still(heard: &Weak<Self>, word: u64) -> Option<Rc<Self>> {
        heard.upgrade().filter(|heard| heard.word.get() == word)
    }
}

/// Tries what waits for its next attempt. An edit that waits for none has been on its way since it was made.
async fn push_what_waits(engine: SyncEngine) {
    if engine
        .status()
        .await
        .is_ok_and(|status| status.counts.pending > 0)
    {
        engine.sync_now([]).await;
    }
}

/// Tries now and then whether the browser is wrong.
async fn doubt(heard: Weak<Heard>, word: u64, believed: Duration) {
    loop {
        Sleep::new(believed).await;
        let Some(now) = Heard::still(&heard, word) else {
            return;
        };
        let engine = now.engine.clone();
        drop(now);
        engine.set_online(true);
        let proven = is_proven(&engine).await;
        if proven || Heard::still(&heard, word).is_none() {
            return;
        }
        engine.set_online(false);
    }
}

/// Whether a sync has had an answer.
async fn is_proven(engine: &SyncEngine) -> bool {
    let status = engine.status().await;
    let to_push = status.is_ok_and(|status| status.counts.pending > 0);
    let report = engine.sync_now([]).await;
    let pushed = to_push && report.flush == FlushEnd::Answered;
    pushed || report.scopes.values().any(|end| *end == SyncEnd::Synced)
}

pub(crate) fn document() -> Option<EventTarget> {
    let document = Reflect::get(&js_sys::global(), &"document".into()).ok()?;
    document.dyn_into().ok()
}

fn is_hidden() -> bool {
    let hidden = document().and_then(|document| Reflect::get(&document, &"hidden".into()).ok());
    hidden.is_some_and(|hidden| hidden.is_truthy())
}

fn is_offline() -> bool {
    let online = Reflect::get(&js_sys::global(), &"navigator".into())
        .and_then(|navigator| Reflect::get(&navigator, &"onLine".into()));
    online == Ok(JsValue::FALSE)
}
