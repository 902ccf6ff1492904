//! Who is asking: the hook, and a table of tokens for those who have nothing better.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use async_trait::async_trait;
use axum::http::{HeaderMap, header};
use sync_core::model::Account;

/// Finds out whose request it is.
#[async_trait]
pub trait Authenticate: Send + Sync + fmt::Debug {
    /// The account that a request's headers prove.
    ///
    /// # Errors
    /// `Refused` makes the client fetch a fresh token, and then log in again; `Unavailable` makes it try again
    /// later with the same one.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Account, NotAuthenticated>;
}

/// Why it is not known whose request it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAuthenticated {
    /// The token is missing, expired or unknown.
    #[error("the token is missing, expired or unknown")]
    Refused,
    /// It cannot be told now.
    #[error("the token cannot be checked now")]
    Unavailable,
}

/// Bearer tokens and whose they are, in memory. Clones share the table.
#[derive(Clone, Default)]
pub struct BearerTokens {
    accounts: Arc<RwLock<HashMap<String, Account>>>,
}

impl BearerTokens {
    /// A table without tokens.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets a token speak for an account.
    pub fn insert(&self, token: impl Into<String>, account: impl Into<Account>) {
        let mut accounts = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        accounts.insert(token.into(), account.into());
    }

    /// Takes a token back.
    pub fn remove(&self, token: &str) {
        let mut accounts = self
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        accounts.remove(token);
    }
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerTokens")
    }
}

#[async_trait]
impl Authenticate for BearerTokens {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Account, NotAuthenticated> {
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(NotAuthenticated::Refused)?;
        let accounts = self.accounts.read().unwrap_or_else(PoisonError::into_inner);
        accounts
            .get(token)
            .cloned()
            .ok_or(NotAuthenticated::Refused)
    }
}
