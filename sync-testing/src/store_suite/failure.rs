//! How a case fails.

use std::{any::Any, error::Error, fmt, panic::Location};

use sync_core::error::{StoreError, StoreErrorKind};

use super::named::told;

pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// What a store did that a case does not allow.
#[derive(Debug)]
pub struct Failure {
    kind: FailureKind,
    message: String,
    at: Option<&'static Location<'static>>,
    source: Option<StoreError>,
}

/// How a case failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// The store does not do what the case demands.
    Broken,
    /// A call that should have succeeded returned an error.
    Error,
    /// A call panicked. Where panics abort, as on wasm, the program ends instead.
    Panicked,
}

impl Failure {
    #[track_caller]
    pub(crate) fn broken(message: impl Into<String>) -> Self {
        Self {
            kind: FailureKind::Broken,
            message: message.into(),
            at: Some(Location::caller()),
            source: None,
        }
    }

    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let text = payload.downcast_ref::<&str>().copied();
        let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
        Self {
            kind: FailureKind::Panicked,
            message: format!("a call panicked: {}", text.unwrap_or("it does not say why")),
            at: None,
            source: None,
        }
    }

    /// How the case failed.
    #[must_use]
    pub fn kind(&self) -> FailureKind {
        self.kind
    }

    /// What was demanded, and what was found instead.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the case; none for a panic, which has printed its own.
    #[must_use]
    pub fn place(&self) -> Option<&'static Location<'static>> {
        self.at
    }
}

impl From<StoreError> for Failure {
    #[track_caller]
    fn from(error: StoreError) -> Self {
        Self {
            kind: FailureKind::Error,
            message: told(&error),
            at: Some(Location::caller()),
            source: Some(error),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        match self.at {
            Some(at) => write!(f, " ({at})"),
            None => Ok(()),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}

/// A failure of this future is one of whoever called the function that made it, which is no `async fn`: those know
/// no caller.
#[track_caller]
pub(crate) fn placed<T>(
    future: impl Future<Output = Outcome<T>>,
) -> impl Future<Output = Outcome<T>> {
    let at = Some(Location::caller());
    async move { future.await.map_err(|failure| Failure { at, ..failure }) }
}

/// Demands that something holds; `what` says what should.
#[track_caller]
pub(crate) fn holds(condition: bool, what: &str) -> Outcome {
    if condition {
        return Ok(());
    }
    Err(Failure::broken(format!("not so: {what}")))
}

/// Demands that two values are equal; `what` says what they are.
#[track_caller]
pub(crate) fn equal<T: PartialEq<U> + fmt::Debug, U: fmt::Debug>(
    what: &str,
    found: T,
    expected: U,
) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(Failure::broken(format!(
        "{what} should be {expected:?}, and is {found:?}"
    )))
}

/// Demands that a call succeeds where a store may be tempted to refuse it.
#[track_caller]
pub(crate) fn succeeds<T>(what: &str, call: Result<T, StoreError>) -> Outcome<T> {
    match call {
        Ok(answer) => Ok(answer),
        Err(error) => Err(Failure::broken(format!(
            "{what} should succeed: {}",
            told(&error)
        ))),
    }
}

/// Demands that a call fails with an error of this kind.
#[track_caller]
pub(crate) fn fails<T: fmt::Debug>(
    what: &str,
    call: Result<T, StoreError>,
    expected: &StoreErrorKind,
) -> Outcome {
    match call {
        Err(error) if error.kind() == expected => Ok(()),
        Err(error) => Err(Failure::broken(format!(
            "{what} should fail as {expected:?}, and fails as {:?}: {}",
            error.kind(),
            told(&error)
        ))),
        Ok(answer) => Err(Failure::broken(format!(
            "{what} should fail as {expected:?}, and returns {answer:?}"
        ))),
    }
}
