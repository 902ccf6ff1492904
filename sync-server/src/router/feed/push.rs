//! A feed's push.

use std::collections::HashMap;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    http::HeaderMap,
    response::Response,
};
use sync_core::{
    model::{Account, EntityId, EntityType, Op, RecordKey, Schema, Scope},
    time::Timestamp,
    transport::{Answer, PushAnswer, Verdict},
};
use sync_http::{
    dialect::{Feed, Unplaced},
    wire::ErrorCode,
};

use super::super::{Refusal, Shared, json, text};
use crate::{
    Received, Server, ServerError,
    decide::{Incoming, Permission, fingerprint},
};

pub(in crate::router) async fn push(
    State(shared): State<Shared>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let Some(feed) = &shared.feed else {
        return Refusal::new(ErrorCode::NotFound, "nothing is here").own();
    };
    answer(&shared, feed, &headers, body)
        .await
        .unwrap_or_else(|refusal| refusal.feed(feed))
}

async fn answer(
    shared: &Shared,
    feed: &Feed,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let server = &shared.server;
    let account = shared.account(headers).await?;
    let body = text(headers, body)?;
    let now = server.clock().wall();
    let mut places = Places::new(server, &account);
    let mut mutations = Vec::new();
    // Per mutation its answer, where that is known without the log.
    let mut known = Vec::new();
    for unplaced in feed.decode_push(&body)? {
        known.push(match places.place(&unplaced).await? {
            Place::In(scope) => {
                mutations.push(incoming(unplaced, scope, now));
                None
            }
            Place::Nowhere(verdict) => Some(Answer {
                id: unplaced.id,
                verdict,
            }),
        });
    }
    let received = Received {
        cursors: Vec::new(),
        mutations,
    };
    let mut decided = server
        .receive(&account, received)
        .await?
        .answers
        .into_iter();
    let answer = PushAnswer {
        answers: known
            .into_iter()
            .filter_map(|known| known.or_else(|| decided.next()))
            .collect(),
        verdict_retention: None,
    };
    let is_retry = |answer: &Answer| matches!(answer.verdict, Verdict::Retry { .. });
    if answer.answers.iter().any(is_retry) {
        // The feed has no word for it. Sent again, what was decided is answered the same.
        let message = "some mutations could not be stored; send the batch again";
        return Err(Refusal::new(ErrorCode::Unavailable, message));
    }
    Ok(json(feed.encode_answers(&answer)?))
}

/// A feed's mutation knows no version. It is judged by the edit time that it claims, which cannot lie in the
/// future; without one it is applied to whatever is there.
fn incoming(unplaced: Unplaced, scope: Scope, now: Timestamp) -> Incoming {
    let key = RecordKey {
        scope,
        entity_type: unplaced.entity_type,
        entity_id: unplaced.entity_id,
    };
    Incoming {
        id: unplaced.id,
        fingerprint: fingerprint(&key, unplaced.op.as_ref().ok()),
        key,
        op: unplaced.op,
        schema: Schema::default(),
        base: None,
        after: None,
        age: unplaced
            .edited_at
            .map(|edited_at| now.since(edited_at))
            .unwrap_or_default(),
        unconditional: unplaced.edited_at.is_none(),
        permission: Permission::default(),
    }
}

/// Where a mutation belongs.
enum Place {
    /// In this scope.
    In(Scope),
    /// In none, and so this became of it.
    Nowhere(Verdict),
}

/// Finds the scopes of mutations. What a payload claims is only where to look: access is judged by that scope,
/// and a record of the same id in another scope stays untouched.
struct Places<'a> {
    server: &'a Server,
    account: &'a Account,
    /// The scopes of the records that the batch has named so far, of which the log may not know yet.
    batch: HashMap<(EntityType, EntityId), Scope>,
}

impl<'a> Places<'a> {
    fn new(server: &'a Server, account: &'a Account) -> Self {
        Self {
            server,
            account,
            batch: HashMap::new(),
        }
    }

    async fn place(&mut self, mutation: &Unplaced) -> Result<Place, ServerError> {
        let slot = (mutation.entity_type.clone(), mutation.entity_id.clone());
        if let Some(scope) = mutation.scope.as_ref().or_else(|| self.batch.get(&slot)) {
            let scope = scope.clone();
            self.batch.insert(slot, scope.clone());
            return Ok(Place::In(scope));
        }
        match &mutation.op {
            Err(reason) => Ok(Place::rejected(reason)),
            Ok(op) => self.look_up(op, slot).await,
        }
    }

    /// The scope of the stored record: of one that the account may write, if there is one.
    async fn look_up(
        &self,
        op: &Op,
        (entity_type, entity_id): (EntityType, EntityId),
    ) -> Result<Place, ServerError> {
        let log = self.server.log();
        let stored = log.locate(entity_type.clone(), entity_id.clone()).await?;
        let mut writable = Vec::new();
        for scope in &stored {
            let key = RecordKey {
                scope: scope.clone(),
                entity_type: entity_type.clone(),
                entity_id: entity_id.clone(),
            };
            if self.server.may_write(self.account, &key).await? {
                writable.push(scope.clone());
            }
        }
        Ok(match (writable.as_slice(), stored.first(), op) {
            ([scope], ..) => Place::In(scope.clone()),
            ([], Some(scope), _) => Place::In(scope.clone()),
            ([], None, Op::Delete) => Place::Nowhere(Verdict::Applied {
                version: None,
                record: None,
            }),
            ([], None, _) => Place::rejected("the payload names no scope"),
            _ => Place::rejected("several scopes hold the record, and the payload names none"),
        })
    }
}

impl Place {
    fn rejected(reason: &str) -> Self {
        Self::Nowhere(Verdict::Rejected {
            reason: reason.to_owned(),
        })
    }
}
