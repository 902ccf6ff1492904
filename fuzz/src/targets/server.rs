//! The router: any request, to a server whose scope has some records already.
//!
//! An input is a request as text: `POST /v1/push`, headers, an empty line and a body. The token is added.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderName, HeaderValue, Request, header},
};
use futures::executor::block_on;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use sync_core::{
    time::{Clock, Entropy, Time, Timestamp},
    transport::{PushAnswer, Verdict},
};
use sync_http::{
    dialect::Feed,
    wire::{AnswersBody, ErrorBody, PageBody, PushBody},
};
use sync_server::{
    Server,
    access::{MemoryMembers, Role},
    log::{ChangeLog, MemoryLog, sqlite::SqliteLog},
    router::{BearerTokens, RouterSettings, router},
};
use tower::ServiceExt;

use crate::{exchange::Message, words::assert_ours};

const TOKEN: &str = "canary-of-a-token";
const GOOD: &str = "0190c0de-0000-7000-8000-00000000900d";

/// Sends the input to a server on each kind of log, unless it is refused before there is need of one. Both must
/// answer the same.
pub fn run(input: &[u8]) {
    let Some(message) = Message::parse(input) else {
        return;
    };
    let Some(target) = Target::parse(&message) else {
        return;
    };
    let memory = App::new(Arc::new(MemoryLog::new()));
    let answer = memory.exchange(&message, &target);
    if answer.0 == 400 {
        return;
    }
    let sqlite = App::new(Arc::new(SqliteLog::in_memory().unwrap()));
    assert_eq!(sqlite.exchange(&message, &target), answer);
}

/// Where a request goes.
struct Target<'a> {
    method: &'a str,
    uri: &'a str,
    is_feed: bool,
}

impl<'a> Target<'a> {
    fn parse(message: &Message<'a>) -> Option<Self> {
        let (method, uri) = message.first.split_once(' ')?;
        // What is no request line fails before there is a router.
        Request::builder().method(method).uri(uri).body(()).ok()?;
        let path = uri.split(['?', '#']).next()?;
        let is_feed = matches!(path, "/api/sync/pull" | "/api/sync/push");
        Some(Self {
            method,
            uri,
            is_feed,
        })
    }
}

/// A server with two records in the scope `1`, which `alice` may write.
struct App {
    router: Router,
}

