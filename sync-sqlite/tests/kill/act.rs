//! What a child does, one act after another, and the words in which it reports them.

use std::fmt;

use sync_core::store::{Fence, Store};
use sync_testing::store_suite::History;

/// One act of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// A new process binds the database and takes the lead.
    Begin,
    Step(u64),
}

impl Act {
    /// Performs it, and returns what came back. It fills one line.
    pub(crate) async fn perform(
        self,
        history: History,
        store: &dyn Store,
        fence: &mut Fence,
    ) -> String {
        let answer = match self {
            Self::Begin => match history.begin(store).await {
                Ok(led) => {
                    *fence = led;
                    "begin".to_owned()
                }
                Err(error) => format!("begin fails: {error}"),
            },
            Self::Step(n) => history.step(n, store, fence).await.to_string(),
        };
        format!("{answer}, fence {}", fence.0)
    }
}

/// A line of a child's report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Report {
    Opened,
    Begun(Act),
    /// What came back.
    Done(Act, String),
    /// A reader has seen the entries, or the scopes, of this digest.
    Seen(Rows, u64),
}

/// What a reader reads in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rows {
    Entries,
    Scopes,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |act: &Act| match act {
            Act::Begin => "begin".to_owned(),
            Act::Step(n) => n.to_string(),
        };
        match self {
            Self::Opened => write!(f, "opened"),
            Self::Begun(act) => write!(f, "begun {}", number(act)),
            Self::Done(act, answer) => write!(f, "done {} {answer}", number(act)),
            Self::Seen(Rows::Entries, digest) => write!(f, "entries {digest}"),
            Self::Seen(Rows::Scopes, digest) => write!(f, "scopes {digest}"),
        }
    }
}

impl Report {
    /// The report that a whole line is.
    pub(crate) fn parse(line: &str) -> Self {
        let act = |word: &str| match word {
            "begin" => Act::Begin,
            n => Act::Step(n.parse().expect("a step")),
        };
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "opened" => Self::Opened,
            "begun" => Self::Begun(act(rest)),
            "done" => {
                let (word, answer) = rest.split_once(' ').expect("an answer");
                Self::Done(act(word), answer.to_owned())
            }
            "entries" => Self::Seen(Rows::Entries, rest.parse().expect("a digest")),
            "scopes" => Self::Seen(Rows::Scopes, rest.parse().expect("a digest")),
            _ => panic!("a child says {line:?}"),
        }
    }
}
