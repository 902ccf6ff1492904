//! What the examples have in common: the app's record, and a way to tell what happens.
//!
//! Examples of the workspace, one file each: `cargo run --example NAME` from the root.

use std::{error::Error, fmt};

use futures::{FutureExt, StreamExt};
use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{EngineError, Entity, Event, Events, Item, ScopeHandle},
    time::Clock,
};

/// What an example comes to: nothing, or what went wrong, with which it exits non-zero.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The app's record: somebody has fed the baby.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedLog {
    /// The id that the app gave it; a UUID, in a real app.
    pub id: String,
    /// How much, in millilitres.
    pub amount_ml: u32,
    /// What else there is to say.
    #[serde(default)]
    pub note: String,
}

impl FeedLog {
    /// A feed without a note.
    #[must_use]
    pub fn new(id: &str, amount_ml: u32) -> Self {
        Self {
            id: id.to_owned(),
            amount_ml,
            note: String::new(),
        }
    }

    /// The same feed with a note.
    #[must_use]
    pub fn noted(self, note: &str) -> Self {
        Self {
            note: note.to_owned(),
            ..self
        }
    }
}

impl Entity for FeedLog {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

impl fmt::Display for FeedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            id,
            amount_ml,
            note,
        } = self;
        write!(f, "{id} {amount_ml} ml")?;
        if note.is_empty() {
            Ok(())
        } else {
            write!(f, " ({note})")
        }
    }
}

/// Prints a line of the timeline: when, on which device, what.
pub fn tell(clock: &impl Clock, who: &str, what: impl fmt::Display) {
    let seconds = clock.now().as_millis() / 1_000;
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    println!("{hours:>3}:{minutes:02}:{seconds:02}  {who:<7}  {what}");
}

/// The feeds of a scope, as a line for the timeline.
///
/// # Errors
/// Those of the store.
pub async fn feeds(scope: &ScopeHandle) -> std::result::Result<String, EngineError> {
    let feeds: Vec<FeedLog> = scope.list().await?;
    Ok(line(feeds.iter().map(FeedLog::to_string)))
}

/// The entries of a live list with their marks, as a line for the timeline.
#[must_use]
pub fn marked(items: &[Item<FeedLog>]) -> String {
    line(items.iter().map(|item| {
        let marks = [
            (item.is_pending(), " [pending]"),
            (item.is_failed(), " [failed]"),
            (item.conflict, " [conflict]"),
        ];
        let marks = marks.iter().filter(|(set, _)| *set).map(|(_, mark)| *mark);
        let value = match &item.value {
            Ok(feed) => feed.to_string(),
            Err(error) => format!("{}: {error}", item.id),
        };
        value + &marks.collect::<String>()
    }))
}

fn line(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() {
        "nothing".to_owned()
    } else {
        entries.join(", ")
    }
}

/// The events that have come so far, without waiting for more.
pub fn so_far(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.next().now_or_never().flatten())
        .filter_map(std::result::Result::ok)
        .collect()
}

/// The README, so that its example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;

/// The page on decisions, so that its example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/decisions.md")]
pub struct Decisions;

/// The page on settings, so that its example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../docs/configuration.md")]
pub struct Configuration;
