//! The batch in the body of a push, in each dialect, and a feed's query of a pull.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use sync_core::{
    model::{Account, Mutation, RecordKey, Schema},
    time::Timestamp,
    transport::{Outgoing, PullRequest, PushRequest},
};
use sync_http::{
    dialect::{Feed, Unplaced},
    wire::{PushBody, decode_account, encode_account},
};

use crate::{
    memory::bounded,
    named, text,
    words::{assert_names_a_place, assert_ours},
};

/// Decodes the input as a batch, as a query and as an account.
pub fn run(input: &[u8]) {
    let Some(body) = text(input) else { return };
    own(&body);
    for preset in [Feed::since(), Feed::cursor()] {
        feed(&body, &preset);
        query(&body, &preset);
    }
    if let Some(account) = decode_account(&body) {
        assert_eq!(decode_account(&encode_account(&account)), Some(account));
    }
}

fn own(body: &Arc<str>) {
    let received = Timestamp::from_millis(1_795_353_200_000);
    let batch = match bounded(body, || PushBody::decode(body, received)) {
        Ok(batch) => batch,
        Err(error) => return assert_names_a_place(&error),
    };
    if let Some(json) = named(body) {
        assert_eq!(json["account"], batch.account.as_str());
        assert_eq!(
            json["mutations"].as_array().unwrap().len(),
            batch.mutations.len()
        );
        for (mutation, json) in batch
            .mutations
            .iter()
            .zip(json["mutations"].as_array().unwrap())
        {
            let key = match mutation {
                Ok(outgoing) => &outgoing.mutation.key,
                Err(invalid) => &invalid.key,
            };
            assert_eq!(json["scope"], key.scope.as_str());
            assert_eq!(json["type"], key.entity_type.as_str());
            assert_eq!(json["entityId"], key.entity_id.as_str());
            let payload = mutation.as_ref().ok().and_then(|m| m.mutation.op.payload());
            if let Some(payload) = payload {
                assert_eq!(payload.decode::<Value>().unwrap(), json["payload"]);
            }
        }
    }
    let mut mutations = Vec::new();
    for mutation in batch.mutations {
        match mutation {
            Ok(outgoing) => mutations.push(outgoing),
            Err(invalid) => assert_ours(&invalid.reason),
        }
    }
    let request = PushRequest {
        account: batch.account,
        cursors: batch.cursors,
        mutations,
    };
    let encoded = PushBody::encode(&request).unwrap().into();
    let again = PushBody::decode(&encoded, received).unwrap();
    assert_eq!(again.account, request.account);
    assert_eq!(again.cursors, request.cursors);
    let again: Vec<_> = again.mutations.into_iter().map(Result::unwrap).collect();
    assert_eq!(again, request.mutations);
}

fn feed(body: &Arc<str>, feed: &Feed) {
    let batch = match bounded(body, || feed.decode_push(body)) {
        Ok(batch) => batch,
        Err(error) => return assert_names_a_place(&error),
    };
    for unplaced in &batch {
        if let Err(reason) = &unplaced.op {
            assert_ours(reason);
        }
    }
    let (sent, mutations): (Vec<_>, Vec<_>) = batch
        .iter()
        .filter_map(|unplaced| Some((unplaced, outgoing(unplaced)?)))
        .unzip();
    let request = PushRequest {
        account: Account::from("alice"),
        cursors: Vec::new(),
        mutations,
    };
    let encoded = feed.encode_push(&request).unwrap().into();
    let again = feed.decode_push(&encoded).unwrap();
    assert_eq!(again.len(), sent.len());
    for (again, sent) in again.iter().zip(sent) {
        assert_eq!(again.id, sent.id);
        assert_eq!(again.entity_type, sent.entity_type);
        assert_eq!(again.entity_id, sent.entity_id);
        assert_eq!(again.op, sent.op);
        // A delete gets a scope from its key, and loses a time with its payload.
        assert!(sent.scope.is_none() || again.scope == sent.scope);
        let has_payload = sent.op.as_ref().is_ok_and(|op| op.payload().is_some());
        assert!(!has_payload || again.edited_at == sent.edited_at);
    }
}

/// The mutation as a client would send it; `None` for one that makes no sense.
fn outgoing(unplaced: &Unplaced) -> Option<Outgoing> {
    let scope = unplaced.scope.clone().unwrap_or_else(|| "1".into());
    Some(Outgoing {
        mutation: Mutation {
            id: unplaced.id,
            key: RecordKey::new(
                scope,
                unplaced.entity_type.clone(),
                unplaced.entity_id.clone(),
            ),
            op: unplaced.op.clone().ok()?,
            schema: Schema::default(),
            base_version: None,
            after: None,
            edited_at: Timestamp::default(),
        },
        age: Duration::ZERO,
        over: None,
    })
}

fn query(query: &str, feed: &Feed) {
    let pull = match bounded(query, || feed.decode_pull(query)) {
        Ok(pull) => pull,
        Err(error) => return assert_names_a_place(&error),
    };
    let request = PullRequest {
        account: Account::from("alice"),
        scope: pull.scope.as_str().into(),
        cursor: pull.cursor.as_deref().map(Into::into),
        limit: pull.limit.unwrap_or(feed.pull.max_limit),
    };
    let target = feed.pull_target(&request);
    let (_, again) = target.split_once('?').unwrap();
    let again = feed.decode_pull(again).unwrap();
    assert_eq!((again.scope, again.cursor), (pull.scope, pull.cursor));
    assert!(pull.limit.is_none() || again.limit == pull.limit);
}
