//! The seam to the server: pull a page, push a batch.

use std::{error::Error, fmt, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::{
    Account, Cursor, Mutation, MutationId, Page, Payload, Schema, Scope, Version, present,
};

/// Carries pulls and pushes to a server and sorts what can go wrong into a few kinds.
///
/// Neither call changes anything locally. Dropping a future abandons the request: the server may or may not
/// have handled it. Each call ends within a bounded time ([`TransportErrorKind::Timeout`]).
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
#[cfg_attr(feature = "testing", mockall::automock)]
pub trait Transport: Send + Sync + fmt::Debug {
    /// Fetches the page that follows `request.cursor` in a scope's log.
    ///
    /// # Errors
    /// One of [`TransportErrorKind`].
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError>;

    /// Sends a batch of mutations, in order, and returns the server's answers.
    ///
    /// A mutation without an answer is one whose outcome is unknown; an answer for a mutation that was not
    /// sent is ignored. Sending the same batch again is safe where [`ServerTraits::idempotent`] says so.
    ///
    /// # Errors
    /// One of [`TransportErrorKind`]; the outcome of every mutation of the batch is then unknown.
    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError>;

    /// What the server behind this transport can and cannot do. It stays the same for the transport's life.
    fn traits(&self) -> ServerTraits;
}

/// What a server can do, as far as the engine has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTraits {
    /// A mutation sent twice is applied once and answered the same.
    pub idempotent: bool,
    /// Within a batch, what follows a refused mutation of its record, or a retried one of its scope, is left
    /// unprocessed. Where not, a batch carries one mutation a record, and order is promised per record.
    pub ordered: bool,
    /// Top-level payload fields that the server stamps itself; they do not count when its state is compared
    /// with what was sent.
    pub stamped_fields: Vec<String>,
    /// The top-level field by whose time the server judges concurrent edits, where it goes by one.
    pub edit_time_field: Option<String>,
}

impl Default for ServerTraits {
    /// Those of a server that speaks this project's own protocol.
    fn default() -> Self {
        Self {
            idempotent: true,
            ordered: true,
            stamped_fields: Vec::new(),
            edit_time_field: None,
        }
    }
}

/// Which page to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PullRequest {
    /// For whom; the token source must give the same account.
    pub account: Account,
    /// The scope whose log is read.
    pub scope: Scope,
    /// Where to go on; none from the start.
    pub cursor: Option<Cursor>,
    /// The most changes wanted; the server may send fewer.
    pub limit: u32,
}

/// Mutations to send, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PushRequest {
    /// For whom; the token source must give the same account.
    pub account: Account,
    /// The stored cursor of each scope that the batch touches.
    pub cursors: Vec<(Scope, Option<Cursor>)>,
    /// The mutations, in the order in which the server must handle them.
    pub mutations: Vec<Outgoing>,
}

/// One mutation as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The mutation as it was stored when it was taken.
    pub mutation: Mutation,
    /// How long ago the edit was made, computed for this send.
    pub age: Duration,
    /// The record as last pulled, when that is what this mutation's predecessor had written: only for servers
    /// with an [`ServerTraits::edit_time_field`], whose stamp on it the edit must exceed.
    pub over: Option<Payload>,
}

/// What the server says to a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushAnswer {
    /// One answer a mutation.
    pub answers: Vec<Answer>,
    /// How long the server keeps verdicts, where it says so.
    pub verdict_retention: Option<Duration>,
}

/// The server's answer for one mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The mutation.
    pub id: MutationId,
    /// What became of it.
    pub verdict: Verdict,
}

/// What became of a mutation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The server holds it.
    Applied {
        /// The version that it made, where the server has versions.
        version: Option<Version>,
        /// The record as the server merged it, when that is not what was sent.
        record: Option<ServerRecord>,
    },
    /// It lost to a concurrent edit.
    Conflict {
        /// What the server holds instead.
        theirs: ServerRecord,
    },
    /// It will never be accepted.
    Rejected {
        /// Why, in the server's words.
        reason: String,
    },
    /// The account may not write this. A pull of the scope decides what that means.
    Forbidden,
    /// Not now.
    Retry {
        /// When the server wants to see it again.
        after: Option<Duration>,
        /// The scope's cursor is of no use any more; a pull of it comes first.
        resync: bool,
    },
}

/// A record as the server holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its payload; none when it is deleted.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub payload: Option<Payload>,
    /// The format version of the payload, where the server keeps one.
    pub schema: Schema,
    /// Its version, where the server has versions.
    pub version: Option<Version>,
}

/// Why a request had no usable answer.
#[derive(Debug)]
pub struct TransportError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: TransportErrorKind,
    context: String,
    retry_after: Option<Duration>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`TransportError`], each with what the engine does about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// No connection, or it broke. Tried again after a backoff.
    Network,
    /// No answer in time. Tried again after a backoff.
    Timeout,
    /// The server failed (5xx), is not there (404), or asks for patience (429). Tried again after a backoff.
    Unavailable,
    /// The answer is not of the server's kind, as from a captive portal or a proxy. Tried again after a backoff.
    Foreign,
    /// The answer is of the right kind but malformed; the context has the place. Tried again after a backoff.
    Malformed,
    /// The token was refused, also after it was refreshed. Pauses until the app supplies another.
    Unauthorized,
    /// The token source is logged in as somebody else than the engine. Pauses.
    OtherAccount,
    /// The server itself, in its own format, denies this account the scope. Evidence towards a revocation.
    Forbidden,
    /// The cursor is too old, or of another epoch. The scope is resynced.
    CursorExpired,
    /// The batch is too large (413). Halved.
    TooLarge,
    /// The request was refused as a whole (400, 409, 422). Narrowed down to the mutation at fault.
    BadRequest,
}

impl TransportError {
    /// An error of this kind; `context` says what was asked of whom, and never holds a token or a payload.
    #[must_use]
    pub fn new(kind: TransportErrorKind, context: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            context: context.into(),
            retry_after: None,
            source: None,
        }))
    }

    /// The same error with the server's word on when to try again.
    #[must_use]
    pub fn with_retry_after(mut self, retry_after: Option<Duration>) -> Self {
        self.0.retry_after = retry_after;
        self
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> TransportErrorKind {
        self.0.kind
    }

    /// When the server wants to be asked again, if it said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.0.kind {
            TransportErrorKind::Network => "the server cannot be reached",
            TransportErrorKind::Timeout => "the server did not answer in time",
            TransportErrorKind::Unavailable => "the server is not available",
            TransportErrorKind::Foreign => "something other than the server answered",
            TransportErrorKind::Malformed => "the server's answer is malformed",
            TransportErrorKind::Unauthorized => "the token was refused; log in again",
            TransportErrorKind::OtherAccount => "the token belongs to another account",
            TransportErrorKind::Forbidden => "the server denies access",
            TransportErrorKind::CursorExpired => "the cursor has expired",
            TransportErrorKind::TooLarge => "the request is too large",
            TransportErrorKind::BadRequest => "the server refused the request",
        };
        write!(f, "{what}: {}", self.0.context)
    }
}

impl Error for TransportError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
