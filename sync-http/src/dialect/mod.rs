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

use std::{fmt, sync::Arc};

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
    fn spoken(&self) -> &dyn Speak {
        match self {
            Self::Own => &Own,
            Self::Feed(feed) => &**feed,
        }
    }

    #[cfg(feature = "client")]
    pub(crate) fn into_spoken(self) -> Arc<dyn Speak> {
        match self {
            Self::Own => Arc::new(Own),
            Self::Feed(feed) => Arc::new(*feed),
        }
    }

    /// What a server that speaks this dialect can do.
    #[must_use]
    pub fn traits(&self) -> ServerTraits {
        self.spoken().traits()
    }

    /// The path and query of a pull, below the server's base address.
    #[must_use]
    pub fn pull_target(&self, request: &PullRequest) -> String {
        self.spoken().pull_target(request)
    }

    /// The path of a push, below the server's base address.
    #[must_use]
    pub fn push_target(&self) -> &str {
        self.spoken().push_target()
    }

    /// The page in the body of a pull's answer. Ids and payloads share the body's buffer.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode_page(&self, body: &Arc<str>) -> Result<Page, Malformed> {
        self.spoken().decode_page(body)
    }

    /// The body of a push.
    ///
    /// # Errors
    /// [`InvalidPayload`], when a payload is no JSON.
    pub fn encode_push(&self, request: &PushRequest) -> Result<String, InvalidPayload> {
        self.spoken().encode_push(request)
    }

    /// The answers in the body of a push's answer.
    ///
    /// # Errors
    /// [`Malformed`], with the place.
    pub fn decode_answers(&self, body: &Arc<str>) -> Result<PushAnswer, Malformed> {
        self.spoken().decode_answers(body)
    }

    /// The kind of failure that the server itself names in the body of an answer that is not a success; `None`
    /// when the body is not in the server's format, as from a proxy.
    #[must_use]
    pub fn refusal(&self, status: u16, body: &str) -> Option<ErrorCode> {
        self.spoken().refusal(status, body)
    }

    /// Whether requests name their account, so that the server can refuse a mismatch.
    #[must_use]
    pub fn names_account(&self) -> bool {
        self.spoken().names_account()
    }
}

/// What there is to a dialect. The transport knows only this of the one that it has: a program that never names a
/// [`Feed`] then has none of its code, which counts where code is downloaded.
pub(crate) trait Speak: fmt::Debug + Send + Sync {
    fn traits(&self) -> ServerTraits;
    fn pull_target(&self, request: &PullRequest) -> String;
    fn push_target(&self) -> &str;
    fn decode_page(&self, body: &Arc<str>) -> Result<Page, Malformed>;
    fn encode_push(&self, request: &PushRequest) -> Result<String, InvalidPayload>;
    fn decode_answers(&self, body: &Arc<str>) -> Result<PushAnswer, Malformed>;
    fn refusal(&self, status: u16, body: &str) -> Option<ErrorCode>;
    fn names_account(&self) -> bool;
}

/// [`Dialect::Own`].
#[derive(Debug)]
pub(crate) struct Own;

impl Speak for Own {
    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }

    fn pull_target(&self, request: &PullRequest) -> String {
        PullQuery::of(request).target()
    }

    fn push_target(&self) -> &str {
        wire::PUSH_PATH
    }

    fn decode_page(&self, body: &Arc<str>) -> Result<Page, Malformed> {
        PageBody::decode(body)
    }

    fn encode_push(&self, request: &PushRequest) -> Result<String, InvalidPayload> {
        PushBody::encode(request)
    }

    fn decode_answers(&self, body: &Arc<str>) -> Result<PushAnswer, Malformed> {
        AnswersBody::decode(body)
    }

    fn refusal(&self, status: u16, body: &str) -> Option<ErrorCode> {
        let code = ErrorBody::decode(body)?.error.code;
        (code.status() == status).then_some(code)
    }

    fn names_account(&self) -> bool {
        true
    }
}

impl Speak for Feed {
    fn traits(&self) -> ServerTraits {
        Self::traits(self)
    }

    fn pull_target(&self, request: &PullRequest) -> String {
        Self::pull_target(self, request)
    }

    fn push_target(&self) -> &str {
        &self.push.path
    }

    fn decode_page(&self, body: &Arc<str>) -> Result<Page, Malformed> {
        Self::decode_page(self, body)
    }

    fn encode_push(&self, request: &PushRequest) -> Result<String, InvalidPayload> {
        Self::encode_push(self, request)
    }

    fn decode_answers(&self, body: &Arc<str>) -> Result<PushAnswer, Malformed> {
        Self::decode_answers(self, body)
    }

    fn refusal(&self, status: u16, body: &str) -> Option<ErrorCode> {
        Self::refusal(self, status, body)
    }

    fn names_account(&self) -> bool {
        false
    }
}
