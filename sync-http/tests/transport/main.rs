//! The transport against real sockets on this machine.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod answers;
mod limits;
mod recorded;
mod redirects;
mod server;
mod tokens;

use sync_core::{
    model::{Account, Cursor, Mutation, Op, Payload, RecordKey, Schema, Scope},
    time::Timestamp,
    transport::{
        Outgoing, PullRequest, PushRequest, Transport, TransportError, TransportErrorKind,
    },
};
use sync_http::{BuildError, Credentials, HttpTransport};

use server::{Answer, Server};

const EMPTY_PAGE: &str = r#"{"changes":[],"next":"e:0","hasMore":false,"through":0,"epoch":"e"}"#;

fn transport(server: &Server) -> HttpTransport {
    HttpTransport::builder(server.address(), alice())
        .build()
        .unwrap()
}

fn alice() -> Credentials {
    Credentials::new("alice", "secret-token")
}

fn pull() -> PullRequest {
    PullRequest {
        account: Account::from("alice"),
        scope: Scope::from("baby 1&2"),
        cursor: Some(Cursor::from("e:1/ü")),
        limit: 50,
    }
}

fn push(payload: &str) -> PushRequest {
    PushRequest {
        account: Account::from("alice"),
        cursors: Vec::new(),
        mutations: vec![Outgoing {
            mutation: Mutation {
                id: "0190c0de-0000-7000-8000-000000000001".parse().unwrap(),
                key: RecordKey::new("1", "feed_log", "a"),
                op: Op::Create(Payload::parse(payload).unwrap()),
                schema: Schema(1),
                base_version: None,
                after: None,
                edited_at: Timestamp::default(),
            },
            age: std::time::Duration::ZERO,
            over: None,
        }],
    }
}

async fn pull_error(server: &Server) -> TransportError {
    transport(server).pull(pull()).await.unwrap_err()
}

async fn pull_kind(answer: Answer) -> TransportErrorKind {
    let server = Server::answering(answer).await;
    pull_error(&server).await.kind()
}

async fn push_kind(answer: Answer) -> TransportErrorKind {
    let server = Server::answering(answer).await;
    let error = transport(&server).push(push("{}")).await.unwrap_err();
    error.kind()
}

#[tokio::test]
async fn a_pull_asks_for_its_scope_as_its_account() {
    let server = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
    let page = transport(&server).pull(pull()).await.unwrap();
    assert_eq!(page.next.as_str(), "e:0");
    let [seen] = &server.seen()[..] else {
        panic!("one request");
    };
    assert_eq!(
        seen.target,
        "GET /v1/pull?scope=baby+1%262&cursor=e%3A1%2F%C3%BC&limit=50"
    );
    assert_eq!(seen.header("authorization"), "Bearer secret-token");
    assert_eq!(seen.header("sync-account"), "alice");
}

#[tokio::test]
async fn a_push_sends_its_batch_and_understands_the_answers() {
    let answers =
        r#"{"answers":[{"id":"0190c0de-0000-7000-8000-000000000001","verdict":"forbidden"}]}"#;
    let server = Server::answering(Answer::json(200, answers)).await;
    let answer = transport(&server)
        .push(push(r#"{"ml":1.0}"#))
        .await
        .unwrap();
    assert_eq!(answer.answers.len(), 1);
    let seen = &server.seen()[0];
    assert_eq!(seen.target, "POST /v1/push");
    assert_eq!(seen.header("content-type"), "application/json");
    assert!(seen.text().contains(r#""payload":{"ml":1.0}"#));
}

#[tokio::test]
async fn an_account_that_a_header_cannot_hold_is_encoded() {
    let server = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
    let account = "jörg\r\n x: 100%";
    let transport = HttpTransport::builder(server.address(), Credentials::new(account, "t"))
        .build()
        .unwrap();
    let request = PullRequest {
        account: Account::from(account),
        ..pull()
    };
    transport.pull(request).await.unwrap();
    let header = server.seen()[0].header("sync-account").to_owned();
    assert_eq!(header, "j%C3%B6rg%0D%0A%20x:%20100%25");
    assert_eq!(
        sync_http::wire::decode_account(&header).unwrap().as_str(),
        account
    );
}

#[test]
fn plain_http_is_refused_except_to_this_machine() {
    let build = |address: &str| HttpTransport::builder(address, alice());
    let error = build("http://sync.example.com").build().unwrap_err();
    assert!(matches!(&error, BuildError::PlainHttp { host } if host == "sync.example.com"));
    assert!(error.to_string().contains("allow_plain_http"));
    for address in [
        "https://sync.example.com",
        "http://127.0.0.1:1",
        "http://localhost",
    ] {
        assert!(build(address).build().is_ok(), "{address}");
    }
    let allowed = build("http://sync.example.com").allow_plain_http(true);
    assert!(allowed.build().is_ok());
    assert!(
        build("https://a.example")
            .token_header("x: y", "")
            .build()
            .is_err()
    );
}

#[tokio::test]
async fn nothing_secret_shows_in_debug_or_errors() {
    let server = Server::answering(Answer::json(500, r#"{"note":"private"}"#)).await;
    let transport = transport(&server);
    let error = transport
        .push(push(r#"{"note":"private"}"#))
        .await
        .unwrap_err();
    let shown = format!("{transport:?} {error:?} {error} {:?}", alice());
    for secret in ["secret-token", "private"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_transport_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<HttpTransport>();
    fn sends<T: Send>(_: T) {}
    fn pulls(transport: &dyn Transport) {
        sends(transport.pull(pull()));
        sends(transport.push(push("{}")));
    }
    let _ = pulls;
}
