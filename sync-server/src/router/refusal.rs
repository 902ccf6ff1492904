//! Refusals of a whole request, in the format of whoever asks.

use std::error::Error;

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use sync_core::model::InvalidPayload;
use sync_http::{
    Malformed,
    dialect::Feed,
    wire::{ErrorBody, ErrorCode},
};

use super::{NotAuthenticated, json};
use crate::{ServerError, ServerErrorKind};

/// How long a client waits at least, when the server could not answer.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request has no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    code: ErrorCode,
    status: u16,
    message: String,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            status: code.status(),
            message: message.into(),
        }
    }

    pub(super) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// In the format of this project's own protocol.
    pub(super) fn own(self) -> Response {
        let body = ErrorBody::new(self.code, &*self.message);
        match serde_json::to_string(&body) {
            Ok(body) => self.response(body),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }

    /// In the format of a feed.
    pub(super) fn feed(self, feed: &Feed) -> Response {
        let message = match self.code {
            ErrorCode::Unauthorized => "Unauthorized",
            _ => &self.message,
        };
        let body = feed.encode_refusal(self.code, message);
        self.response(body)
    }

    fn response(self, body: String) -> Response {
        let mut response = json(body);
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // What is asked for again at a time is not narrowed down to the mutation at fault.
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<ServerError> for Refusal {
    fn from(error: ServerError) -> Self {
        let code = match error.kind() {
            ServerErrorKind::Forbidden => ErrorCode::Forbidden,
            ServerErrorKind::OtherAccount => ErrorCode::OtherAccount,
            ServerErrorKind::CursorExpired => ErrorCode::CursorExpired,
            ServerErrorKind::TooLarge => ErrorCode::TooLarge,
            ServerErrorKind::BadRequest => ErrorCode::BadRequest,
            ServerErrorKind::Unavailable | ServerErrorKind::Failed => {
                let cause = error.source().map(ToString::to_string);
                tracing::error!(%error, cause, "a request could not be answered");
                ErrorCode::Unavailable
            }
        };
        let refusal = Self::new(code, error.to_string());
        match error.kind() {
            ServerErrorKind::Failed => refusal.with_status(500),
            _ => refusal,
        }
    }
}

impl From<NotAuthenticated> for Refusal {
    fn from(error: NotAuthenticated) -> Self {
        let code = match error {
            NotAuthenticated::Refused => ErrorCode::Unauthorized,
            NotAuthenticated::Unavailable => ErrorCode::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::new(ErrorCode::BadRequest, malformed.to_string())
    }
}

impl From<InvalidPayload> for Refusal {
    /// What is stored cannot be written as an answer.
    fn from(error: InvalidPayload) -> Self {
        tracing::error!(%error, "a stored payload is no JSON");
        Self::new(ErrorCode::Unavailable, "a stored record cannot be read").with_status(500)
    }
}
