//! Building a transport.

use std::{
    error::Error,
    sync::{Arc, atomic::AtomicU32},
    time::Duration,
};

use super::{
    HttpTransport, address::Address, fetch::Fetch, platform::PlatformFetch, token::TokenSource,
};
use crate::dialect::{Dialect, Own, Speak};

/// How long a request may take, its body included, unless set otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that an answer's body may have, unless set otherwise: 16 MiB.
const DEFAULT_MAX_BODY: usize = 16 << 20;

/// What a transport is made of; see [`HttpTransport::builder`].
#[derive(Debug)]
#[must_use = "it does nothing until it is built"]
pub struct HttpTransportBuilder {
    address: String,
    tokens: Arc<dyn TokenSource>,
    dialect: Arc<dyn Speak>,
    timeout: Duration,
    max_body: usize,
    allow_plain_http: bool,
    compress: bool,
    token_header: (String, String),
    fetch: Option<Arc<dyn Fetch>>,
}

/// Why a transport cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The base address is of no use.
    #[error("the server's address is of no use: {reason}")]
    InvalidAddress {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The base address is plain http, and not on this machine.
    #[error(
        "plain http would show the token and all data to everybody on the way to {host}; use https, \
         or call allow_plain_http(true) if the network itself is trusted"
    )]
    PlainHttp {
        /// The host of the address.
        host: String,
    },
    /// The header for the token is no header name.
    #[error("{name:?} is no name for a header")]
    InvalidHeader {
        /// The name.
        name: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(Box<dyn Error + Send + Sync>),
}

impl HttpTransportBuilder {
    pub(super) fn new(address: String, tokens: Arc<dyn TokenSource>) -> Self {
        Self {
            address,
            tokens,
            dialect: Arc::new(Own),
            timeout: DEFAULT_TIMEOUT,
            max_body: DEFAULT_MAX_BODY,
            allow_plain_http: false,
            compress: false,
            token_header: ("authorization".to_owned(), "Bearer ".to_owned()),
            fetch: None,
        }
    }

    /// How the server is spoken to; this project's own protocol, unless set.
    pub fn dialect(mut self, dialect: impl Into<Dialect>) -> Self {
        self.dialect = dialect.into().into_spoken();
        self
    }

    /// How long a request may take, its body included; 30 s, unless set. The token source has as long again.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The most bytes that an answer's body may have, decompressed; 16 MiB, unless set. A page that is longer is
    /// not read to its end, and nothing of it is applied.
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Whether plain http is fine for other hosts than this machine. It shows tokens and data to the network.
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// The header that carries the token, and what stands before the token in it; `authorization` and `Bearer `,
    /// unless set.
    pub fn token_header(mut self, name: impl Into<String>, prefix: impl Into<String>) -> Self {
        self.token_header = (name.into().to_ascii_lowercase(), prefix.into());
        self
    }

    /// Whether the bodies of pushes are sent with gzip; they are not, unless set. The server must know it. In a
    /// browser this does nothing.
    pub fn compress_pushes(mut self, compress: bool) -> Self {
        self.compress = compress;
        self
    }

    /// Another HTTP client than the one that the crate brings.
    pub fn fetch(mut self, fetch: impl Fetch + 'static) -> Self {
        self.fetch = Some(Arc::new(fetch));
        self
    }

    /// The transport.
    ///
    /// # Errors
    /// [`BuildError`], which says what to do.
    pub fn build(self) -> Result<HttpTransport, BuildError> {
        let address = Address::parse(&self.address)?;
        if !(address.is_secure() || address.is_loopback() || self.allow_plain_http) {
            return Err(BuildError::PlainHttp {
                host: address.host().to_owned(),
            });
        }
        let (name, _) = &self.token_header;
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(BuildError::InvalidHeader { name: name.clone() });
        }
        let fetch = match self.fetch {
            Some(fetch) => fetch,
            None => {
                Arc::new(PlatformFetch::new(&address, self.compress).map_err(BuildError::Client)?)
            }
        };
        Ok(HttpTransport {
            address,
            tokens: self.tokens,
            dialect: self.dialect,
            timeout: self.timeout,
            max_body: self.max_body,
            page_limit: AtomicU32::new(u32::MAX),
            token_header: self.token_header,
            fetch,
        })
    }
}
