//! Exchanges recorded from a running backend, replayed against both halves of a feed dialect.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{fs, path::Path, sync::Arc, time::Duration};

use serde_json::{Value, json};
use sync_core::{
    model::{
        Account, ChangeOp, Cursor, Mutation, MutationId, Op, Page, Payload, RecordKey, Schema,
        Scope,
    },
    time::Timestamp,
    transport::{Answer, Outgoing, PullRequest, PushAnswer, PushRequest, Verdict},
};
use sync_http::{
    dialect::{ChangeNote, Dialect, Feed, Form},
    wire::{ErrorCode, PullQuery},
};

struct Exchange {
    name: String,
    target: String,
    body: Option<String>,
    status: u16,
    answer: Arc<str>,
}

fn exchange(name: &str) -> Exchange {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/wire")
        .join(name);
    let recorded: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    Exchange {
        name: name.to_owned(),
        target: recorded["request"]["path"].as_str().unwrap()[1..].to_owned(),
        body: recorded["request"]["body"].as_str().map(str::to_owned),
        status: recorded["response"]["status"].as_u64().unwrap() as u16,
        answer: recorded["response"]["body"].as_str().unwrap().into(),
    }
}

/// The request that a recorded push was made of.
fn push_request(body: &str) -> PushRequest {
    let body: Value = serde_json::from_str(body).unwrap();
    let mutations = body["mutations"].as_array().unwrap();
    let outgoing = |sent: &Value| Outgoing {
        mutation: Mutation {
            id: sent["mutationId"].as_str().unwrap().parse().unwrap(),
            key: RecordKey::new(
                sent["payload"]["babyId"].to_string(),
                sent["entityType"].as_str().unwrap(),
                sent["entityId"].as_str().unwrap(),
            ),
            op: Op::from_parts(
                sent["op"].as_str().unwrap(),
                Payload::encode(&sent["payload"]).ok(),
            )
            .unwrap(),
            schema: Schema(1),
            base_version: None,
            after: None,
            edited_at: Timestamp::default(),
        },
        age: Duration::ZERO,
        over: None,
    };
    PushRequest {
        account: Account::from("alice"),
        cursors: vec![(Scope::from("1"), Some(Cursor::from("7")))],
        mutations: mutations.iter().map(outgoing).collect(),
    }
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// What is recorded, but for the cursor that a push answer must not be read for.
fn without_new_cursor(answer: &str) -> Value {
    let mut answer = json(answer);
    answer["newCursor"] = Value::Null;
    answer
}

fn pull_request(cursor: Option<&str>, limit: u32) -> PullRequest {
    PullRequest {
        account: Account::from("bob"),
        scope: Scope::from("1"),
        cursor: cursor.map(Cursor::from),
        limit,
    }
}

fn check_pull(name: &str, feed: &Feed, cursor: Option<&str>, limit: u32) -> Page {
    let exchange = exchange(name);
    assert_eq!(
        feed.pull_target(&pull_request(cursor, limit)),
        exchange.target,
        "{name}"
    );
    let page = feed.decode_page(&exchange.answer).unwrap();

    let (_, query) = exchange.target.split_once('?').unwrap();
    let asked = feed.decode_pull(query).unwrap();
    assert_eq!(
        asked,
        PullQuery {
            scope: "1".to_owned(),
            cursor: cursor.filter(|cursor| *cursor != "0").map(str::to_owned),
            limit: feed.pull.limit.as_ref().map(|_| limit),
        },
        "{name}"
    );
    let recorded = json(&exchange.answer);
    let mut notes = recorded["changes"].as_array().unwrap().iter();
    let encoded = feed
        .encode_page(&page, |_| {
            let change = notes.next().unwrap();
            ChangeNote {
                made_at: made_at(change["createdAt"].as_str().unwrap()),
                is_new: change["op"] == "create",
            }
        })
        .unwrap();
    assert_eq!(json(&encoded), recorded, "{name}");
    page
}

/// Milliseconds of a time on the day of the recording.
fn made_at(date: &str) -> Timestamp {
    let clock = date.strip_prefix("2026-11-22T13:13:").unwrap();
    let seconds: f64 = clock.strip_suffix('Z').unwrap().parse().unwrap();
    Timestamp::from_millis(1_795_353_180_000 + (seconds * 1000.0).round() as i64)
}

#[test]
fn recorded_pulls_are_asked_for_and_understood() {
    let mut unlimited = Feed::since();
    unlimited.pull.limit = None;
    let page = check_pull("01-pull-empty.json", &unlimited, None, 100);
    assert_eq!((page.changes.len(), page.next.as_str()), (0, "0"));
    assert!(!page.has_more);

    let page = check_pull("32-pull-changes.json", &Feed::since(), Some("0"), 100);
    assert_eq!((page.changes.len(), page.next.as_str()), (8, "8"));
    let removed: Vec<_> = page
        .changes
        .iter()
        .map(|c| c.op == ChangeOp::Remove)
        .collect();
    assert_eq!(
        removed,
        [false, false, false, false, true, false, false, false]
    );
    let first = &page.changes[0];
    assert_eq!(first.entity_type.as_str(), "feed_log");
    assert_eq!(
        first.entity_id.as_str(),
        "00000000-0000-4000-8000-000000000001"
    );
    assert_eq!((first.seq, first.mutation_id), (None, None));
    let text = first.op.payload().unwrap().as_str();
    let body = exchange("32-pull-changes.json").answer;
    let shared = Feed::since().decode_page(&body).unwrap();
    let part = shared.changes[7].op.payload().unwrap().as_str();
    assert!(body.as_bytes().as_ptr_range().contains(&part.as_ptr()));
    assert!(text.starts_with(r#"{"id":"00000000"#) && text.ends_with(r#"08.870Z"}"#));

    let page = check_pull("33-pull-page-1.json", &Feed::since(), Some("0"), 1);
    assert!(page.has_more);
    let next = page.next.as_str();
    let page = check_pull("34-pull-page-2.json", &Feed::since(), Some(next), 1);
    assert!(page.has_more);
    assert_eq!(page.next.as_str(), "2");
}

fn check_push(name: &str) -> (Answer, Exchange) {
    let exchange = exchange(name);
    let feed = Feed::since();
    assert_eq!(feed.push.path, exchange.target);
    let body = exchange.body.as_deref().unwrap();
    let request = push_request(body);
    assert_eq!(
        json(&feed.encode_push(&request).unwrap()),
        json(body),
        "{name}"
    );
    let answers = feed.decode_answers(&exchange.answer).unwrap();
    let [answer] = &answers.answers[..] else {
        panic!("one answer to one mutation: {answers:?}");
    };
    assert_eq!(answer.id, request.mutations[0].mutation.id);

    let received = feed.decode_push(&Arc::from(body)).unwrap();
    let sent = &request.mutations[0].mutation;
    assert_eq!(received[0].id, sent.id);
    assert_eq!(received[0].scope.as_ref(), Some(&sent.key.scope));
    assert_eq!(received[0].entity_id, sent.key.entity_id);
    assert_eq!(received[0].op.as_ref().unwrap().name(), sent.op.name());
    assert_eq!(
        json(&feed.encode_answers(&answers).unwrap()),
        without_new_cursor(&exchange.answer),
        "{name}"
    );
    (answer.clone(), exchange)
}

#[test]
fn recorded_pushes_are_sent_and_understood() {
    for name in [
        "05-push-create-success.json",
        "08-push-update-success.json",
        "12-push-delete-success.json",
    ] {
        let (answer, _) = check_push(name);
        let expected = Verdict::Applied {
            version: None,
            record: None,
        };
        assert_eq!(answer.verdict, expected, "{name}");
    }

    let (answer, exchange) = check_push("07-push-update-conflict.json");
    let Verdict::Conflict { theirs } = answer.verdict else {
        panic!("{:?}", answer.verdict);
    };
    let theirs = theirs.payload.unwrap();
    assert!(exchange.answer.contains(theirs.as_str()), "kept as it came");
    assert!(theirs.as_str().contains(r#""amountMl":120"#));

    let (answer, _) = check_push("16-push-access-denied-viewer.json");
    assert_eq!(answer.verdict, Verdict::Forbidden);
    let (answer, _) = check_push("18-push-unknown-entity.json");
    let expected = Verdict::Rejected {
        reason: "Unknown entity type: medication_log".to_owned(),
    };
    assert_eq!(answer.verdict, expected);
}

#[test]
fn a_recorded_empty_push_has_no_answers() {
    let exchange = exchange("04-push-empty-batch.json");
    let feed = Feed::since();
    let body = exchange.body.unwrap();
    assert_eq!(
        json(&feed.encode_push(&push_request(&body)).unwrap()),
        json(&body)
    );
    let answers = feed.decode_answers(&exchange.answer).unwrap();
    assert_eq!(answers, PushAnswer::default());
    assert_eq!(feed.decode_push(&body.into()).unwrap(), []);
    assert_eq!(
        json(&feed.encode_answers(&answers).unwrap()),
        json(&exchange.answer)
    );
}

#[test]
fn a_recorded_refusal_is_told_from_a_proxy() {
    let exchange = exchange("45-pull-403.json");
    let mut unlimited = Feed::since();
    unlimited.pull.limit = None;
    assert_eq!(
        unlimited.pull_target(&pull_request(None, 9)),
        exchange.target
    );
    let feed = Feed::since();
    let refusal = |status, body: &str| feed.refusal(status, body);
    assert_eq!(exchange.status, ErrorCode::Forbidden.status());
    assert_eq!(refusal(403, &exchange.answer), Some(ErrorCode::Forbidden));
    assert_eq!(
        json(&feed.encode_refusal(ErrorCode::Forbidden, "")),
        json(&exchange.answer)
    );
    for (status, body) in [
        (200, &*exchange.answer),
        (403, r#"{"error":"Blocked by policy"}"#),
        (403, r#"{"message":"Access denied to this baby"}"#),
        (403, "<html>Access denied to this baby</html>"),
        (403, ""),
    ] {
        assert_eq!(refusal(status, body), None, "{status} {body}");
    }
    assert_eq!(
        refusal(410, r#"{"error":"gone"}"#),
        Some(ErrorCode::CursorExpired)
    );
    assert_eq!(refusal(410, "<html>gone</html>"), None);
    // Where the wording is not known, any JSON object will do, and still no page of a proxy.
    assert_eq!(
        Feed::cursor().refusal(403, "{}"),
        Some(ErrorCode::Forbidden)
    );
    assert_eq!(Feed::cursor().refusal(403, "<html>"), None);
}

#[test]
fn every_recorded_exchange_is_replayed() {
    let source = include_str!("dialects.rs");
    let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    for file in fs::read_dir(files).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(source.contains(&format!("\"{name}\"")), "{name}");
        assert_eq!(exchange(&name).name, name);
    }
}

#[test]
fn the_cursor_feed_is_asked_from_zero_and_has_no_more() {
    let feed = Feed::cursor();
    assert_eq!(
        feed.pull_target(&pull_request(None, 100)),
        "api/sync/pull?babyId=1&cursor=0"
    );
    assert_eq!(
        feed.pull_target(&pull_request(Some("1705678900"), 100)),
        "api/sync/pull?babyId=1&cursor=1705678900"
    );
    let body: Arc<str> = r#"{"changes":[{"entityType":"feed_log","entityId":"abc123","op":"create",
        "payload":{"id":"abc123","type":"breast"},"version":1705678950}],"newCursor":1705679000}"#
        .into();
    let page = feed.decode_page(&body).unwrap();
    assert!(!page.has_more);
    assert_eq!(page.next.as_str(), "1705679000");
    assert_eq!(page.changes[0].seq, None, "a time is no place in a log");
    assert_eq!(page.changes[0].entity_id.as_str(), "abc123");
}

#[test]
fn cursors_and_ids_are_kept_as_they_are_spelt() {
    let feed = Feed::since();
    for (written, kept) in [
        ("12345678901234567890", "12345678901234567890"),
        ("1.50e3", "1.50e3"),
        (r#""a b&\u00e9=1""#, "a b&é=1"),
        (r#""007""#, "007"),
    ] {
        let body = format!(
            r#"{{"changes":[{{"type":"t","op":"delete","id":{written}}}],"nextCursor":{written}}}"#
        );
        let page = feed.decode_page(&body.into()).unwrap();
        assert_eq!(page.next.as_str(), kept);
        assert_eq!(page.changes[0].entity_id.as_str(), kept);
        let target = feed.pull_target(&pull_request(Some(kept), 1));
        let (_, query) = target.split_once('?').unwrap();
        assert_eq!(feed.decode_pull(query).unwrap().cursor.unwrap(), kept);
    }
}

#[test]
fn a_scope_that_is_no_number_is_written_as_text() {
    let mut feed = Feed::since();
    let mut request = push_request(
        r#"{"mutations":[{"mutationId":"11111111-0000-4000-8000-000000000001","entityType":"t",
            "entityId":"7","op":"delete","payload":{"babyId":1}}]}"#,
    );
    let sent = |feed: &Feed, request: &PushRequest| {
        json(&feed.encode_push(request).unwrap())["mutations"][0].take()
    };
    assert_eq!(sent(&feed, &request)["payload"], json!({"babyId": 1}));
    feed.scope = Form::Text;
    feed.entity_id = Form::Number;
    assert_eq!(sent(&feed, &request)["payload"], json!({"babyId": "1"}));
    assert_eq!(sent(&feed, &request)["entityId"], json!(7));
    feed.scope = Form::Number;
    for scope in ["01", "1.0", "-", "", "x", "--1"] {
        request.mutations[0].mutation.key.scope = Scope::from(scope);
        assert_eq!(sent(&feed, &request)["payload"], json!({"babyId": scope}));
    }
}

#[test]
fn an_edit_over_the_own_predecessor_goes_out_just_above_its_stamp() {
    let body = exchange("07-push-update-conflict.json").body.unwrap();
    let mut request = push_request(&body);
    let base = r#"{"id":"x","updatedAt":"2026-11-22T13:13:08.999Z"}"#;
    request.mutations[0].over = Some(Payload::parse(base).unwrap());
    let sent = Feed::since().encode_push(&request).unwrap();
    let mut expected = json(&body);
    expected["mutations"][0]["payload"]["updatedAt"] = json!("2026-11-22T13:13:09.000Z");
    assert_eq!(json(&sent), expected);

    let mut without = Feed::since();
    without.edit_time_field = None;
    assert_eq!(json(&without.encode_push(&request).unwrap()), json(&body));
}

#[test]
fn a_malformed_feed_page_names_the_place() {
    let decode = |body: &str| {
        let error = Feed::since().decode_page(&Arc::from(body)).unwrap_err();
        error.to_string()
    };
    let page = |change: &str| format!(r#"{{"changes":[{change}],"nextCursor":1}}"#);
    let cases = [
        (
            page(r#"{"type":"t","op":"create","id":"1","data":null}"#),
            "nothing there in changes[0].data",
        ),
        (
            page(r#"{"type":"t","op":"upsert","id":"1"}"#),
            "expected create, update or delete in changes[0].op",
        ),
        (
            page(r#"{"type":"t","op":"delete","id":{"secret":1}}"#),
            "expected a string or a number in changes[0].id",
        ),
        (page("1"), "expected a list of objects in changes"),
        (
            r#"{"changes":[]}"#.to_owned(),
            "nothing there in nextCursor",
        ),
        (
            r#"{"changes":[],"nextCursor":1,"hasMore":"yes"}"#.to_owned(),
            "expected a flag in hasMore",
        ),
        ("<html>".to_owned(), "expected value at line 1 column 1"),
    ];
    for (body, expected) in cases {
        assert_eq!(decode(&body), expected, "{body}");
    }
}

#[test]
fn a_server_learns_what_an_old_client_means() {
    let body = r#"{"mutations":[
        {"mutationId":"11111111-0000-4000-8000-000000000001","entityType":"t","entityId":"1","op":"delete","payload":null},
        {"mutationId":"11111111-0000-4000-8000-000000000002","entityType":"t","entityId":2,"op":"update","payload":{"babyId":"b","updatedAt":"1970-01-01T00:00:01.000Z"}},
        {"mutationId":"11111111-0000-4000-8000-000000000003","entityType":"t","entityId":"3","op":"create"}]}"#;
    let received = Feed::since().decode_push(&Arc::from(body)).unwrap();
    let [delete, update, create] = &received[..] else {
        panic!("{received:?}");
    };
    assert_eq!((delete.scope.as_ref(), &delete.op), (None, &Ok(Op::Delete)));
    assert_eq!(update.scope, Some(Scope::from("b")));
    assert_eq!(update.entity_id.as_str(), "2");
    assert_eq!(update.edited_at, Some(Timestamp::from_millis(1000)));
    assert_eq!(
        create.op,
        Err("a create or an update needs a payload".to_owned())
    );
}

#[test]
fn answers_without_a_word_of_their_own_are_errors() {
    let id: MutationId = "11111111-0000-4000-8000-000000000001".parse().unwrap();
    let answer = PushAnswer {
        answers: vec![Answer {
            id,
            verdict: Verdict::Retry {
                after: None,
                resync: true,
            },
        }],
        verdict_retention: Some(Duration::from_secs(1)),
    };
    let body = Feed::since().encode_answers(&answer).unwrap();
    assert_eq!(
        json(&body),
        json!({"results": [{"mutationId": id, "status": "error", "error": "Not now; try again"}],
            "newCursor": null})
    );
}

#[test]
fn feeds_promise_less_than_the_own_protocol() {
    let own = Dialect::Own.traits();
    assert!(own.idempotent && own.ordered && own.edit_time_field.is_none());
    let feed = Dialect::from(Feed::since()).traits();
    assert!(!feed.idempotent && !feed.ordered);
    assert_eq!(feed.edit_time_field.as_deref(), Some("updatedAt"));
    assert_eq!(feed.stamped_fields, ["createdAt", "updatedAt"]);
}
