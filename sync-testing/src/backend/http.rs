//! Plain HTTP: what is asked is written by hand, and what comes back is seen as it is.

use std::{error::Error, io::Read, sync::Arc, time::Duration};

use flate2::read::GzDecoder;
use reqwest::{Client, Method, Url, header, redirect::Policy};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;
use serde_json::Value;
use sync_core::model::Account;
use sync_http::{
    dialect::Dialect,
    wire::{ACCOUNT_HEADER, ErrorBody, ErrorCode, encode_account},
};

use super::{
    failure::{Broken, Outcome, holds},
    target::TargetError,
};

/// The longest that a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is shown of a body that is not as it should be.
const EXCERPT: usize = 120;

/// A client that adds nothing of its own and unpacks nothing.
#[derive(Clone, Debug)]
pub(super) struct Http {
    client: Client,
    base: Url,
}

/// A request, before it is sent.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    method: Method,
    target: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) status: u16,
    pub(super) headers: header::HeaderMap,
    body: Vec<u8>,
}

impl Http {
    pub(super) fn new(url: &str) -> Result<Self, TargetError> {
        let invalid = || TargetError::Address {
            url: url.to_owned(),
        };
        let with_slash = format!("{}/", url.trim_end_matches('/'));
        let base: Url = with_slash.parse().map_err(|_| invalid())?;
        let host = base.host_str().ok_or_else(invalid)?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(invalid());
        }
        let client = |error: Box<dyn Error + Send + Sync>| TargetError::Client(error);
        let tls = tls(base.scheme() == "https").map_err(|error| client(error.into()))?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .user_agent(concat!("sync-testing/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .no_gzip();
        if matches!(host, "localhost" | "127.0.0.1" | "[::1]") {
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| client(error.into()))?;
        Ok(Self { client, base })
    }

    pub(super) async fn send(&self, ask: Ask) -> Outcome<Seen> {
        let url = format!("{}{}", self.base, ask.target.trim_start_matches('/'));
        let mut request = self.client.request(ask.method, url).body(ask.body);
        for (name, value) in ask.headers {
            request = request.header(name, value);
        }
        let lost = |error: reqwest::Error| {
            // The innermost cause says it: refused, reset, no such host.
            let error: Box<dyn Error> = Box::new(error.without_url());
            let mut cause = &*error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            Broken::new(format!("no answer: {cause}"))
        };
        let answer = request.send().await.map_err(lost)?;
        Ok(Seen {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.map_err(lost)?.to_vec(),
        })
    }
}

fn tls(secure: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let trust = if secure {
        versions.with_platform_verifier()?
    } else {
        // A machine without certificates can still do plain http.
        versions.with_root_certificates(RootCertStore::empty())
    };
    Ok(trust.with_no_client_auth())
}

impl Ask {
    pub(super) fn get(target: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            target: target.into(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(super) fn post(target: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: Method::POST,
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.into(),
            ..Self::get(target)
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self
    }

    /// One more parameter.
    pub(super) fn also(&mut self, parameter: &str) {
        self.target = format!("{}&{parameter}", self.target);
    }

    pub(super) fn token(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    pub(super) fn named(self, account: &Account) -> Self {
        self.header(ACCOUNT_HEADER, encode_account(account))
    }
}

impl Seen {
    /// The body as text.
    pub(super) fn text(&self) -> Outcome<Arc<str>> {
        let text = std::str::from_utf8(&self.body);
        text.map(Arc::from)
            .map_err(|_| Broken::new(format!("{}, a body that is not UTF-8", self.status)))
    }

    /// The same answer, unpacked.
    pub(super) fn unpacked(&self) -> Outcome<Self> {
        let mut body = Vec::new();
        GzDecoder::new(&*self.body)
            .read_to_end(&mut body)
            .map_err(|error| Broken::new(format!("a body that is no gzip: {error}")))?;
        Ok(Self {
            body,
            ..self.clone()
        })
    }

    /// The size on the wire.
    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(super) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    /// The body of a 200.
    pub(super) fn good(&self) -> Outcome<Arc<str>> {
        holds(self.status == 200, || self.describe())?;
        self.text()
    }

    /// Demands a refusal of this kind, in the server's own format.
    pub(super) fn refused(&self, dialect: &Dialect, code: ErrorCode) -> Outcome {
        holds(self.status == code.status(), || self.describe())?;
        let text = self.text()?;
        let own = match dialect {
            Dialect::Own => dialect.refusal(self.status, &text) == Some(code),
            Dialect::Feed(_) if matches!(code, ErrorCode::Forbidden | ErrorCode::CursorExpired) => {
                dialect.refusal(self.status, &text) == Some(code)
            }
            Dialect::Feed(_) => in_own_format(dialect, &text),
        };
        holds(own, || {
            format!("{}, not in the server's own format", self.describe())
        })?;
        Ok(self.describe())
    }

    /// Demands a refusal as the client's fault, of whatever kind, in the server's own format.
    pub(super) fn clients_fault(&self, dialect: &Dialect) -> Outcome {
        holds((400..500).contains(&self.status), || self.describe())?;
        holds(in_own_format(dialect, &self.text()?), || {
            format!("{}, not in the server's own format", self.describe())
        })?;
        Ok(self.describe())
    }

    /// In short: the status and the beginning of a body that is no page.
    pub(super) fn describe(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        if self.status == 200 || text.is_empty() {
            return format!("status {}", self.status);
        }
        let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let excerpt: String = line.chars().take(EXCERPT).collect();
        format!("status {} {excerpt}", self.status)
    }
}

/// Whether a refusal's body is one that a client of this dialect can read.
fn in_own_format(dialect: &Dialect, body: &str) -> bool {
    match dialect {
        Dialect::Own => ErrorBody::decode(body).is_some(),
        Dialect::Feed(feed) => serde_json::from_str::<Value>(body)
            .is_ok_and(|body| body[feed.refusal.reason.as_str()].is_string()),
    }
}
