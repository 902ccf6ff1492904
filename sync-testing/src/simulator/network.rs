//! The way between the devices and the server: late, lost, repeated, out of order, cut off, or not the server at all.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, select},
};
use sync_core::{
    model::{Account, Page, RecordKey},
    time::{Clock, Time},
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};
use sync_server::Server;

use super::{
    dice::Dice,
    executor::{Executor, NETWORK, lock},
    seen::{Recorder, Seen, TabId},
};

/// After which time a request is given up, as every client does.
const PATIENCE: Duration = Duration::from_secs(30);

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $label:literal,)*) => {
        /// What goes wrong with a request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum RequestFault { $($(#[$doc])* $name,)* }

        impl RequestFault {
            const ALL: &'static [Self] = &[$(Self::$name),*];
            /// The labels of all of them.
            pub(crate) const LABELS: &'static [&'static str] = &[$($label),*];

            pub(crate) fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }
        }
    };
}

faults! {
    /// It does not arrive.
    LostRequest = "request lost",
    /// The server handles it, and the answer does not arrive.
    LostAnswer = "answer lost",
    /// The server handles it twice, the second time somewhat later.
    Duplicated = "request duplicated",
    /// It is on its way for so long that later ones overtake it, and is handled in the end.
    Delayed = "request delayed and overtaken",
    /// The server handles it, and only a part of the answer arrives.
    CutOff = "answer cut off",
    /// The server is killed as soon as it has to wait for something on the way to an answer.
    ServerKilled = "server killed while it handles the request",
    /// Nothing ever comes back, not even an error.
    HalfOpen = "connection half open",
    /// The server fails.
    Unavailable = "server error 5xx",
    /// The server asks for patience.
    RetryAfter = "429 with Retry-After",
    /// The token has expired, and is refused until the app has another.
    Unauthorized = "401",
    /// Somebody on the way refuses.
    ProxyForbids = "403 of a proxy",
    /// Somebody on the way answers in the server's stead.
    CaptivePortal = "captive portal's HTML with status 200",
    /// It is too large for somebody on the way.
    TooLarge = "413",
    /// It is refused as a whole.
    BadRequest = "400",
    /// The cursor is too old, says the server.
    CursorExpired = "cursor expired",
    /// A page that says that there is more, and stands still.
    StandsStill = "page that stands still",
}

impl RequestFault {
    pub(crate) fn draw(dice: &Dice) -> Self {
        dice.one_of(Self::ALL)
    }

    /// The error that the device gets without the server having seen anything.
    fn error(self) -> Option<TransportError> {
        let kind = match self {
            Self::LostRequest => TransportErrorKind::Network,
            Self::Unavailable | Self::RetryAfter => TransportErrorKind::Unavailable,
            Self::ProxyForbids | Self::CaptivePortal => TransportErrorKind::Foreign,
            Self::TooLarge => TransportErrorKind::TooLarge,
            Self::BadRequest => TransportErrorKind::BadRequest,
            Self::CursorExpired => TransportErrorKind::CursorExpired,
            _ => return None,
        };
        let after = (self == Self::RetryAfter).then_some(Duration::from_secs(9));
        Some(TransportError::new(kind, self.label()).with_retry_after(after))
    }
}

