//! One device's way to the server, and what goes wrong on it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use sync_core::transport::{TransportError, TransportErrorKind};

use crate::simulator::{dice::Dice, executor::lock, world::Trouble};

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
    /// The server handles it, and the answer is on its way for so long that other things happen first.
    LateAnswer = "answer delayed",
    /// The server handles it twice, the second time somewhat later.
    Duplicated = "request duplicated",
    /// It is on its way for so long that later ones overtake it, and is handled in the end.
    Delayed = "request delayed and overtaken",
    /// The server handles it, and only a part of the answer arrives.
    CutOff = "answer cut off",
    /// The server is killed while it handles the request, with a part of a batch done.
    ServerKilled = "server killed while it handles the request",
    /// The server loses its database with a part of a batch done, and cannot say which.
    DatabaseGone = "server's database gone in the middle of a batch",
    /// The server cannot store the end of a batch now, and wants to see it again.
    RestAgain = "end of a batch answered retry",
    /// Nothing ever comes back, not even an error.
    HalfOpen = "connection half open",
    /// The server fails.
    Unavailable = "server error 5xx",
    /// The server asks for patience.
    RetryAfter = "429 with Retry-After",
    /// The token has expired, and is refused until the app has another.
    Unauthorized = "401",
    /// The token is another account's, until the app has a good one.
    OtherAccount = "409: another account's token",
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

    /// What the server meets with in the middle of a batch.
    pub(super) fn trouble(self) -> Option<Trouble> {
        match self {
            Self::ServerKilled => Some(Trouble::Killed),
            Self::DatabaseGone => Some(Trouble::Gone),
            Self::RestAgain => Some(Trouble::Stuck),
            _ => None,
        }
    }

    /// The error that the device gets without the server having seen anything.
    pub(super) fn error(self) -> Option<TransportError> {
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

/// One device's network: what all engines on it share. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Line(Arc<Mutex<LineState>>);

#[derive(Debug)]
struct LineState {
    up: bool,
    /// How the server refuses the token.
    refusal: Option<TransportErrorKind>,
    latency: Duration,
    faults: VecDeque<RequestFault>,
    /// How often each fault was met.
    met: BTreeMap<RequestFault, u64>,
}

impl Line {
    pub(crate) fn new(latency: Duration) -> Self {
        Self(Arc::new(Mutex::new(LineState {
            up: true,
            refusal: None,
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
        lock(&self.0).refusal = None;
    }

    pub(crate) fn fail_next(&self, fault: RequestFault) {
        lock(&self.0).faults.push_back(fault);
    }

    pub(crate) fn heal(&self) {
        let mut state = lock(&self.0);
        state.up = true;
        state.refusal = None;
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

    pub(super) fn is_up(&self) -> bool {
        lock(&self.0).up
    }

    /// How the token of a request is refused, which meets this fault, if any.
    pub(super) fn token_refusal(&self, fault: Option<RequestFault>) -> Option<TransportErrorKind> {
        let refusal = &mut lock(&self.0).refusal;
        match fault {
            Some(RequestFault::Unauthorized) => *refusal = Some(TransportErrorKind::Unauthorized),
            Some(RequestFault::OtherAccount) => *refusal = Some(TransportErrorKind::OtherAccount),
            _ => {}
        }
        *refusal
    }

    pub(super) fn latency(&self) -> Duration {
        lock(&self.0).latency
    }

    pub(super) fn meet(&self, is_push: bool) -> Option<RequestFault> {
        let mut state = lock(&self.0);
        let fits = |fault: &RequestFault| match fault {
            RequestFault::StandsStill => !is_push,
            RequestFault::TooLarge
            | RequestFault::BadRequest
            | RequestFault::DatabaseGone
            | RequestFault::RestAgain => is_push,
            _ => true,
        };
        let at = state.faults.iter().position(fits)?;
        let fault = state.faults.remove(at)?;
        *state.met.entry(fault).or_default() += 1;
        Some(fault)
    }
}
