//! Why a request as a whole had no answer.

use std::{error::Error, fmt};

use sync_core::{
    error::{StoreError, StoreErrorKind},
    transport::{TransportError, TransportErrorKind},
};

/// Why a pull or a push was not answered. What became of a single mutation is data, not an error.
#[derive(Debug)]
pub struct ServerError {
    kind: ServerErrorKind,
    context: String,
    source: Option<StoreError>,
}

/// The kinds of [`ServerError`], by meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerErrorKind {
    /// The account may not read this scope.
    Forbidden,
    /// The request names another account than the one that it was authenticated as.
    OtherAccount,
    /// The cursor is below what the log still holds, of another epoch, or not one of ours. Pull from the start.
    CursorExpired,
    /// The batch has too many mutations. Send fewer.
    TooLarge,
    /// The request makes no sense.
    BadRequest,
    /// The log or the access hook could not answer. Try again.
    Unavailable,
    /// A function of the app's own, as one that merges, has failed; on the same request it may do so again.
    Failed,
}

impl ServerError {
    pub(crate) fn new(kind: ServerErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            context: context.into(),
            source: None,
        }
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> ServerErrorKind {
        self.kind
    }
}

impl From<StoreError> for ServerError {
    fn from(source: StoreError) -> Self {
        let (kind, context) = match source.kind() {
            StoreErrorKind::App => (ServerErrorKind::Failed, "the server failed on this request"),
            _ => (
                ServerErrorKind::Unavailable,
                "the server's database did not answer",
            ),
        };
        Self {
            kind,
            context: context.to_owned(),
            source: Some(source),
        }
    }
}

impl From<ServerError> for TransportError {
    /// As a client in the same process sees it.
    fn from(error: ServerError) -> Self {
        let kind = match error.kind {
            ServerErrorKind::Forbidden => TransportErrorKind::Forbidden,
            ServerErrorKind::OtherAccount => TransportErrorKind::OtherAccount,
            ServerErrorKind::CursorExpired => TransportErrorKind::CursorExpired,
            ServerErrorKind::TooLarge => TransportErrorKind::TooLarge,
            ServerErrorKind::BadRequest => TransportErrorKind::BadRequest,
            ServerErrorKind::Unavailable | ServerErrorKind::Failed => {
                TransportErrorKind::Unavailable
            }
        };
        Self::new(kind, error.context.clone()).with_source(error)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The source may name files and tables, which are none of a client's business.
        f.write_str(&self.context)
    }
}

impl Error for ServerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
