//! Bodies that nobody should send end in an error, never in a panic.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::Arc;

use proptest::prelude::*;
use sync_core::{
    model::Payload,
    time::Timestamp,
    transport::{Outgoing, PushRequest},
};
use sync_http::{
    Malformed,
    dialect::{Dialect, Feed},
    wire::{ErrorBody, PushBody},
};

const BODIES: [&str; 5] = [
    r#"{"changes":[{"type":"tüp","id":"a\u0000b","op":"put","payload":{"n":1e400},"seq":1,
        "overwritten":[{"mutationId":"0190c0de-0000-7000-8000-000000000001","account":"b","by":1}]}],
        "next":"1","hasMore":true,"through":1,"epoch":"e","verdictRetentionMs":1}"#,
    r#"{"answers":[{"id":"0190c0de-0000-7000-8000-000000000001","verdict":"conflict",
        "record":{"payload":null,"version":{"epoch":"e","seq":18446744073709551615}}}]}"#,
    r#"{"account":"a","cursors":{"s":null},"mutations":[{"id":"0190c0de-0000-7000-8000-000000000001",
        "scope":"s","type":"t","entityId":"1","op":"update","payload":{},"ageMs":18446744073709551615}]}"#,
    r#"{"changes":[{"type":"t","op":"create","id":-1.5e3,"data":{"babyId":1}}],"nextCursor":9,"hasMore":true}"#,
    r#"{"mutations":[{"mutationId":"0190c0de-0000-7000-8000-000000000001","entityType":"t","entityId":"1",
        "op":"update","payload":{"babyId":1,"updatedAt":"2026-11-22T13:13:08.870+01:00"}}],
        "results":[{"mutationId":"0190c0de-0000-7000-8000-000000000001","status":"error","error":"no"}]}"#,
];

/// Everything that decodes a body. Returns the errors.
fn decode_all(body: &str) -> Vec<Malformed> {
    let body: Arc<str> = body.into();
    let mut errors = Vec::new();
    for dialect in [Dialect::Own, Feed::since().into(), Feed::cursor().into()] {
        errors.extend(dialect.decode_page(&body).err());
        errors.extend(dialect.decode_answers(&body).err());
        let _ = dialect.refusal(403, &body);
    }
    errors.extend(PushBody::decode(&body, Timestamp::default()).err());
    errors.extend(Feed::since().decode_push(&body).err());
    let _ = Feed::since().decode_pull(&body);
    let _ = ErrorBody::decode(&body);
    errors
}

#[test]
fn each_body_is_understood_by_somebody() {
    for body in BODIES {
        assert!(decode_all(body).len() < 8, "{body}");
    }
}

proptest! {
    #[test]
    fn a_body_with_a_flaw_anywhere_does_no_harm(
        which in 0..BODIES.len(),
        at in 0_usize..1000,
        len in 0_usize..40,
        with in r#"[\[\]{}:,"\\u0-9a-zé. -]{0,12}"#,
    ) {
        let body: Vec<char> = BODIES[which].chars().collect();
        let start = at % body.len();
        let end = (start + len).min(body.len());
        let flawed: String = body[..start].iter().copied().chain(with.chars()).chain(body[end..].iter().copied()).collect();
        for error in decode_all(&flawed) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn what_is_no_json_at_all_does_no_harm(body in "\\PC{0,200}") {
        decode_all(&body);
    }

    #[test]
    fn any_base_is_looked_at_without_harm(date in "[0-9TZ:.+ -]{0,40}", text in "\\PC{0,20}") {
        let sent = r#"{"account":"a","mutations":[{"id":"0190c0de-0000-7000-8000-000000000001","scope":"s",
            "type":"t","entityId":"1","op":"update","payload":{ "x":1 },"ageMs":0}]}"#;
        let received = PushBody::decode(&Arc::from(sent), Timestamp::default()).unwrap();
        let outgoing = received.mutations.into_iter().next().unwrap().unwrap();
        for stamp in [date, text] {
            let over = Payload::encode(&serde_json::json!({ "updatedAt": stamp })).unwrap();
            let request = PushRequest {
                account: received.account.clone(),
                cursors: Vec::new(),
                mutations: vec![Outgoing { over: Some(over), ..outgoing.clone() }],
            };
            let body = Feed::since().encode_push(&request).unwrap();
            prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
        }
    }
}
