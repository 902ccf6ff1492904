//! Where tokens come from.

use std::{error::Error, fmt};

use async_trait::async_trait;
use sync_core::model::Account;

/// Gives the account that is logged in and its token.
///
/// It is asked before each request, so it should keep the token at hand. Requests of several scopes run side by
/// side: it is on the source to refresh once for all that ask. A call is dropped after the transport's timeout.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait TokenSource: Send + Sync + fmt::Debug {
    /// Who is logged in, with the token. With `refresh`, the server has just refused the one at hand: a new one is
    /// wanted.
    ///
    /// # Errors
    /// [`TokenError`]; nothing is then sent.
    async fn token(&self, refresh: bool) -> Result<Credentials, TokenError>;
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// Nobody is logged in, or the login has expired. The engine pauses until the app supplies a token.
    #[error("nobody is logged in")]
    LoggedOut,
    /// A token could not be had just now. The engine tries again after a backoff.
    #[error("no token could be had: {0}")]
    Unavailable(Box<dyn Error + Send + Sync>),
}

/// An account and what proves it. As a [`TokenSource`] it always gives itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The account; it is compared with the engine's before each request.
    pub account: Account,
    /// The token; none where the browser proves the account by a cookie.
    pub token: Option<Token>,
}

impl Credentials {
    /// An account with its token.
    #[must_use]
    pub fn new(account: impl Into<Account>, token: impl Into<Token>) -> Self {
        Self {
            account: account.into(),
            token: Some(token.into()),
        }
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl TokenSource for Credentials {
    async fn token(&self, _: bool) -> Result<Self, TokenError> {
        Ok(self.clone())
    }
}

/// A secret. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    pub(super) fn secret(&self) -> &str {
        &self.0
    }

    pub(super) fn fits_a_header(&self) -> bool {
        self.0.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    }
}

impl<T: Into<String>> From<T> for Token {
    fn from(secret: T) -> Self {
        Self(secret.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}