/// The server, and what stands between it and the devices. Clones are the same.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) server: Server,
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
    pub(crate) fn new(server: Server, executor: Executor, recorder: Recorder) -> Self {
        Self {
            server,
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
        asked: Asked,
    ) -> Result<Told, TransportError> {
        if self.now() < lock(&self.state).down_until {
            return Err(error(TransportErrorKind::Unavailable, "the server is down"));
        }
        match asked {
            Asked::Pull(request) => {
                let scope = request.scope.clone();
                let page = self.server.pull(account, request).await;
                self.recorder.see(&Seen::Read {
                    device,
                    scope: &scope,
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
                let answer = self.server.push(account, request.clone()).await?;
                self.recorder.see(&Seen::Decided {
                    request: &request,
                    answer: &answer,
                });
                Ok(Told::Answer(answer))
            }
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

/// One engine's connection.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) network: Network,
    pub(crate) tab: TabId,
    pub(crate) line: Line,
    pub(crate) account: Account,
}

/// One device's network: what all engines on it share. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Mutex<LineState>>);

#[derive(Debug)]
struct LineState {
    up: bool,
    token_expired: bool,
    latency: Duration,
    faults: VecDeque<RequestFault>,
    /// How often each fault was met.
    met: BTreeMap<RequestFault, u64>,
}

impl Line {
    pub(crate) fn new(latency: Duration) -> Self {
        Self(Arc::new(Mutex::new(LineState {
            up: true,
            token_expired: false,
            latency,
            faults: VecDeque::new(),
            met: BTreeMap::new(),
        })))
    }

    pub(crate) fn set_up(&self, up: bool) {
        lock(&self.0).up = up;
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        lock(&self.0).latency = latency;
    }

    /// The app has a token that is good.
    pub(crate) fn renew_token(&self) {
        lock(&self.0).token_expired = false;
    }

    pub(crate) fn fail_next(&self, fault: RequestFault) {
        lock(&self.0).faults.push_back(fault);
    }

    pub(crate) fn heal(&self) {
        let mut state = lock(&self.0);
        state.up = true;
        state.token_expired = false;
        state.latency = Duration::ZERO;
        state.faults.clear();
    }

    /// How often each fault was met, with its label.
    pub(crate) fn met(&self) -> Vec<(&'static str, u64)> {
        let state = lock(&self.0);
        state
            .met
            .iter()
            .map(|(fault, n)| (fault.label(), *n))
            .collect()
    }

    fn is_up(&self) -> bool {
        lock(&self.0).up
    }

    /// Whether the token of a request is refused, which meets this fault, if any.
    fn refuses_token(&self, fault: Option<RequestFault>) -> bool {
        let mut state = lock(&self.0);
        state.token_expired |= fault == Some(RequestFault::Unauthorized);
        state.token_expired
    }

    fn latency(&self) -> Duration {
        lock(&self.0).latency
    }

    fn meet(&self, is_push: bool) -> Option<RequestFault> {
        let mut state = lock(&self.0);
        let fits = |fault: &RequestFault| match fault {
            RequestFault::StandsStill | RequestFault::CursorExpired => !is_push,
            RequestFault::TooLarge | RequestFault::BadRequest => is_push,
            _ => true,
        };
        let at = state.faults.iter().position(fits)?;
        let fault = state.faults.remove(at)?;
        *state.met.entry(fault).or_default() += 1;
        Some(fault)
    }
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
        self.network.wait(self.line.latency()).await;
        if !self.line.is_up() {
            // An error only says that nobody waits any more.
            let _ = reply.send(Err(error(TransportErrorKind::Network, "no network")));
            return;
        }
        if self.line.refuses_token(fault) {
            let kind = TransportErrorKind::Unauthorized;
            let _ = reply.send(Err(error(kind, "the token has expired")));
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
                        .handle(link.tab.device, &link.account, asked)
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
        let handling = self.network.handle(self.tab.device, &self.account, asked);
        let mut outcome = match fault {
            Some(RequestFault::ServerKilled) => handling.now_or_never().unwrap_or_else(|| {
                Err(error(TransportErrorKind::Network, "the server was killed"))
            }),
            _ => handling.await,
        };
        if fault == Some(RequestFault::StandsStill)
            && let (Ok(Told::Page(page)), Some(cursor)) = (&mut outcome, cursor)
        {
            page.next = cursor;
            page.has_more = true;
        }
        self.network.wait(self.line.latency()).await;
        let lost = match fault {
            Some(RequestFault::LostAnswer | RequestFault::ServerKilled) => {
                Some(TransportErrorKind::Network)
            }
            Some(RequestFault::CutOff) => Some(TransportErrorKind::Malformed),
            _ if !self.line.is_up() => Some(TransportErrorKind::Network),
            _ if lock(&self.network.state).life != life => Some(TransportErrorKind::Network),
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
