//! The switch beside the network: a transport that refuses when it is off, and keeps a log of the requests for the
//! inspector.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use leptos::prelude::*;
use sync_core::{
    model::Page,
    time::Timestamp,
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};

use crate::words::counted;

/// How many requests are kept: as many as one looks at.
const KEPT: usize = 50;

/// A request and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) what: String,
    /// The scope of a pull; a push has those of its mutations.
    pub(crate) scope: String,
    pub(crate) end: String,
}

/// Whether requests go out, and those that did. Clones share both.
#[derive(Clone, Debug)]
pub(crate) struct Switch {
    on: Arc<AtomicBool>,
    requests: ArcRwSignal<Vec<Request>>,
}

impl Switch {
    pub(crate) fn new() -> Self {
        Self {
            on: Arc::new(AtomicBool::new(true)),
            requests: ArcRwSignal::new(Vec::new()),
        }
    }

    pub(crate) fn set(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }

    /// The newest first.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.get()
    }

    fn check(&self) -> Result<(), TransportError> {
        if self.on.load(Ordering::Relaxed) {
            return Ok(());
        }
        let kind = TransportErrorKind::Network;
        Err(TransportError::new(kind, "the switch of this page is off"))
    }

    fn note(&self, what: String, scope: String, end: String) {
        let at = Timestamp::from_millis(js_sys::Date::now() as i64);
        self.requests.update(|requests| {
            let number = requests.first().map_or(1, |newest| newest.number + 1);
            let request = Request {
                number,
                at,
                what,
                scope,
                end,
            };
            requests.insert(0, request);
            requests.truncate(KEPT);
        });
    }
}

/// A transport behind the switch.
#[derive(Debug)]
pub(crate) struct Switched<T> {
    pub(crate) transport: T,
    pub(crate) switch: Switch,
}

#[async_trait(?Send)]
impl<T: Transport> Transport for Switched<T> {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        self.switch.check()?;
        let scope = request.scope.to_string();
        let page = self.transport.pull(request).await;
        let end = match &page {
            Ok(page) => counted(page.changes.len() as u64, "change", "changes"),
            Err(error) => error.to_string(),
        };
        self.switch.note("pull".to_owned(), scope, end);
        page
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        self.switch.check()?;
        let edits = counted(request.mutations.len() as u64, "edit", "edits");
        let what = format!("push {edits}");
        let answer = self.transport.push(request).await;
        let end = match &answer {
            Ok(answer) => counted(answer.answers.len() as u64, "answer", "answers"),
            Err(error) => error.to_string(),
        };
        self.switch.note(what, String::new(), end);
        answer
    }

    fn traits(&self) -> ServerTraits {
        self.transport.traits()
    }
}
