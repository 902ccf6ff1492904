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
    choked: Option<RecordKey>,
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

    pub(crate) fn choke_on(&self, record: Option<RecordKey>) {
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
                let is_choked = |key: &RecordKey| choked.as_ref() == Some(key);
                if request.mutations.iter().any(|m| is_choked(&m.mutation.key)) {
                    return Err(error(TransportErrorKind::BadRequest, "the server chokes"));
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

fn error(kind: TransportErrorKind, what: &str) -> TransportError {
    TransportError::new(kind, what)
}
