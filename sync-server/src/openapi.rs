//! The OpenAPI description of this project's own protocol, made from its types.

#![expect(
    unused_qualifications,
    reason = "utoipa's macros qualify names that are in scope"
)]

use sync_http::wire::{AnswersBody, ErrorBody, PageBody, PullQuery, PushBody};
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

/// The description of the two requests, as `docs/openapi.json` holds it.
#[must_use]
pub fn document() -> openapi::OpenApi {
    Protocol::openapi()
}

#[derive(Debug, OpenApi)]
#[openapi(
    info(
        title = "Sync protocol",
        version = "1",
        description = "Pull and push of a sync server. docs/protocol.md says what the bodies mean and what a client does about each answer.",
        license(name = "MIT OR Apache-2.0"),
    ),
    paths(pull, push),
    components(schemas(PageBody, PushBody, AnswersBody, ErrorBody)),
    modifiers(&BearerToken),
    security(("token" = []))
)]
struct Protocol;

#[derive(Debug)]
struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", scheme);
    }
}

/// One page of a scope's log.
#[utoipa::path(
    get,
    path = "/v1/pull",
    params(
        PullQuery,
        ("sync-account" = String, Header, description = "The account for which the request is made, percent-encoded; refused when the token is another account's."),
    ),
    responses(
        (status = 200, description = "The changes that follow the cursor.", body = PageBody),
        (status = 400, description = "`bad_request`: a parameter is missing or malformed.", body = ErrorBody),
        (status = 401, description = "`unauthorized`: the token is missing, expired or unknown.", body = ErrorBody),
        (status = 403, description = "`forbidden`: the account may not read the scope.", body = ErrorBody),
        (status = 409, description = "`other_account`: the token is another account's than the request's.", body = ErrorBody),
        (status = 410, description = "`cursor_expired`: pull from the start.", body = ErrorBody),
        (status = 429, description = "`rate_limited`: Retry-After says when to come back.", body = ErrorBody),
        (status = 503, description = "`unavailable`: Retry-After may say when to come back.", body = ErrorBody),
    )
)]
#[expect(dead_code, reason = "it carries the description and is never called")]
fn pull() {}

/// A batch of mutations, handled one by one and in order.
#[utoipa::path(
    post,
    path = "/v1/push",
    request_body(content = PushBody, description = "May be packed with gzip."),
    responses(
        (status = 200, description = "One answer a mutation, in the batch's order.", body = AnswersBody),
        (status = 400, description = "`bad_request`: the body is malformed; the message has the place.", body = ErrorBody),
        (status = 401, description = "`unauthorized`: the token is missing, expired or unknown.", body = ErrorBody),
        (status = 409, description = "`other_account`: the token is another account's than the request's.", body = ErrorBody),
        (status = 413, description = "`too_large`: send fewer mutations.", body = ErrorBody),
        (status = 429, description = "`rate_limited`: Retry-After says when to come back.", body = ErrorBody),
        (status = 503, description = "`unavailable`: Retry-After may say when to come back.", body = ErrorBody),
    )
)]
#[expect(dead_code, reason = "it carries the description and is never called")]
fn push() {}
