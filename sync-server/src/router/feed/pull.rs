//! A feed's pull.

use std::collections::HashMap;

use axum::{
    extract::State,
    http::{HeaderMap, Uri},
    response::Response,
};
use sync_core::{
    model::{Change, Cursor, Page, Scope},
    time::Timestamp,
};
use sync_http::{
    dialect::{ChangeNote, Feed},
    wire::ErrorCode,
};

use super::{
    super::{Refusal, Shared, json},
    cursor,
};
use crate::{Server, ServerError, log::LogPage, server::expired};

/// How many changes a page has when the client does not say.
const DEFAULT_LIMIT: u32 = 100;

pub(in crate::router) async fn pull(
    State(shared): State<Shared>,
    headers: HeaderMap,
    uri: Uri,
) -> Response {
    let Some(feed) = &shared.feed else {
        return Refusal::new(ErrorCode::NotFound, "nothing is here").own();
    };
    answer(&shared, feed, &headers, uri.query().unwrap_or_default())
        .await
        .unwrap_or_else(|refusal| refusal.feed(feed))
}

async fn answer(
    shared: &Shared,
    feed: &Feed,
    headers: &HeaderMap,
    query: &str,
) -> Result<Response, Refusal> {
    let server = &shared.server;
    let account = shared.account(headers).await?;
    let query = feed.decode_pull(query)?;
    let scope = Scope::from(query.scope);
    server.may_read(&account, &scope).await?;
    let cursor = match &query.cursor {
        Some(number) => Some(position(server, &scope, number).await?),
        None => None,
    };
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    let page = if feed.pull.has_more.is_some() {
        server.read(scope, cursor, limit).await?
    } else {
        read_all(server, scope, cursor).await?
    };
    let notes = notes(&page);
    let page = Page {
        next: cursor::encode(&page),
        ..page.into()
    };
    let unknown = ChangeNote {
        made_at: Timestamp::default(),
        is_new: false,
    };
    let note = |change: &Change| *notes.get(&change.seq).unwrap_or(&unknown);
    Ok(json(feed.encode_page(&page, note)?))
}

/// What a feed tells of each change beside the change, by its number.
fn notes(page: &LogPage) -> HashMap<Option<u64>, ChangeNote> {
    let records = page.records.iter();
    let note = |record: &crate::log::RecordRow| ChangeNote {
        made_at: record.made,
        is_new: record.created > page.after,
    };
    records
        .map(|record| (Some(record.seq), note(record)))
        .collect()
}

async fn position(server: &Server, scope: &Scope, number: &str) -> Result<Cursor, ServerError> {
    let row = server.log().scope(scope.clone()).await?;
    row.and_then(|row| cursor::decode(number, &row))
        .ok_or_else(expired)
}

/// All that there is: for a feed that cannot say that there is more.
async fn read_all(
    server: &Server,
    scope: Scope,
    cursor: Option<Cursor>,
) -> Result<LogPage, ServerError> {
    let mut all = server.read(scope.clone(), cursor, u32::MAX).await?;
    while all.has_more {
        let page = server.read(scope.clone(), Some(all.next), u32::MAX).await?;
        all.records.extend(page.records);
        all.next = page.next;
        all.through = page.through;
        all.has_more = page.has_more;
    }
    Ok(all)
}
