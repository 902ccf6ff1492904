//! The way between the devices and the server: late, lost, repeated, out of order, cut off, or not the server at all.

mod line;
mod link;

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use sync_core::{
    model::{Account, Page, RecordKey},
    time::{Clock, Time},
    transport::{PullRequest, PushAnswer, PushRequest, TransportError, TransportErrorKind},
};

pub(crate) use self::{
    line::{Line, RequestFault},
    link::Link,
};
use super::{
    executor::{Executor, lock},
    plan::Choking,
    seen::{Recorder, Seen},
    world::{Backend, Shaky},
};

/// The server, and what stands between it and the devices. Clones are the same.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) backend: Arc<dyn Backend>,
    shaky: Shaky,
    executor: Executor,
    recorder: Recorder,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    down_until: Time,
    /// Requests of an earlier life of the server are lost.
    life: u64,
    choked: Option<(RecordKey, Choking)>,
}

/// What a request asks.
#[derive(Clone, Debug)]
pub(crate) enum Asked {
    Pull(PullRequest),
    Push(PushRequest),
}

#[derive(Debug)]
pub(crate) enum Told {
    Page(Page),
    Answer(PushAnswer),
}

impl Network {
    pub(crate) fn new(
        backend: Arc<dyn Backend>,
        shaky: Shaky,
        executor: Executor,
        recorder: Recorder,
    ) -> Self {
        Self {
            backend,
            shaky,
            executor,
            recorder,
            state: Arc::default(),
        }
    }

    pub(crate) fn take_down(&self, time: Duration) {
        lock(&self.state).down_until = self.executor.clock.now() + time;
    }

    /// Whatever the server is at, it does not tell anybody.
    pub(crate) fn restart(&self) {
        lock(&self.state).life += 1;
    }

    pub(crate) fn choke_on(&self, record: Option<(RecordKey, Choking)>) {
        lock(&self.state).choked = record;
    }

    pub(crate) fn heal(&self) {
        let mut state = lock(&self.state);
        state.down_until = Time::default();
    }

    fn now(&self) -> Time {
        self.executor.clock.now()
    }

    async fn wait(&self, time: Duration) {
        if !time.is_zero() {
            self.executor.clock.sleep_until(self.now() + time).await;
        }
    }

    /// The server's own answer, as it leaves the server.
    async fn handle(
        &self,
        device: usize,
        account: &Account,
        sent: Time,
        asked: Asked,
    ) -> Result<Told, TransportError> {
        if self.now() < lock(&self.state).down_until {
            return Err(error(TransportErrorKind::Unavailable, "the server is down"));
        }
        match asked {
            Asked::Pull(request) => {
                let scope = request.scope.clone();
                let page = self.backend.pull(account, request).await;
                self.recorder.see(&Seen::Read {
                    device,
                    account,
                    scope: &scope,
                    sent,
                    page: page.as_ref().ok(),
                });
                Ok(Told::Page(page?))
            }
            Asked::Push(request) => {
                let choked = lock(&self.state).choked.clone();
                let holds =
                    |key: &RecordKey| request.mutations.iter().any(|m| m.mutation.key == *key);
                if let Some((_, how)) = choked.filter(|(key, _)| holds(key)) {
                    return Err(chokes(how));
                }
                self.recorder.see(&Seen::Arrived { request: &request });
                let answer = self.backend.push(account, request.clone()).await?;
                self.recorder.see(&Seen::Decided {
                    request: &request,
                    answer: &answer,
                });
                Ok(Told::Answer(answer))
            }
        }
    }
}

impl Network {
    /// What a server has decided before it faltered: nobody is told, and it counts all the same.
    fn decided_untold(&self, request: &PushRequest) {
        let answers = self.shaky.steady();
        if !answers.is_empty() {
            let answer = PushAnswer {
                answers,
                verdict_retention: None,
            };
            self.recorder.see(&Seen::Decided {
                request,
                answer: &answer,
            });
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

fn chokes(how: Choking) -> TransportError {
    match how {
        Choking::Refuses => error(TransportErrorKind::BadRequest, "the server chokes"),
        Choking::Fails => error(TransportErrorKind::Unavailable, "the server chokes"),
        Choking::PutsOff => error(TransportErrorKind::Unavailable, "the server is busy")
            .with_retry_after(Some(Duration::from_secs(4))),
    }
}

fn error(kind: TransportErrorKind, what: &str) -> TransportError {
    TransportError::new(kind, what)
}
