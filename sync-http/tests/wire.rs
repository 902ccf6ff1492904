//! The bodies of our own protocol, both ways.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use sync_core::{
    model::{
        Account, Change, ChangeOp, Cursor, EntityId, EntityType, Epoch, Mutation, MutationId, Op,
        Overwritten, Page, Payload, RecordKey, Schema, Scope, Version,
    },
    time::Timestamp,
    transport::{Answer, Outgoing, PushAnswer, PushRequest, ServerRecord, Verdict},
};
use sync_http::wire::{AnswersBody, ErrorBody, ErrorCode, PageBody, PushBody};

fn payload(text: &str) -> Payload {
    Payload::parse(text).unwrap()
}

fn id(last: u8) -> MutationId {
    format!("0190c0de-0000-7000-8000-0000000000{last:02x}")
        .parse()
        .unwrap()
}

fn page() -> Page {
    Page {
        changes: vec![
            Change {
                entity_type: EntityType::from("feed_log"),
                entity_id: EntityId::from("a \"quoted\" id\u{0}"),
                op: ChangeOp::Put(payload(
                    r#"{"ml":12345678901234567890123,"z":1.0,"a":null}"#,
                )),
                schema: Schema(2),
                seq: Some(7),
                mutation_id: Some(id(1)),
                overwritten: vec![
                    Overwritten {
                        mutation_id: id(2),
                        account: Account::from("bob"),
                        payload: Some(payload(r#"{"ml":1}"#)),
                        by: 6,
                    },
                    Overwritten {
                        mutation_id: id(3),
                        account: Account::from("carol"),
                        payload: None,
                        by: 7,
                    },
                ],
            },
            Change {
                entity_type: EntityType::from("nap"),
                entity_id: EntityId::from("b"),
                op: ChangeOp::Remove,
                schema: Schema(0),
                seq: Some(9),
                mutation_id: None,
                overwritten: Vec::new(),
            },
        ],
        next: Cursor::from("e1:9"),
        has_more: true,
        through: Some(9),
        epoch: Some(Epoch::from("e1")),
        verdict_retention: Some(Duration::from_secs(3600)),
    }
}

fn decode(body: &str) -> Result<Page, String> {
    PageBody::decode(&Arc::from(body)).map_err(|error| error.to_string())
}

#[test]
fn a_page_comes_out_as_it_went_in() {
    let body = PageBody::encode(&page()).unwrap();
    assert_eq!(decode(&body).unwrap(), page());
}

#[test]
fn a_decoded_page_shares_the_buffer_of_its_body() {
    let body: Arc<str> = PageBody::encode(&page()).unwrap().into();
    let page = PageBody::decode(&body).unwrap();
    let range = body.as_bytes().as_ptr_range();
    let change = &page.changes[0];
    for part in [
        change.entity_type.as_str(),
        change.op.payload().unwrap().as_str(),
        page.changes[1].entity_id.as_str(),
    ] {
        assert!(range.contains(&part.as_ptr()), "{part} was copied");
    }
}

#[test]
fn fields_that_nobody_knows_are_ignored() {
    let body = r#"{"changes":[{"type":"t","id":"1","op":"remove","seq":1,"later":{"a":[1]}}],
        "next":"1","hasMore":false,"through":1,"epoch":"e","later":null}"#;
    assert_eq!(decode(body).unwrap().changes.len(), 1);
}

#[test]
fn a_malformed_page_names_the_place() {
    let page = |change: &str| {
        format!(r#"{{"changes":[{change}],"next":"1","hasMore":false,"through":1,"epoch":"e"}}"#)
    };
    let cases = [
        (
            page(r#"{"type":"t","id":"1","op":"put","seq":1}"#),
            "a put without a payload in changes[0].payload",
        ),
        (
            page(r#"{"type":"t","id":"1","op":"remove"}"#),
            "missing field `seq` in changes[0] at line 1 column 47",
        ),
        (
            page(r#"{"type":"t","id":"1","op":"remove","seq":null}"#),
            "expected u64 in changes[0].seq at line 1 column 57",
        ),
        (
            page(r#"{"type":"t","id":"1","op":"move","seq":1}"#),
            "expected `put` or `remove` in changes[0].op at line 1 column 44",
        ),
        (
            page(r#"{"type":"t","id":1,"op":"remove","seq":1}"#),
            "expected a string in changes[0].id at line 1 column 30",
        ),
        (
            page(r#"{"type":"t","id":"1","op":"put","seq":1,"payload":{"a":}}"#),
            "expected value in changes[0].payload at line 1 column 68",
        ),
        (
            r#"{"changes":[],"next":"1","hasMore":false,"through":1}"#.to_owned(),
            "missing field `epoch` at line 1 column 53",
        ),
        ("<html>".to_owned(), "expected value at line 1 column 1"),
        (
            r#"{"changes":["#.to_owned(),
            "EOF while parsing a list in changes at line 1 column 12",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(decode(&body).unwrap_err(), expected, "{body}");
    }
}

#[test]
fn a_batch_arrives_as_it_was_sent() {
    let received = Timestamp::from_millis(1_000_000);
    let mutation = |n, op, base_version, after| Outgoing {
        mutation: Mutation {
            id: id(n),
            key: RecordKey::new("baby-1", "feed_log", "a"),
            op,
            schema: Schema(1),
            base_version,
            after,
            edited_at: Timestamp::from_millis(1_000_000 - 1500),
        },
        age: Duration::from_millis(1500),
        over: None,
    };
    let request = PushRequest {
        account: Account::from("alice"),
        cursors: vec![
            (Scope::from("baby-1"), Some(Cursor::from("e1:3"))),
            (Scope::from("baby-2"), None),
        ],
        mutations: vec![
            mutation(
                1,
                Op::Create(payload(r#"{"ml":1}"#)),
                Some(Version::new("e1", 0)),
                None,
            ),
            mutation(2, Op::Update(payload(r#"{"ml":2}"#)), None, Some(id(1))),
            mutation(3, Op::Delete, Some(Version::new("e1", 4)), Some(id(2))),
        ],
    };
    let body = PushBody::encode(&request).unwrap();
    let arrived = PushBody::decode(&body.into(), received).unwrap();
    assert_eq!(arrived.account, request.account);
    assert_eq!(arrived.cursors, request.cursors);
    let mutations: Result<Vec<_>, _> = arrived.mutations.into_iter().collect();
    assert_eq!(mutations.unwrap(), request.mutations);
}

#[test]
fn one_senseless_mutation_spoils_no_other() {
    let mutation = |n: u8, rest: &str| {
        format!(
            r#"{{"id":"{}","scope":"s","type":"t","entityId":"1","ageMs":0,{rest}}}"#,
            id(n)
        )
    };
    let body = format!(
        r#"{{"account":"alice","mutations":[{},{},{}]}}"#,
        mutation(1, r#""op":"create""#),
        mutation(2, r#""op":"increment","payload":1"#),
        mutation(3, r#""op":"delete","group":"g1""#),
    );
    let arrived = PushBody::decode(&body.into(), Timestamp::default()).unwrap();
    let [Err(first), Err(second), Ok(third)] = &arrived.mutations[..] else {
        panic!("{:?}", arrived.mutations);
    };
    assert_eq!((first.id, second.id), (id(1), id(2)));
    assert_eq!(first.reason, "a create or an update needs a payload");
    assert_eq!(second.key, RecordKey::new("s", "t", "1"));
    assert_eq!(third.mutation.op, Op::Delete);
}

#[test]
fn answers_arrive_as_they_were_given() {
    let verdicts = [
        Verdict::Applied {
            version: Some(Version::new("e1", 4)),
            record: None,
        },
        Verdict::Applied {
            version: None,
            record: Some(ServerRecord {
                payload: Some(payload("{}")),
                schema: Schema(3),
                version: Some(Version::new("e1", 4)),
            }),
        },
        Verdict::Conflict {
            theirs: ServerRecord {
                payload: None,
                schema: Schema(0),
                version: None,
            },
        },
        Verdict::Rejected {
            reason: "too \"old\"".to_owned(),
        },
        Verdict::Forbidden,
        Verdict::Retry {
            after: Some(Duration::from_millis(250)),
            resync: false,
        },
        Verdict::Retry {
            after: None,
            resync: true,
        },
    ];
    let answer = PushAnswer {
        answers: verdicts
            .into_iter()
            .zip(1..)
            .map(|(verdict, n)| Answer { id: id(n), verdict })
            .collect(),
        verdict_retention: Some(Duration::from_secs(60)),
    };
    let body = AnswersBody::encode(&answer).unwrap();
    assert_eq!(AnswersBody::decode(&body.into()).unwrap(), answer);
}

#[test]
fn a_malformed_answer_names_the_place() {
    let decode = |body: &str| {
        AnswersBody::decode(&Arc::from(body))
            .unwrap_err()
            .to_string()
    };
    let body = format!(
        r#"{{"answers":[{{"id":"{}","verdict":"conflict"}}]}}"#,
        id(1)
    );
    assert_eq!(
        decode(&body),
        "a conflict without a record in answers[0].record"
    );
    assert_eq!(
        decode(r#"{"answers":[{"id":"secret","verdict":"applied"}]}"#),
        "an invalid value in answers[0].id at line 1 column 26"
    );
}

#[test]
fn a_refusal_is_told_from_what_is_not_in_our_format() {
    let body = serde_json::to_string(&ErrorBody::new(ErrorCode::Forbidden, "no")).unwrap();
    assert_eq!(body, r#"{"error":{"code":"forbidden","message":"no"}}"#);
    assert_eq!(
        ErrorBody::decode(&body).unwrap().error.code,
        ErrorCode::Forbidden
    );
    for other in [
        r#"{"error":"forbidden"}"#,
        r#"{"error":{"code":"blocked","message":""}}"#,
        "<html>forbidden</html>",
    ] {
        assert!(ErrorBody::decode(other).is_none(), "{other}");
    }
}

#[test]
fn each_code_has_its_status_and_only_a_denied_scope_is_a_403() {
    for (code, name, status) in [
        (ErrorCode::BadRequest, "bad_request", 400),
        (ErrorCode::Unauthorized, "unauthorized", 401),
        (ErrorCode::Forbidden, "forbidden", 403),
        (ErrorCode::NotFound, "not_found", 404),
        (ErrorCode::OtherAccount, "other_account", 409),
        (ErrorCode::CursorExpired, "cursor_expired", 410),
        (ErrorCode::TooLarge, "too_large", 413),
        (ErrorCode::RateLimited, "rate_limited", 429),
        (ErrorCode::Unavailable, "unavailable", 503),
    ] {
        assert_eq!(code.status(), status);
        assert_eq!(serde_json::to_value(code).unwrap(), name);
    }
}

/// The fields of a body's schema, those that must be there marked by a `!`.
#[cfg(feature = "openapi")]
fn fields<T: utoipa::ToSchema>() -> String {
    let schema = serde_json::to_value(T::schema()).unwrap();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let names = schema["properties"].as_object().unwrap().keys();
    let mut fields: Vec<_> = names
        .map(|name| match required.contains(&name.as_str().into()) {
            true => format!("{name}!"),
            false => name.clone(),
        })
        .collect();
    fields.sort();
    fields.join(" ")
}

#[cfg(feature = "openapi")]
#[test]
fn the_schemas_say_what_must_be_there() {
    use sync_http::wire::{AnswerBody, ChangeBody, MutationBody};
    let cases = [
        (
            fields::<PageBody<'_>>(),
            "changes! epoch! hasMore! next! through! verdictRetentionMs",
        ),
        (
            fields::<ChangeBody<'_>>(),
            "id! mutationId op! overwritten payload schema seq! type!",
        ),
        (fields::<PushBody<'_>>(), "account! cursors mutations!"),
        (
            fields::<MutationBody<'_>>(),
            "after ageMs! base entityId! group id! op! payload schema scope! type!",
        ),
        (fields::<AnswersBody<'_>>(), "answers! verdictRetentionMs"),
        (
            fields::<AnswerBody<'_>>(),
            "id! reason record resync retryAfterMs verdict! version",
        ),
        (fields::<ErrorBody<'_>>(), "error!"),
    ];
    for (actual, expected) in cases {
        assert_eq!(actual, expected);
    }
}
