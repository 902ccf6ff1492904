//! The points, by what they are about. A point is listed once, in its file.

mod access;
mod basics;
mod compression;
mod concurrency;
mod conflicts;
mod cursors;
mod deletes;
mod limits;
mod malformed;
mod order;
mod pages;
mod payloads;
mod repeats;

use std::fmt;

use futures::future::BoxFuture;

use super::{failure::Outcome, trial::Trial};

/// One point of the protocol, and how a server is put to it.
pub struct Case {
    pub(super) name: &'static str,
    pub(super) group: &'static str,
    pub(super) expected: &'static str,
    pub(super) feeds: Feeds,
    pub(super) needs: &'static [Need],
    pub(super) run: Run,
}

type Run = for<'a> fn(&'a Trial<'a>) -> BoxFuture<'a, Outcome>;

/// Whether a feed promises the point, too.
#[derive(Clone, Copy, Debug)]
pub(super) enum Feeds {
    /// As the own protocol does.
    Promised,
    /// No; but one may keep it, and is asked.
    Unpromised(&'static str),
    /// It has no way to.
    Inexpressible(&'static str),
}

/// What a point cannot be found out without.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    OtherAccount,
    OtherScope,
    TwoScopes,
    EmptyScope,
    /// One that both accounts may write.
    SharedScope,
    /// A dialect in which a client says how long a page may be.
    PageSize,
}

impl Case {
    /// The point, as a sentence.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it is about.
    #[must_use]
    pub fn group(&self) -> &'static str {
        self.group
    }

    /// What a server should do.
    #[must_use]
    pub fn expected(&self) -> &'static str {
        self.expected
    }

    const fn new(
        group: &'static str,
        name: &'static str,
        expected: &'static str,
        run: Run,
    ) -> Self {
        Self {
            name,
            group,
            expected,
            feeds: Feeds::Promised,
            needs: &[],
            run,
        }
    }

    const fn feeds(mut self, feeds: Feeds) -> Self {
        self.feeds = feeds;
        self
    }

    const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Case({}: {})", self.group, self.name)
    }
}

/// All points, in the order in which [`check`](super::check) goes through them.
pub fn all() -> impl Iterator<Item = &'static Case> {
    let groups = [
        basics::CASES,
        pages::CASES,
        concurrency::CASES,
        repeats::CASES,
        order::CASES,
        conflicts::CASES,
        deletes::CASES,
        access::CASES,
        cursors::CASES,
        limits::CASES,
        malformed::CASES,
        payloads::CASES,
        compression::CASES,
    ];
    groups.into_iter().flatten()
}

/// A case of the function of its name.
macro_rules! case {
    ($group:expr, $name:ident, $expected:expr) => {
        $crate::backend::cases::Case::new($group, stringify!($name), $expected, |trial| {
            Box::pin($name(trial))
        })
    };
}
use case;
