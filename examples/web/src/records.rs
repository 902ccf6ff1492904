//! What the app writes down.

use serde::{Deserialize, Serialize};
use sync_core::engine::Entity;

/// That an account has a baby in its list. It lies in the account's own scope; its id is the baby's scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    pub(crate) id: String,
}

/// A baby, in its own scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Baby {
    pub(crate) id: String,
    pub(crate) name: String,
}

/// A feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Feed {
    pub(crate) id: String,
    pub(crate) started_at: String,
    pub(crate) amount_ml: u32,
    pub(crate) note: String,
}

/// A sleep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Sleep {
    pub(crate) id: String,
    pub(crate) started_at: String,
    pub(crate) minutes: u32,
    pub(crate) note: String,
}

/// A nappy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Nappy {
    pub(crate) id: String,
    pub(crate) started_at: String,
    pub(crate) contents: String,
    pub(crate) note: String,
}

macro_rules! entity {
    ($($name:ident $type:literal),*) => {$(
        impl Entity for $name {
            const TYPE: &'static str = $type;

            fn id(&self) -> String {
                self.id.clone()
            }
        }
    )*};
}

entity!(Link "baby_link", Baby "baby", Feed "feed_log", Sleep "sleep_log", Nappy "nappy_log");

/// What a form asks for, beside the time and the note.
pub(crate) enum Detail {
    /// A whole number of something.
    Number {
        label: &'static str,
        usual: &'static str,
    },
    /// One of a few words.
    Choice {
        label: &'static str,
        of: &'static [&'static str],
    },
}

/// An entry of the diary: what lists and forms know of each of its types.
pub(crate) trait Entry: Entity + Clone + PartialEq + Sync {
    /// What several are called.
    const TITLE: &'static str;
    /// What one is called.
    const ONE: &'static str;
    /// What the form asks for.
    const DETAIL: Detail;

    /// Made from a form; none if the detail is not what was asked for.
    fn new(id: String, started_at: String, detail: &str, note: String) -> Option<Self>;
    /// When it began, in local time as forms write it: `2026-11-23T07:30`.
    fn started_at(&self) -> &str;
    /// The detail, as the form has it.
    fn detail(&self) -> String;
    /// The detail, as it is read.
    fn summary(&self) -> String;
    /// What else there is to say.
    fn note(&self) -> &str;
}

impl Entry for Feed {
    const TITLE: &'static str = "Feeds";
    const ONE: &'static str = "feed";
    const DETAIL: Detail = Detail::Number {
        label: "Amount (ml)",
        usual: "120",
    };

    fn new(id: String, started_at: String, detail: &str, note: String) -> Option<Self> {
        let amount_ml = detail.trim().parse().ok()?;
        Some(Self {
            id,
            started_at,
            amount_ml,
            note,
        })
    }

    fn started_at(&self) -> &str {
        &self.started_at
    }

    fn detail(&self) -> String {
        self.amount_ml.to_string()
    }

    fn summary(&self) -> String {
        format!("{} ml", self.amount_ml)
    }

    fn note(&self) -> &str {
        &self.note
    }
}

impl Entry for Sleep {
    const TITLE: &'static str = "Sleeps";
    const ONE: &'static str = "sleep";
    const DETAIL: Detail = Detail::Number {
        label: "Length (minutes)",
        usual: "45",
    };

    fn new(id: String, started_at: String, detail: &str, note: String) -> Option<Self> {
        let minutes = detail.trim().parse().ok()?;
        Some(Self {
            id,
            started_at,
            minutes,
            note,
        })
    }

    fn started_at(&self) -> &str {
        &self.started_at
    }

    fn detail(&self) -> String {
        self.minutes.to_string()
    }

    fn summary(&self) -> String {
        match (self.minutes / 60, self.minutes % 60) {
            (0, minutes) => format!("{minutes} min"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        }
    }

    fn note(&self) -> &str {
        &self.note
    }
}

impl Entry for Nappy {
    const TITLE: &'static str = "Nappies";
    const ONE: &'static str = "nappy";
    const DETAIL: Detail = Detail::Choice {
        label: "Contents",
        of: &["wet", "dirty", "both"],
    };

    fn new(id: String, started_at: String, detail: &str, note: String) -> Option<Self> {
        Some(Self {
            id,
            started_at,
            contents: detail.to_owned(),
            note,
        })
    }

    fn started_at(&self) -> &str {
        &self.started_at
    }

    fn detail(&self) -> String {
        self.contents.clone()
    }

    fn summary(&self) -> String {
        self.contents.clone()
    }

    fn note(&self) -> &str {
        &self.note
    }
}
