//! The cases, by what they are about. A case is listed once, below.

mod outbox;

use std::{fmt, future::Future, pin::Pin};

use super::{Failure, Subject, database::Database, failure::Outcome};

type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

/// One promise that every store keeps, and how it is tested.
pub struct Case {
    name: &'static str,
    group: &'static str,
    run: for<'a> fn(&'a Database<'a>) -> Running<'a>,
}

impl Case {
    /// What the store does, as a sentence: the name of the test.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The part of a store that it is about.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// Runs the case on a database of its name.
    ///
    /// # Errors
    /// What the store did instead.
    pub async fn run(&self, subject: &dyn Subject) -> Result<(), Failure> {
        (self.run)(&Database::new(subject, self.name)).await
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({}: {})", self.group, self.name)
    }
}

/// All cases, in the order in which [`check`](super::check) runs them.
#[must_use]
pub fn all() -> &'static [Case] {
    ALL
}

/// The case of this name.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn named(name: &str) -> &'static Case {
    let case = ALL.iter().find(|case| case.name == name);
    case.unwrap_or_else(|| panic!("the suite has no case `{name}`"))
}

/// Hands the list of cases to another macro, after what that macro wants to have again.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_cases {
    ([$($then:tt)*] [$($pass:tt)*]) => {
        $($then)*! { [$($pass)*]
            outbox {
                an_edit_is_in_the_view_and_in_the_outbox
                edits_enqueued_together_are_enqueued_all_or_none
            }
        }
    };
}

macro_rules! table {
    ([] $($group:ident { $($case:ident)* })*) => {
        const ALL: &[Case] = &[$($(
            Case {
                name: stringify!($case),
                group: stringify!($group),
                run: |database| Box::pin($group::$case(database)),
            },
        )*)*];
    };
}

__store_cases! { [table] [] }