impl App {
    fn new(log: Arc<dyn ChangeLog>) -> Self {
        let members = MemoryMembers::new();
        members.grant("1", "alice", Role::Owner);
        members.grant("2", "alice", Role::Viewer);
        members.grant("good", "alice", Role::Owner);
        let clock = Arc::new(Standing);
        let server = Server::new(log, Arc::new(members), clock, Arc::new(Counter::default()));
        let tokens = BearerTokens::new();
        tokens.insert(TOKEN, "alice");
        let settings = RouterSettings {
            feed: Some(Feed::since()),
            body_bytes: 1 << 20,
            ..RouterSettings::default()
        };
        let app = Self {
            router: router(server, Arc::new(tokens), settings),
        };
        let records = [record("a1", 1), record("a2", 2)];
        let records: Vec<_> = records.iter().map(|record| &**record).collect();
        app.push(r#""alice""#, "{}", &records).unwrap();
        app
    }

    /// The answer to a request, which is a good one or a refusal in the format of whoever asked.
    fn exchange(&self, message: &Message<'_>, target: &Target<'_>) -> (u16, String) {
        let (status, answer) = self.send(
            target.method,
            target.uri,
            &message.headers,
            message.body.to_vec(),
        );
        assert!(!answer.contains(TOKEN));
        match status {
            200 if target.method == "HEAD" || target.method == "OPTIONS" => {}
            200 if target.is_feed => {
                serde_json::from_str::<Value>(&answer).unwrap();
            }
            200 if target.method == "GET" => {
                PageBody::decode(&answer.as_str().into()).unwrap();
            }
            200 => self.pushed(message, &answer),
            400..500 if target.method == "HEAD" => {}
            400..500 if target.is_feed && status != 405 => {
                let answer: Value = serde_json::from_str(&answer).unwrap();
                assert_ours(answer["error"].as_str().unwrap());
            }
            400..500 => {
                let refusal = ErrorBody::decode(&answer).unwrap().error;
                assert!(refusal.code.status() == status || status == 405);
                assert_ours(&refusal.message);
                assert!(status != 400 || !is_good_push(message, target));
            }
            _ => panic!("status {status}: {answer}"),
        }
        (status, answer)
    }

    /// Each mutation was answered; and a good one after them is applied, whatever they were.
    fn pushed(&self, message: &Message<'_>, answer: &str) {
        let answer = AnswersBody::decode(&answer.into()).unwrap();
        for answer in &answer.answers {
            if let Verdict::Rejected { reason } = &answer.verdict {
                assert_ours(reason);
            }
        }
        let is_compressed = message
            .headers
            .iter()
            .any(|(name, _)| name == "content-encoding");
        if is_compressed {
            return;
        }
        let batch: Batch<'_> = serde_json::from_slice(message.body).unwrap();
        assert_eq!(answer.answers.len(), batch.mutations.len());
        let good = json!({
            "id": GOOD, "scope": "good", "type": "t", "entityId": "1", "op": "create",
            "payload": {}, "ageMs": 0,
        });
        let good = good.to_string();
        let mutations: Vec<&str> = batch.mutations.iter().map(|raw| raw.get()).collect();
        let mutations = [mutations, vec![&*good]].concat();
        let cursors = batch.cursors.map_or("{}", RawValue::get);
        if mutations.len() > 1000
            || cursors.contains("good")
            || mutations[..mutations.len() - 1].concat().contains("good")
        {
            return;
        }
        let again = self.push(batch.account.get(), cursors, &mutations).unwrap();
        for (again, first) in again.answers.iter().zip(&answer.answers) {
            assert_eq!(again.id, first.id);
            assert_same(&again.verdict, &first.verdict);
        }
        let good = again.answers.last().unwrap();
        assert!(matches!(good.verdict, Verdict::Applied { .. }), "{good:?}");
    }

    fn push(&self, account: &str, cursors: &str, mutations: &[&str]) -> Option<PushAnswer> {
        let mutations = mutations.join(",");
        let body =
            format!(r#"{{"account":{account},"cursors":{cursors},"mutations":[{mutations}]}}"#);
        let (status, answer) = self.send("POST", "/v1/push", &[], body.into_bytes());
        assert_eq!(status, 200, "{answer}");
        AnswersBody::decode(&answer.into()).ok()
    }

    fn send(
        &self,
        method: &str,
        uri: &str,
        headers: &[(String, String)],
        body: Vec<u8>,
    ) -> (u16, String) {
        let mut request = Request::builder()
            .method(method)
            .uri(uri)
            .header(header::AUTHORIZATION, format!("Bearer {TOKEN}"))
            .body(Body::from(body))
            .unwrap();
        for (name, value) in headers {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_str(value),
            ) {
                // What an answer is compressed with says nothing about the request.
                if name != header::ACCEPT_ENCODING {
                    request.headers_mut().insert(name, value);
                }
            }
        }
        let response = block_on(self.router.clone().oneshot(request)).unwrap();
        let status = response.status().as_u16();
        let body = block_on(to_bytes(response.into_body(), usize::MAX)).unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

/// What was decided is answered again, the same, but for a record: that is what the server holds by now.
fn assert_same(again: &Verdict, first: &Verdict) {
    match (again, first) {
        (Verdict::Conflict { .. }, Verdict::Conflict { .. }) | (_, Verdict::Retry { .. }) => {}
        (Verdict::Applied { version: again, .. }, Verdict::Applied { version: first, .. }) => {
            assert_eq!(again, first);
        }
        (again, first) => assert_eq!(again, first),
    }
}

/// A push whose mutations may each make no sense, but which is one: it is never refused as malformed.
fn is_good_push(message: &Message<'_>, target: &Target<'_>) -> bool {
    let is_push = target.method == "POST" && target.uri == "/v1/push";
    is_push
        && message.headers.is_empty()
        && crate::text(message.body)
            .is_some_and(|body| PushBody::decode(&body, Timestamp::default()).is_ok())
}

/// A push, as far as it is needed to send it again with one mutation more.
#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    account: &'a RawValue,
    #[serde(borrow, default)]
    cursors: Option<&'a RawValue>,
    #[serde(borrow)]
    mutations: Vec<&'a RawValue>,
}

fn record(id: &str, number: u128) -> String {
    let mutation = json!({
        "id": format!("0190c0de-0000-7000-8000-{number:012x}"), "scope": "1", "type": "feed_log",
        "entityId": id, "op": "create", "payload": {"babyId": 1, "ml": 120}, "ageMs": 60_000,
    });
    mutation.to_string()
}

/// A clock that stands still.
#[derive(Debug)]
struct Standing;

#[async_trait]
impl Clock for Standing {
    fn now(&self) -> Time {
        Time::from_millis(0)
    }

    fn wall(&self) -> Timestamp {
        // 2026-11-22T13:13:20Z
        Timestamp::from_millis(1_795_353_200_000)
    }

    async fn sleep_until(&self, _: Time) {
        std::future::pending().await
    }
}

/// Counts, so that every run is the same.
#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl Entropy for Counter {
    fn bits(&self) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1
    }
}
