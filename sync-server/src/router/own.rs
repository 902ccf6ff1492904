//! This project's own protocol.

use axum::{
    body::Bytes,
    extract::{Query, State, rejection::BytesRejection},
    http::{HeaderMap, Uri},
    response::Response,
};
use sync_core::{
    model::{Account, Cursor, Scope},
    transport::PullRequest,
};
use sync_http::wire::{
    ACCOUNT_HEADER, AnswersBody, ErrorCode, PageBody, PullQuery, PushBody, decode_account,
};

use super::{Refusal, Shared, json, text};
use crate::{Received, decide::Incoming};

pub(super) async fn pull(State(shared): State<Shared>, headers: HeaderMap, uri: Uri) -> Response {
    answer_pull(&shared, &headers, &uri)
        .await
        .unwrap_or_else(Refusal::own)
}

async fn answer_pull(shared: &Shared, headers: &HeaderMap, uri: &Uri) -> Result<Response, Refusal> {
    let account = shared.account(headers).await?;
    let Query(query) = Query::<PullQuery>::try_from_uri(uri)
        .map_err(|error| Refusal::new(ErrorCode::BadRequest, error.body_text()))?;
    let request = PullRequest {
        account: named(headers)?.ok_or_else(|| {
            let message = format!("the header {ACCOUNT_HEADER} is missing");
            Refusal::new(ErrorCode::BadRequest, message)
        })?,
        scope: Scope::from(query.scope),
        cursor: query.cursor.map(Cursor::from),
        limit: query.limit.unwrap_or(u32::MAX),
    };
    let page = shared.server.pull(&account, request).await?;
    Ok(json(PageBody::encode(&page)?))
}

/// The account that the request names, so that a client whose token source has moved on to another account is
/// told so, instead of getting that one's data.
fn named(headers: &HeaderMap) -> Result<Option<Account>, Refusal> {
    let Some(value) = headers.get(ACCOUNT_HEADER) else {
        return Ok(None);
    };
    let account = value.to_str().ok().and_then(decode_account);
    account.map(Some).ok_or_else(|| {
        let message = format!("the header {ACCOUNT_HEADER} cannot be read");
        Refusal::new(ErrorCode::BadRequest, message)
    })
}

pub(super) async fn push(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    answer_push(&shared, &headers, body)
        .await
        .unwrap_or_else(Refusal::own)
}

async fn answer_push(
    shared: &Shared,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let account = shared.account(headers).await?;
    let body = text(headers, body)?;
    let push = PushBody::decode(&body, shared.server.clock().wall())?;
    if push.account != account || named(headers)?.is_some_and(|named| named != account) {
        let message = "the token is another account's than the request's";
        return Err(Refusal::new(ErrorCode::OtherAccount, message));
    }
    let mutations = push.mutations.into_iter().map(|mutation| match mutation {
        Ok(outgoing) => Incoming::from(outgoing),
        Err(invalid) => Incoming::unusable(invalid.id, invalid.key, invalid.reason),
    });
    let received = Received {
        cursors: push.cursors,
        mutations: mutations.collect(),
    };
    let answer = shared.server.receive(&account, received).await?;
    Ok(json(AnswersBody::encode(&answer)?))
}
