//! What a call returned, to be compared.

use std::{any::Any, collections::BTreeSet, fmt, sync::Arc};

use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::Scope,
};

use super::difference::Difference;

/// What a step of a [`History`](super::History) returned: equal if the calls and their answers are equal, errors by
/// their kind.
///
/// `Debug` shows what was called with what, and what came back, `Display` only the call and what came back; neither
/// shows what payloads hold. Equal answers have equal texts, whichever store and process they are from.
#[derive(Clone)]
pub struct Answer {
    call: &'static str,
    /// Of a page that was applied.
    changes: Option<usize>,
    /// None: perhaps all.
    scopes: Option<BTreeSet<Scope>>,
    asked: Arc<dyn fmt::Debug + Send + Sync>,
    outcome: Result<Arc<dyn Returned>, StoreErrorKind>,
}

/// A value of any type that can be compared and shown.
trait Returned: fmt::Debug + Send + Sync {
    fn same(&self, other: &dyn Any) -> bool;
    fn as_any(&self) -> &dyn Any;
}

impl<T: fmt::Debug + PartialEq + Send + Sync + 'static> Returned for T {
    fn same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl Answer {
    pub(super) fn new<T: fmt::Debug + PartialEq + Send + Sync + 'static>(
        call: &'static str,
        asked: Arc<dyn fmt::Debug + Send + Sync>,
        outcome: Result<T, StoreError>,
    ) -> Self {
        Self {
            call,
            changes: None,
            scopes: None,
            asked,
            outcome: match outcome {
                Ok(returned) => Ok(Arc::new(returned)),
                Err(error) => Err(error.kind().clone()),
            },
        }
    }

    /// The call was about a page of so many changes.
    pub(super) fn of(self, changes: usize) -> Self {
        Self {
            changes: Some(changes),
            ..self
        }
    }

    /// The call was about these scopes, or perhaps about all.
    pub(super) fn about(self, scopes: Option<BTreeSet<Scope>>) -> Self {
        Self { scopes, ..self }
    }

    pub(super) fn shares_a_scope_with(&self, other: &Self) -> bool {
        match (&self.scopes, &other.scopes) {
            (Some(mine), Some(theirs)) => !mine.is_disjoint(theirs),
            _ => true,
        }
    }

    /// The call, without what it returned.
    pub(super) fn name(&self) -> String {
        match self.changes {
            Some(changes) => format!("{} of {changes} changes", self.call),
            None => self.call.to_owned(),
        }
    }

    /// What was called with what.
    pub(super) fn asked(&self) -> String {
        format!("{:?}", self.asked)
    }

    /// Where two differ that are not equal.
    pub(super) fn differs_from(&self, other: &Self) -> Difference {
        let place = format!("what {} returns", self.call);
        if self.call != other.call {
            return Difference::of("the call", &self.call, &other.call);
        }
        match (&self.outcome, &other.outcome) {
            (Ok(mine), Ok(theirs)) => Difference::of(&place, mine, theirs),
            (mine, theirs) => Difference {
                place,
                mine: format!("{mine:?}"),
                theirs: format!("{theirs:?}"),
            },
        }
    }

    /// What the step depends on could not be read.
    pub(super) fn unread(error: &StoreError) -> Self {
        Self {
            call: "reading",
            changes: None,
            scopes: None,
            asked: Arc::new(error.to_string()),
            outcome: Err(error.kind().clone()),
        }
    }

    /// The name of the method that was called.
    #[must_use]
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// Why it failed, if it has.
    #[must_use]
    pub fn error(&self) -> Option<&StoreErrorKind> {
        self.outcome.as_ref().err()
    }
}

impl PartialEq for Answer {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.outcome, &other.outcome) {
            (Ok(mine), Ok(theirs)) => mine.same((**theirs).as_any()),
            (Err(mine), Err(theirs)) => mine == theirs,
            _ => false,
        };
        self.call == other.call && same
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {:?}", self.name(), self.outcome)
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} -> {:?}", self.call, self.asked, self.outcome)
    }
}
