//! The errors of a store.

use std::{error::Error, fmt};

use crate::model::Account;

/// Why a store could not do what it was asked. Nothing was changed.
#[derive(Debug)]
pub struct StoreError(Box<Inner>);

/// Behind a pointer, as it is carried through every call: what succeeds moves no more than that.
#[derive(Debug)]
struct Inner {
    kind: StoreErrorKind,
    context: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`StoreError`], by meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The disk or the quota is full. Make room; the same call can then succeed.
    Full,
    /// The database is locked by someone else for longer than the store waits. Try again.
    Busy,
    /// The database cannot be reached: closed, lost, or its file cannot be opened.
    Unavailable,
    /// The database was written by a newer version of the library. Update the app.
    NewerFormat,
    /// What is stored cannot be read.
    Corrupt,
    /// The database belongs to another account. Log that one out, or wipe.
    OtherAccount {
        /// The account that it is bound to.
        bound: Account,
    },
    /// Another engine has taken the lead since; its answers stand.
    Fenced,
    /// The record was no longer what the edit had been made from. Read it again and edit anew.
    Moved,
    /// The call makes no sense as it stands; the message says why.
    Invalid,
    /// The app's own code, a projection or an upgrade, failed.
    App,
}

impl StoreError {
    /// An error of this kind; `context` says what was being done and to what.
    #[must_use]
    pub fn new(kind: StoreErrorKind, context: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            context: context.into(),
            source: None,
        }))
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What kind of error this is.
    #[must_use]
    pub fn kind(&self) -> &StoreErrorKind {
        &self.0.kind
    }

    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.0.kind,
            StoreErrorKind::Full | StoreErrorKind::Busy | StoreErrorKind::Unavailable
        )
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, context, .. } = &*self.0;
        match kind {
            StoreErrorKind::Full => write!(f, "no room left for the database: {context}"),
            StoreErrorKind::Busy => write!(f, "the database is locked: {context}; try again"),
            StoreErrorKind::Unavailable => write!(f, "the database cannot be reached: {context}"),
            StoreErrorKind::NewerFormat => write!(
                f,
                "the database is of a newer version: {context}; update the app"
            ),
            StoreErrorKind::Corrupt => write!(f, "stored data cannot be read: {context}"),
            StoreErrorKind::OtherAccount { bound } => write!(
                f,
                "the database belongs to account {bound}: {context}; log that account out, or wipe"
            ),
            StoreErrorKind::Fenced => {
                write!(f, "another engine leads this database now: {context}")
            }
            StoreErrorKind::Moved => write!(f, "changed since it was read: {context}"),
            StoreErrorKind::Invalid => write!(f, "invalid: {context}"),
            StoreErrorKind::App => write!(f, "the app's own code failed: {context}"),
        }
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source.as_ref().map(|source| &**source as _)
    }
}
