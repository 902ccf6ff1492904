//! The server under test, and what the suite may do there.

use std::fmt;

use serde_json::{Map, Value};
use sync_core::model::{Account, EntityType, Scope};
use sync_http::dialect::Dialect;

/// An account and the token that proves it.
#[derive(Clone)]
pub struct Login {
    pub(super) account: Account,
    pub(super) token: String,
}

impl Login {
    /// Who `account` is, by this token.
    #[must_use]
    pub fn new(account: impl Into<Account>, token: impl Into<String>) -> Self {
        Self {
            account: account.into(),
            token: token.into(),
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({})", self.account.as_str())
    }
}

/// The server under test: where it is, how it speaks, and what may be written there.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is checked"]
pub struct Target {
    pub(super) url: String,
    pub(super) login: Login,
    pub(super) other: Option<Login>,
    pub(super) dialect: Dialect,
    pub(super) scopes: Vec<Scope>,
    pub(super) other_scope: Option<Scope>,
    pub(super) empty_scope: Option<Scope>,
    pub(super) shared_scope: Option<Scope>,
    pub(super) entity_type: EntityType,
    pub(super) payload: Map<String, Value>,
    pub(super) text_field: String,
    pub(super) batch_limit: usize,
    pub(super) payload_limit: usize,
    pub(super) body_limit: usize,
    pub(super) writers: usize,
    pub(super) edits: usize,
}

/// Why nothing can be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The address is none, or not one of a server.
    #[error("{url:?} is no address of a server: http://HOST/ or https://HOST/")]
    Address {
        /// What was given.
        url: String,
    },
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up: {0}")]
    Client(Box<dyn std::error::Error + Send + Sync>),
}

impl Target {
    /// A server that speaks this project's own protocol, asked by this account. Scopes are made up: the account must
    /// be free to begin one by writing there.
    pub fn new(url: impl Into<String>, login: Login) -> Self {
        Self {
            url: url.into(),
            login,
            other: None,
            dialect: Dialect::Own,
            scopes: Vec::new(),
            other_scope: None,
            empty_scope: None,
            shared_scope: None,
            entity_type: EntityType::from("feed_log"),
            payload: Map::new(),
            text_field: "note".to_owned(),
            batch_limit: 1_000,
            payload_limit: (5 << 20) + (64 << 10),
            body_limit: 16 << 20,
            writers: 8,
            edits: 25,
        }
    }

    /// How the server is spoken to.
    pub fn dialect(mut self, dialect: impl Into<Dialect>) -> Self {
        self.dialect = dialect.into();
        self
    }

    /// A second account, for the points about access.
    pub fn other(mut self, login: Login) -> Self {
        self.other = Some(login);
        self
    }

    /// A scope that the account may read and write and the other may not, in the place of made-up ones. To be called
    /// twice: some points need two.
    pub fn scope(mut self, scope: impl Into<Scope>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// A scope that the other account may read and write and the first may not, in the place of a made-up one.
    pub fn other_scope(mut self, scope: impl Into<Scope>) -> Self {
        self.other_scope = Some(scope.into());
        self
    }

    /// A scope that the account may read and in which nothing was ever written.
    pub fn empty_scope(mut self, scope: impl Into<Scope>) -> Self {
        self.empty_scope = Some(scope.into());
        self
    }

    /// A scope that both accounts may read and write.
    pub fn shared_scope(mut self, scope: impl Into<Scope>) -> Self {
        self.shared_scope = Some(scope.into());
        self
    }

    /// The type of the records that are written: `feed_log`, if not said otherwise.
    pub fn entity_type(mut self, entity_type: impl Into<EntityType>) -> Self {
        self.entity_type = entity_type.into();
        self
    }

    /// What the server demands in every record. `{id}` in a string becomes the record's id.
    pub fn payload(mut self, payload: Map<String, Value>) -> Self {
        self.payload = payload;
        self
    }

    /// The field of a record that may hold any text: `note`, if not said otherwise.
    pub fn text_field(mut self, field: impl Into<String>) -> Self {
        self.text_field = field.into();
        self
    }

    /// The most mutations that the server takes in a push: 1,000, if not said otherwise.
    pub fn batch_limit(mut self, mutations: usize) -> Self {
        self.batch_limit = mutations;
        self
    }

    /// The most bytes that the server takes in a record: 5 MiB and a little, if not said otherwise.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// The most bytes that the server takes in the body of a request: 16 MiB, if not said otherwise.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// How many write at once, and how many edits each makes: 8 and 25, if not said otherwise.
    pub fn load(mut self, writers: usize, edits: usize) -> Self {
        self.writers = writers.max(2);
        self.edits = edits.max(1);
        self
    }
}
