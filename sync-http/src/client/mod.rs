//! The transport over HTTP.

mod address;
mod answer;
mod builder;
mod fetch;
#[cfg(target_arch = "wasm32")]
#[path = "browser.rs"]
mod platform;
#[cfg(not(target_arch = "wasm32"))]
#[path = "native.rs"]
mod platform;
mod token;

pub use builder::{BuildError, HttpTransportBuilder};
pub use fetch::{Fetch, FetchError, Request, Response};
pub use token::{Credentials, Token, TokenError, TokenSource};

use std::{
    error::Error,
    fmt,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::{Either, select};
use sync_core::{
    model::{Account, Page},
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};

use crate::{
    dialect::Speak,
    wire::{self, ErrorCode},
};
use address::Address;

/// A [`Transport`] over HTTP, in any [`Dialect`](crate::dialect::Dialect).
///
/// - A request, its body included, ends within the timeout; an answer is never longer than its bound. After a page
///   that was, the next pulls ask for half as many changes.
/// - Before each request the token source's account is compared with the engine's: for another one, nothing is
///   sent.
/// - A refused token (401) is refreshed once, and the request sent once more.
/// - A redirect is followed within the origin only; the token goes nowhere else. A browser follows none.
///
/// On native targets it runs on tokio, with reqwest and rustls (ring, the platform's certificates; on Android,
/// `rustls-platform-verifier` wants to be initialised by the app); in a browser on `fetch`.
pub struct HttpTransport {
    address: Address,
    tokens: Arc<dyn TokenSource>,
    dialect: Arc<dyn Speak>,
    timeout: Duration,
    max_body: usize,
    /// The most changes that a page may have: fewer than were asked for, once a page was longer than its bound.
    page_limit: AtomicU32,
    token_header: (String, String),
    fetch: Arc<dyn Fetch>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// Begins a transport to the server at this base address, below which the dialect's paths lie.
    pub fn builder(
        address: impl Into<String>,
        tokens: impl TokenSource + 'static,
    ) -> HttpTransportBuilder {
        HttpTransportBuilder::new(address.into(), Arc::new(tokens))
    }

    /// Asks the server, with a fresh token if it refuses the first, and returns the body of its success.
    async fn ask(
        &self,
        what: &str,
        account: &Account,
        target: &str,
        body: Option<String>,
    ) -> Result<Arc<str>, TransportError> {
        let mut refresh = false;
        loop {
            let credentials = self.credentials(what, account, refresh).await?;
            let request = self.request(credentials, target, body.clone());
            let response = self.timed(what, self.fetch.fetch(request)).await?;
            let response = response.map_err(|error| self.no_answer(what, error))?;
            tracing::debug!(what, status = response.status, "answered");
            if response.status == ErrorCode::Unauthorized.status() && !refresh {
                refresh = true;
            } else {
                return answer::sort(&*self.dialect, what, response);
            }
        }
    }

    async fn credentials(
        &self,
        what: &str,
        account: &Account,
        refresh: bool,
    ) -> Result<Credentials, TransportError> {
        let credentials = self.timed(what, self.tokens.token(refresh)).await?;
        let credentials = credentials.map_err(|error| {
            let kind = match error {
                TokenError::LoggedOut => TransportErrorKind::Unauthorized,
                TokenError::Unavailable(_) => TransportErrorKind::Network,
            };
            TransportError::new(kind, what).with_source(error)
        })?;
        if credentials.account != *account {
            return Err(TransportError::new(TransportErrorKind::OtherAccount, what));
        }
        if credentials
            .token
            .as_ref()
            .is_some_and(|t| !t.fits_a_header())
        {
            return Err(TransportError::new(
                TransportErrorKind::Unauthorized,
                format!("{what}: the token holds a character that a header cannot"),
            ));
        }
        Ok(credentials)
    }

    fn request(&self, credentials: Credentials, target: &str, body: Option<String>) -> Request {
        let mut headers = vec![("accept".to_owned(), "application/json".to_owned())];
        if body.is_some() {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        if self.dialect.names_account() {
            let account = wire::encode_account(&credentials.account);
            headers.push((wire::ACCOUNT_HEADER.to_owned(), account));
        }
        if let Some(token) = credentials.token {
            let (name, prefix) = &self.token_header;
            headers.push((name.clone(), format!("{prefix}{}", token.secret())));
        }
        Request {
            url: self.address.join(target),
            headers,
            body,
            max_body: self.max_body,
        }
    }

    /// The future's result, unless it takes longer than the timeout.
    async fn timed<T>(
        &self,
        what: &str,
        future: impl Future<Output = T>,
    ) -> Result<T, TransportError> {
        match select(pin!(future), self.fetch.sleep(self.timeout)).await {
            Either::Left((result, _)) => Ok(result),
            Either::Right(_) => Err(TransportError::new(TransportErrorKind::Timeout, what)),
        }
    }

    fn no_answer(&self, what: &str, error: FetchError) -> TransportError {
        let (kind, context) = match error {
            FetchError::Network(_) => (TransportErrorKind::Network, what.to_owned()),
            FetchError::TooLarge => (
                TransportErrorKind::Malformed,
                format!("{what}: longer than {} bytes", self.max_body),
            ),
        };
        TransportError::new(kind, context).with_source(error)
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Transport for HttpTransport {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        let what = format!("pull of scope {}", request.scope);
        let limit = request.limit.min(self.page_limit.load(Ordering::Relaxed));
        let request = PullRequest { limit, ..request };
        let target = self.dialect.pull_target(&request);
        let answer = self.ask(&what, &request.account, &target, None).await;
        if answer.as_ref().is_err_and(is_too_large) {
            // It stays so: a server with such pages has more of them, and each costs a whole answer to learn of.
            self.page_limit
                .fetch_min((limit / 2).max(1), Ordering::Relaxed);
        }
        let body = answer?;
        self.dialect
            .decode_page(&body)
            .map_err(|error| malformed(&what, error))
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        let what = format!("push of {} mutations", request.mutations.len());
        let body = self.dialect.encode_push(&request).map_err(|error| {
            TransportError::new(TransportErrorKind::BadRequest, &*what).with_source(error)
        })?;
        let target = self.dialect.push_target();
        let body = self
            .ask(&what, &request.account, target, Some(body))
            .await?;
        self.dialect
            .decode_answers(&body)
            .map_err(|error| malformed(&what, error))
    }

    fn traits(&self) -> ServerTraits {
        self.dialect.traits()
    }
}

fn is_too_large(error: &TransportError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref());
    matches!(source, Some(FetchError::TooLarge))
}

fn malformed(what: &str, error: crate::Malformed) -> TransportError {
    TransportError::new(TransportErrorKind::Malformed, format!("{what}: {error}"))
        .with_source(error)
}
