//! A transport whose answers a test writes down.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sync_core::{
    model::{Cursor, Page},
    transport::{
        Answer, PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        Verdict,
    },
};

/// What was asked of the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A page was asked for.
    Pull(PullRequest),
    /// A batch was sent.
    Push(PushRequest),
}

type PullScript = Box<dyn FnMut(&PullRequest) -> Result<Page, TransportError> + Send>;
type PushScript = Box<dyn FnMut(&PushRequest) -> Result<PushAnswer, TransportError> + Send>;

/// A transport whose answers a test writes down, in order; where it has written none, pulls find nothing new and
/// pushes are applied. It keeps what it was asked. Clones are the same transport.
#[derive(Clone, Default)]
pub struct ScriptedTransport {
    state: Arc<Mutex<State>>,
    traits: ServerTraits,
}

#[derive(Default)]
struct State {
    calls: Vec<Call>,
    pulls: VecDeque<PullScript>,
    pushes: VecDeque<PushScript>,
}

impl ScriptedTransport {
    /// A transport without a script.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A transport to a server with these traits.
    #[must_use]
    pub fn with_traits(traits: ServerTraits) -> Self {
        Self {
            traits,
            ..Self::default()
        }
    }

    /// Answers the next pull that has no answer yet.
    pub fn on_pull(
        &self,
        answer: impl FnMut(&PullRequest) -> Result<Page, TransportError> + Send + 'static,
    ) -> &Self {
        self.state().pulls.push_back(Box::new(answer));
        self
    }

    /// Answers the next push that has no answer yet.
    pub fn on_push(
        &self,
        answer: impl FnMut(&PushRequest) -> Result<PushAnswer, TransportError> + Send + 'static,
    ) -> &Self {
        self.state().pushes.push_back(Box::new(answer));
        self
    }

    /// What was asked so far, in order; the list starts anew.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.state().calls)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A page with nothing new.
fn nothing_new(request: &PullRequest) -> Page {
    Page {
        changes: Vec::new(),
        next: request.cursor.clone().unwrap_or_else(|| Cursor::from("0")),
        has_more: false,
        through: None,
        epoch: None,
        verdict_retention: None,
    }
}

fn all_applied(request: &PushRequest) -> PushAnswer {
    let applied = |outgoing: &sync_core::transport::Outgoing| Answer {
        id: outgoing.mutation.id,
        verdict: Verdict::Applied {
            version: None,
            record: None,
        },
    };
    PushAnswer {
        answers: request.mutations.iter().map(applied).collect(),
        verdict_retention: None,
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Transport for ScriptedTransport {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        let script = {
            let mut state = self.state();
            state.calls.push(Call::Pull(request.clone()));
            state.pulls.pop_front()
        };
        script.map_or_else(|| Ok(nothing_new(&request)), |mut answer| answer(&request))
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        let script = {
            let mut state = self.state();
            state.calls.push(Call::Push(request.clone()));
            state.pushes.pop_front()
        };
        script.map_or_else(|| Ok(all_applied(&request)), |mut answer| answer(&request))
    }

    fn traits(&self) -> ServerTraits {
        self.traits.clone()
    }
}

impl std::fmt::Debug for ScriptedTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScriptedTransport").finish_non_exhaustive()
    }
}
