//! Refusals of a whole request.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sync_core::json;

/// The body of every answer that is not a 200.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorBody<'a> {
    /// What went wrong.
    #[serde(borrow)]
    pub error: ErrorDetail<'a>,
}

/// What went wrong with a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ErrorDetail<'a> {
    /// The kind of failure; it decides what the client does.
    pub code: ErrorCode,
    /// What happened, for people. It holds nothing secret.
    #[serde(borrow)]
    pub message: Cow<'a, str>,
}

/// The kinds of failure of a whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ErrorCode {
    /// The token is missing, expired or unknown (401). A fresh one may help.
    Unauthorized,
    /// The token is good, and belongs to another account than the request names (409).
    OtherAccount,
    /// The account may not read this scope (403). In this format it is evidence of a revocation.
    Forbidden,
    /// There is nothing at this address (404).
    NotFound,
    /// The cursor is below what the log still holds, or of another epoch (410). Pull from the start.
    CursorExpired,
    /// The request has too many bytes or mutations (413). Send fewer.
    TooLarge,
    /// The request is malformed (400).
    BadRequest,
    /// Too many requests (429); the header Retry-After says when to come back.
    RateLimited,
    /// The server cannot answer now (503, or 500); Retry-After may say when to come back.
    Unavailable,
}

impl ErrorCode {
    /// The HTTP status that goes with the code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            // Not 403: whoever looks only at the status must not take it for a denied scope.
            Self::OtherAccount => 409,
            Self::CursorExpired => 410,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
        }
    }
}

impl<'a> ErrorBody<'a> {
    /// The body for a failure of this kind.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<Cow<'a, str>>) -> Self {
        Self {
            error: ErrorDetail {
                code,
                message: message.into(),
            },
        }
    }

    /// The failure that a body describes; `None` when the body is not of this format, or of an unknown code.
    #[must_use]
    pub fn decode(body: &'a str) -> Option<Self> {
        json::from_str(body).ok()
    }
}
