//! What can fail inside a call, and the store error that it becomes.

use std::{error::Error, fmt};

use js_sys::Reflect;
use sync_core::error::{StoreError, StoreErrorKind};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::DomException;

/// A result inside a transaction.
pub(crate) type Attempt<T> = Result<T, Failure>;

/// Why a transaction did not come to its end. A pointer: what succeeds moves no more than that.
#[derive(Debug)]
pub(crate) struct Failure(Box<Cause>);

#[derive(Debug)]
enum Cause {
    /// A rule of the core refused, or what was asked makes no sense.
    Refused(StoreError),
    /// The browser failed.
    Browser(BrowserError),
    /// The connection is gone, and nothing was committed on it. Another one may work.
    Lost(BrowserError),
    /// A row holds what this version cannot read: which, and where in it.
    Unreadable(String),
}

/// An exception of the browser. A `JsValue` may not leave its thread; its name and words may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrowserError {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl fmt::Display for BrowserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl Error for BrowserError {}

impl BrowserError {
    pub(crate) fn new(name: &str, message: &str) -> Self {
        Self {
            name: name.to_owned(),
            message: message.to_owned(),
        }
    }

    /// Whether it is WebKit's, of which the process that serves databases is gone.
    fn is_lost(&self) -> bool {
        matches!(self.name.as_str(), "UnknownError" | "AbortError")
            && self
                .message
                .contains("Connection to Indexed Database server lost")
    }

    fn kind(&self) -> StoreErrorKind {
        match self.name.as_str() {
            "QuotaExceededError" => StoreErrorKind::Full,
            "VersionError" => StoreErrorKind::NewerFormat,
            "TimeoutError" => StoreErrorKind::Busy,
            "ConstraintError" | "NotFoundError" => StoreErrorKind::Corrupt,
            "DataError" | "DataCloneError" | "SyntaxError" => StoreErrorKind::Invalid,
            _ => StoreErrorKind::Unavailable,
        }
    }

    fn advice(&self) -> &'static str {
        match self.name.as_str() {
            "QuotaExceededError" => "the origin's storage quota is used up",
            "SecurityError" => {
                "the browser denies storage to this page: a private window, a sandboxed frame, or blocked site data"
            }
            "AbortError" => "the browser aborted the transaction",
            "SyntaxError" => "the path of an index is none",
            _ => "IndexedDB failed",
        }
    }
}

impl Failure {
    /// An error of this kind.
    pub(crate) fn refused(kind: StoreErrorKind, context: impl Into<String>) -> Self {
        StoreError::new(kind, context).into()
    }

    /// A row whose JSON does not decode. The words of the decoder may quote a payload, so only the place is kept.
    pub(crate) fn undecodable(what: &str, error: &serde_json::Error) -> Self {
        Self::unreadable(format!(
            "{what}: {:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    }

    fn of_browser(error: BrowserError) -> Self {
        Self(Box::new(if error.is_lost() {
            Cause::Lost(error)
        } else {
            Cause::Browser(error)
        }))
    }

    /// A failure of the browser, in our words.
    pub(crate) fn browser(name: &str, message: &str) -> Self {
        Self::of_browser(BrowserError::new(name, message))
    }

    /// A row that cannot be read: which, and where in it.
    pub(crate) fn unreadable(row: impl Into<String>) -> Self {
        Self(Box::new(Cause::Unreadable(row.into())))
    }

    /// Whether the connection is gone.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(*self.0, Cause::Lost(_))
    }

    /// The same failure, of a transaction that could not begin: a closed connection says so by an invalid state.
    pub(crate) fn at_begin(self) -> Self {
        Self(Box::new(match *self.0 {
            Cause::Browser(error) if error.name == "InvalidStateError" => Cause::Lost(error),
            cause => cause,
        }))
    }

    /// Whether this is the browser's exception of this name.
    pub(crate) fn is(&self, name: &str) -> bool {
        matches!(&*self.0, Cause::Browser(error) if error.name == name)
    }

    /// The store error for a caller who was doing `what`.
    pub(crate) fn during(self, what: &str) -> StoreError {
        match *self.0 {
            Cause::Refused(error) => error,
            Cause::Unreadable(row) => {
                StoreError::new(StoreErrorKind::Corrupt, format!("{what}: {row}"))
            }
            Cause::Lost(error) => StoreError::new(
                StoreErrorKind::Unavailable,
                format!("{what}: the connection to the database is lost, and a new one was, too"),
            )
            .with_source(error),
            Cause::Browser(error) => {
                let context = format!("{what}: {} ({})", error.advice(), error.name);
                StoreError::new(error.kind(), context).with_source(error)
            }
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(Box::new(Cause::Refused(error)))
    }
}

impl From<DomException> for Failure {
    fn from(error: DomException) -> Self {
        Self::of_browser(BrowserError {
            name: error.name(),
            message: error.message(),
        })
    }
}

impl From<JsValue> for Failure {
    fn from(error: JsValue) -> Self {
        let text = |name| {
            Reflect::get(&error, &JsValue::from_str(name))
                .ok()
                .and_then(|value| value.as_string())
        };
        Self::of_browser(match error.dyn_ref::<DomException>() {
            Some(error) => BrowserError {
                name: error.name(),
                message: error.message(),
            },
            None => BrowserError {
                name: text("name").unwrap_or_else(|| "Error".to_owned()),
                message: text("message").unwrap_or_default(),
            },
        })
    }
}

impl From<idb::Error> for Failure {
    fn from(error: idb::Error) -> Self {
        use idb::Error as E;
        match error {
            E::AddFailed(js)
            | E::ClearFailed(js)
            | E::CountFailed(js)
            | E::DeleteFailed(js)
            | E::GetAllFailed(js)
            | E::GetAllKeysFailed(js)
            | E::GetFailed(js)
            | E::GetKeyFailed(js)
            | E::IndexCreateFailed(js)
            | E::IndexDeleteFailed(js)
            | E::IndexedDbDeleteFailed(js)
            | E::IndexedDbOpenFailed(js)
            | E::IndexNotFound(js)
            | E::KeyRangeCreateFailed(js)
            | E::ObjectStoreCreateFailed(js)
            | E::ObjectStoreDeleteFailed(js)
            | E::ObjectStoreNotFound(js)
            | E::OpenCursorFailed(js)
            | E::OpenKeyCursorFailed(js)
            | E::TransactionOpenFailed(js)
            | E::UpdateFailed(js) => js.into(),
            E::IndexedDbNotFound(_) => Self::refused(
                StoreErrorKind::Unavailable,
                "this browser, or this window, has no IndexedDB",
            ),
            E::DomException(error) => error.into(),
            _ => Self::browser("Error", "the browser gave something unexpected"),
        }
    }
}
