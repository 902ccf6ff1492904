//! Sorts answers: what is the server's own word, what is only a status, and what comes from something in between.

use std::{sync::Arc, time::Duration};

use sync_core::transport::{TransportError, TransportErrorKind};

use super::{fetch::Response, platform::date_millis};
use crate::{dialect::Speak, wire::ErrorCode};

/// The body of a success, or what kind of failure the answer is. `what` says what was asked.
pub(super) fn sort(
    dialect: &dyn Speak,
    what: &str,
    response: Response,
) -> Result<Arc<str>, TransportError> {
    let status = response.status;
    if (200..300).contains(&status) {
        return success(what, response);
    }
    let text = str::from_utf8(&response.body).unwrap_or_default();
    let refusal = dialect.refusal(status, text);
    let kind = refusal.map_or_else(|| by_status(status), by_code);
    let context = match (refusal, status) {
        (Some(_), _) => format!("{what}: status {status}"),
        (None, 300..400) => format!("{what}: {}", redirect(&response)),
        (None, 403) => format!("{what}: status 403, but not in the server's format"),
        (None, _) => format!("{what}: status {status}"),
    };
    Err(TransportError::new(kind, context).with_retry_after(retry_after(&response)))
}

fn success(what: &str, response: Response) -> Result<Arc<str>, TransportError> {
    if !response.header("content-type").is_none_or(is_json) {
        return Err(TransportError::new(
            TransportErrorKind::Foreign,
            format!("{what}: the answer is no JSON; a login page of the network?"),
        ));
    }
    String::from_utf8(response.body)
        .map(Arc::from)
        .map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            TransportError::new(
                TransportErrorKind::Malformed,
                format!("{what}: not UTF-8 at byte {at}"),
            )
        })
}

fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json" || media_type.ends_with("+json")
}

fn by_code(code: ErrorCode) -> TransportErrorKind {
    match code {
        ErrorCode::Unauthorized => TransportErrorKind::Unauthorized,
        ErrorCode::OtherAccount => TransportErrorKind::OtherAccount,
        ErrorCode::Forbidden => TransportErrorKind::Forbidden,
        ErrorCode::CursorExpired => TransportErrorKind::CursorExpired,
        ErrorCode::TooLarge => TransportErrorKind::TooLarge,
        ErrorCode::BadRequest => TransportErrorKind::BadRequest,
        ErrorCode::NotFound | ErrorCode::RateLimited | ErrorCode::Unavailable => {
            TransportErrorKind::Unavailable
        }
    }
}

/// What a status alone says. A proxy may have made it, so it denies no access and expires no cursor. It may blame
/// the size or the form of a push: the engine finds out which mutation it is, and blames none without proof.
fn by_status(status: u16) -> TransportErrorKind {
    match status {
        401 => TransportErrorKind::Unauthorized,
        400 | 409 | 422 => TransportErrorKind::BadRequest,
        413 => TransportErrorKind::TooLarge,
        300..400 => TransportErrorKind::Foreign,
        _ => TransportErrorKind::Unavailable,
    }
}

/// Where a redirect that is not followed leads to: its origin, since the rest may hold a secret.
fn redirect(response: &Response) -> String {
    let origin = response.header("location").and_then(|location| {
        let (scheme, rest) = location.split_once("://")?;
        let authority = rest.split(['/', '?', '#', '\\']).next()?;
        let host = authority.rsplit('@').next()?;
        Some(format!("{scheme}://{host}"))
    });
    match origin {
        Some(origin) => format!(
            "redirected to {origin}; the token does not follow. If that is the server, make it the base address"
        ),
        None => "redirected too often, or to nowhere".to_owned(),
    }
}

/// The header Retry-After: seconds, or a date, which is measured by the server's own clock.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.header("retry-after")?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = date_millis(value)?;
    let now = date_millis(response.header("date")?)?;
    Some(Duration::from_millis(until.saturating_sub(now)))
}
