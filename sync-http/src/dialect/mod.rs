//! How servers are spoken to: this project's own protocol, or the JSON feed that a backend already has.
//!
//! A [`Feed`] is all settings: every path, parameter, field name and word. Two presets are ready-made, and both
//! sides use them, the client to ask and a server to answer. `docs/dialects.md` says which guarantees hold in
//! which dialect.

mod feed;
mod fields;
mod iso;
mod payload;
mod pull;
mod push;

pub use feed::{Feed, Form, PullSettings, PushSettings, RefusalSettings};
pub use iso::format as iso_date;
pub use pull::ChangeNote;
pub use push::Unplaced;

use std::sync::Arc;

use sync_core::{
    model::{InvalidPayload, Page},
    transport::{PullRequest, PushAnswer, PushRequest, ServerTraits},
};

use crate::{
    Malformed,
    wire::{self, AnswersBody, ErrorBody, ErrorCode, PageBody, PullQuery, PushBody},
};

/// How a server is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// This project's own protocol: the types of [`crate::wire`].
    #[default]
    Own,
    /// A JSON feed as these settings describe it.
    Feed(Box<Feed>),
}

impl From<Feed> for Dialect {
    fn from(feed: Feed) -> Self {
        Self::Feed(Box::new(feed))
    }
}

impl Dialect {
    /// What a server that speaks this dialect can do.
    #[must_use]
    pub fn traits(&self) -> ServerTraits {
        match self {
            Self::Own => ServerTraits::default(),
            Self::Feed(feed) => feed.traits(),
        }
    }

    /// The path and query of a pull, below the server's base address.
    #[must_use]
    pub fn pull_target(&self, request: &PullRequest) -> String {
        match self {
            Self::Own => PullQuery::of(request).target(),
            Self::Feed(feed) => feed.pull_target(request),
        }
    }

    /// The path of a push, below the server's base address.
    #[must_use]
    pub fn push_target(&self) -> &str {
        match self {
            Self::Own => wire::PUSH_PATH,
            Self::Feed(feed) => &feed.push.path,
        }
    }

    /// The page in the body of a pull's answer. Ids and payloads share the body's buffer.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode_page(&self, body: &Arc<str>) -> Result<Page, Malformed> {
        match self {
            Self::Own => PageBody::decode(body),
            Self::Feed(feed) => feed.decode_page(body),
        }
    }

    /// The body of a push.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode_push(&self, request: &PushRequest) -> Result<String, InvalidPayload> {
        match self {
            Self::Own => PushBody::encode(request),
            Self::Feed(feed) => feed.encode_push(request),
        }
    }

    /// The answers in the body of a push's answer.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode_answers(&self, body: &Arc<str>) -> Result<PushAnswer, Malformed> {
        match self {
            Self::Own => AnswersBody::decode(body),
            Self::Feed(feed) => feed.decode_answers(body),
        }
    }

    /// The kind of failure that the server itself names in the body of an answer that is not a success; `None`
    /// when the body is not in the server's format, as from a proxy.
    #[must_use]
    pub fn refusal(&self, status: u16, body: &str) -> Option<ErrorCode> {
        match self {
            Self::Own => ErrorBody::decode(body)
                .map(|body| body.error.code)
                .filter(|code| code.status() == status),
            Self::Feed(feed) => feed.refusal(status, body),
        }
    }

    /// Whether requests name their account, so that the server can refuse a mismatch.
    #[must_use]
    pub fn names_account(&self) -> bool {
        matches!(self, Self::Own)
    }
}
