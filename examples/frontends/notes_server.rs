//! What the tests of both frontends share: an engine in the page, a server that the test plays, and a look at the page.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use gloo_timers::future::sleep;
use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};
use sync_core::{
    engine::{Entity, SyncEngine},
    model::{Change, ChangeOp, Page, Payload, Schema},
    store::MemoryStore,
    transport::{
        Answer, PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind, Verdict,
    },
};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;
use web_sys::{Element, Event, EventInit, HtmlElement, HtmlInputElement};

/// A server with one scope. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    changes: Arc<Mutex<Vec<Change>>>,
    is_down: Arc<AtomicBool>,
}

impl Server {
    /// Somebody else writes a note.
    pub(crate) fn write(&self, id: &str, text: &str) {
        let json = format!(r#"{{"id":"{id}","text":"{text}"}}"#);
        let mut changes = self.changes.lock().unwrap();
        let seq = changes.len() as u64 + 1;
        changes.push(Change {
            entity_type: "note".into(),
            entity_id: id.into(),
            op: ChangeOp::Put(Payload::parse(json).unwrap()),
            schema: Schema(1),
            seq: Some(seq),
            mutation_id: None,
            overwritten: Vec::new(),
        });
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    fn ask(&self) -> Result<(), TransportError> {
        match self.is_down.load(Ordering::Relaxed) {
            true => Err(TransportError::new(TransportErrorKind::Network, "down")),
            false => Ok(()),
        }
    }

    /// An engine that has it for a server, and a database of its own.
    pub(crate) async fn engine(&self) -> SyncEngine {
        let builder = SyncEngine::builder(MemoryStore::default(), self.clone());
        let (engine, driver) = builder.account("ann").open().await.unwrap();
        spawn_local(async move {
            driver.run().await;
        });
        // It begins when this turn of the browser is over.
        sleep(Duration::ZERO).await;
        engine
    }
}

#[async_trait(?Send)]
impl Transport for Server {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        self.ask()?;
        let from = request.cursor.map_or(0, |at| at.as_str().parse().unwrap());
        let changes = self.changes.lock().unwrap();
        Ok(Page {
            changes: changes[from..].to_vec(),
            next: changes.len().to_string().into(),
            has_more: false,
            through: Some(changes.len() as u64),
            epoch: None,
            verdict_retention: None,
        })
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        self.ask()?;
        let applied = |outgoing: &sync_core::transport::Outgoing| Answer {
            id: outgoing.mutation.id,
            verdict: Verdict::Applied {
                version: None,
                record: None,
            },
        };
        Ok(PushAnswer {
            answers: request.mutations.iter().map(applied).collect(),
            verdict_retention: None,
        })
    }

    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}

/// A new element of the page, for a component to be mounted in.
pub(crate) fn place() -> HtmlElement {
    let document = web_sys::window().unwrap().document().unwrap();
    let place = document.create_element("section").unwrap();
    document.body().unwrap().append_child(&place).unwrap();
    place.unchecked_into()
}

/// Waits until the text of an element has this in it, and fails with what is there instead.
async fn shows(place: &Element, text: &str) {
    for _ in 0..200 {
        if place.text_content().unwrap_or_default().contains(text) {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("no {text:?} in {:?}", place.text_content());
}

/// Types into the form, and submits it.
fn add(place: &Element, text: &str) {
    let input = place.query_selector("input").unwrap().unwrap();
    input.unchecked_into::<HtmlInputElement>().set_value(text);
    let form = place.query_selector("form").unwrap().unwrap();
    let how = EventInit::new();
    how.set_bubbles(true);
    how.set_cancelable(true);
    let submit = Event::new_with_event_init_dict("submit", &how).unwrap();
    form.dispatch_event(&submit).unwrap();
}

thread_local! {
    static READ: Cell<usize> = const { Cell::new(0) };
}

/// A note of which is known only how often one was read.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Counted;

impl Counted {
    fn times() -> usize {
        READ.get()
    }
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        READ.set(READ.get() + 1);
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl Entity for Counted {
    const TYPE: &'static str = "note";

    fn id(&self) -> String {
        String::new()
    }
}

/// What somebody else writes is read for as long as a component shows it, and not any more when it is gone.
pub(crate) async fn is_read_until(server: &Server, engine: &SyncEngine, unmount: impl FnOnce()) {
    engine.sync_now(["home".into()]).await;
    let reads = async |text: &str| {
        let before = Counted::times();
        server.write("n1", text);
        engine.sync_now(["home".into()]).await;
        sleep(Duration::from_millis(200)).await;
        Counted::times() > before
    };
    assert!(reads("while it is shown").await);
    unmount();
    sleep(Duration::from_millis(50)).await;
    assert!(
        !reads("when it is gone").await,
        "nobody looks, and it is read"
    );
}

/// The notes in a place follow what others write and what is written here.
pub(crate) async fn follows(server: &Server, engine: &SyncEngine, place: &Element) {
    shows(place, "from elsewhere").await;
    shows(place, "All sent").await;

    server.write("n1", "changed elsewhere");
    engine.poke("home");
    shows(place, "changed elsewhere").await;

    server.set_down(true);
    add(place, "written here");
    shows(place, "written here waiting").await;
    shows(place, "1 waiting").await;
    server.set_down(false);
    engine.sync_now([]).await;
    shows(place, "All sent").await;
}
