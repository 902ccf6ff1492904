//! How a point is missed, and the demands that miss it.

use std::fmt;

use serde::Serialize;

/// What the server did that a point does not allow.
#[derive(Debug)]
pub(crate) struct Broken(String);

/// What was seen, where it is as it should be.
pub(crate) type Outcome<T = String> = Result<T, Broken>;

impl Broken {
    pub(crate) fn new(seen: impl Into<String>) -> Self {
        Self(seen.into())
    }

    /// The same, with where it was seen.
    pub(crate) fn at(self, place: &str) -> Self {
        Self(format!("{place}: {}", self.0))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Demands that something holds; `otherwise` says what was seen if not.
pub(crate) fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Outcome<()> {
    if condition {
        Ok(())
    } else {
        Err(Broken(otherwise()))
    }
}

/// Demands that two values are equal; `what` says what they are. They are shown as JSON.
pub(crate) fn equal<T: PartialEq<U> + Serialize, U: Serialize>(
    what: &str,
    found: T,
    expected: U,
) -> Outcome<()> {
    holds(found == expected, || {
        let (found, expected) = (shown(&found), shown(&expected));
        format!("{what}: {found} instead of {expected}")
    })
}

/// A value as JSON.
pub(crate) fn shown(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "what cannot be shown".to_owned())
}
