//! One engine's requests, on their way there and back.

use std::time::Duration;

use async_trait::async_trait;
use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, select},
};
use sync_core::{
    model::{Account, Page},
    time::Clock,
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};

use super::{Asked, Line, Network, RequestFault, Told, error};
use crate::simulator::{
    executor::{NETWORK, lock},
    seen::{Seen, TabId},
};

/// After which time a request is given up, as every client does.
const PATIENCE: Duration = Duration::from_secs(30);

/// One engine's connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) network: Network,
    pub(crate) tab: TabId,
    pub(crate) line: Line,
    pub(crate) account: Account,
}

impl Link {
    /// Sends a request into the network, where it goes on by itself, and waits for what comes back.
    async fn send(&self, asked: Asked) -> Result<Told, TransportError> {
        let request = self.network.recorder.request();
        self.network.recorder.see(&Seen::Sent {
            tab: self.tab,
            request,
            asked: &asked,
        });
        let _ended = Ended {
            link: self,
            request,
        };
        let (reply, answer) = oneshot::channel();
        let flight = self.clone().fly(asked, reply);
        self.network.executor.spawn(NETWORK, flight.boxed());
        let clock = &self.network.executor.clock;
        let patience = clock.sleep_until(clock.now() + PATIENCE);
        let outcome = match select(answer, patience).await {
            Either::Left((Ok(answer), _)) => answer,
            Either::Left((Err(_), patience)) => {
                patience.await;
                Err(error(TransportErrorKind::Timeout, "no answer in time"))
            }
            Either::Right(_) => Err(error(TransportErrorKind::Timeout, "no answer in time")),
        };
        if let Err(error) = &outcome {
            self.network.recorder.see(&Seen::Refused {
                tab: self.tab,
                request,
                kind: error.kind(),
                retry_after: error.retry_after(),
            });
        }
        outcome
    }

    async fn fly(self, asked: Asked, reply: oneshot::Sender<Result<Told, TransportError>>) {
        let fault = self.line.meet(matches!(asked, Asked::Push(_)));
        let life = lock(&self.network.state).life;
        let sent = self.network.executor.clock.now();
        self.network.wait(self.line.latency()).await;
        if !self.line.is_up() {
            // An error only says that nobody waits any more.
            let _ = reply.send(Err(error(TransportErrorKind::Network, "no network")));
            return;
        }
        if let Some(kind) = self.line.token_refusal(fault) {
            let _ = reply.send(Err(error(kind, "the token is refused")));
            return;
        }
        if let Some(error) = fault.and_then(RequestFault::error) {
            let _ = reply.send(Err(error));
            return;
        }
        match fault {
            Some(RequestFault::HalfOpen) => return,
            Some(RequestFault::Delayed) => self.network.wait(Duration::from_secs(12)).await,
            Some(RequestFault::Duplicated) => {
                let (link, asked) = (self.clone(), asked.clone());
                let again = async move {
                    link.network.wait(Duration::from_secs(3)).await;
                    // Nobody hears what the server says to the second one.
                    let _ = link
                        .network
                        .handle(link.tab.device, &link.account, sent, asked)
                        .await;
                };
                self.network.executor.spawn(NETWORK, again.boxed());
            }
            _ => {}
        }
        let cursor = match &asked {
            Asked::Pull(request) => request.cursor.clone(),
            Asked::Push(_) => None,
        };
        let faltering = match (fault.and_then(RequestFault::trouble), &asked) {
            (Some(trouble), Asked::Push(request)) => {
                let after = self.network.executor.draw(4);
                self.network.shaky.falter(trouble, after);
                Some(request.clone())
            }
            _ => None,
        };
        let handling = self
            .network
            .handle(self.tab.device, &self.account, sent, asked);
        let mut outcome = match fault {
            Some(RequestFault::ServerKilled) => handling.now_or_never().unwrap_or_else(|| {
                Err(error(TransportErrorKind::Network, "the server was killed"))
            }),
            _ => handling.await,
        };
        if let Some(request) = faltering {
            self.network.decided_untold(&request);
        }
        if fault == Some(RequestFault::StandsStill)
            && let (Ok(Told::Page(page)), Some(cursor)) = (&mut outcome, cursor)
        {
            page.next = cursor;
            page.has_more = true;
        }
        // What has left the server arrives, whatever becomes of it.
        let was_cut = lock(&self.network.state).life != life;
        if fault == Some(RequestFault::LateAnswer) {
            self.network.wait(Duration::from_secs(12)).await;
        }
        self.network.wait(self.line.latency()).await;
        let lost = match fault {
            Some(RequestFault::LostAnswer | RequestFault::ServerKilled) => {
                Some(TransportErrorKind::Network)
            }
            Some(RequestFault::CutOff) => Some(TransportErrorKind::Malformed),
            _ if !self.line.is_up() => Some(TransportErrorKind::Network),
            _ if was_cut => Some(TransportErrorKind::Network),
            _ => None,
        };
        let _ = reply.send(match lost {
            Some(kind) => Err(error(kind, "the answer did not arrive whole")),
            None => outcome,
        });
    }
}

/// Tells when a request is over for whoever has sent it, be it that it was dropped.
struct Ended<'a> {
    link: &'a Link,
    request: u64,
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.link.network.recorder.see(&Seen::Over {
            tab: self.link.tab,
            request: self.request,
        });
    }
}

#[async_trait]
impl Transport for Link {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        match self.send(Asked::Pull(request)).await? {
            Told::Page(page) => Ok(page),
            Told::Answer(_) => Err(error(TransportErrorKind::Foreign, "an answer to a pull")),
        }
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        match self.send(Asked::Push(request)).await? {
            Told::Answer(answer) => Ok(answer),
            Told::Page(_) => Err(error(TransportErrorKind::Foreign, "a page to a push")),
        }
    }

    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}
