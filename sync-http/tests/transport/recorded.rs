//! Exchanges recorded from a running backend, through the whole transport.

use std::{fs, path::Path};

use serde_json::Value;
use sync_core::{
    model::{Account, Cursor, Scope},
    transport::{PullRequest, Transport, TransportErrorKind},
};
use sync_http::{Credentials, HttpTransport, dialect::Feed};

use crate::server::{Answer, Server};

fn recorded(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/wire")
        .join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

async fn serve(exchange: &Value) -> Server {
    let response = &exchange["response"];
    Server::answering(Answer::new(
        response["status"].as_u64().unwrap() as u16,
        response["headers"]["content-type"].as_str().unwrap(),
        response["body"].as_str().unwrap().to_owned(),
    ))
    .await
}

fn transport(server: &Server, feed: Feed) -> HttpTransport {
    HttpTransport::builder(server.address(), Credentials::new("bob", "clerk_bob"))
        .dialect(feed)
        .token_header("x-test-user", "")
        .build()
        .unwrap()
}

fn request(cursor: Option<&str>, limit: u32) -> PullRequest {
    PullRequest {
        account: Account::from("bob"),
        scope: Scope::from("1"),
        cursor: cursor.map(Cursor::from),
        limit,
    }
}

#[tokio::test]
async fn a_recorded_page_is_pulled_as_it_was() {
    let exchange = recorded("34-pull-page-2.json");
    let server = serve(&exchange).await;
    let page = transport(&server, Feed::since())
        .pull(request(Some("1"), 1))
        .await
        .unwrap();
    assert_eq!((page.changes.len(), page.next.as_str()), (1, "2"));
    assert!(page.has_more);
    let seen = &server.seen()[0];
    let path = exchange["request"]["path"].as_str().unwrap();
    assert_eq!(seen.target, format!("GET {path}"));
    assert_eq!(seen.header("x-test-user"), "clerk_bob");
    assert_eq!(
        seen.header("sync-account"),
        "",
        "such a server knows no such header"
    );
}

#[tokio::test]
async fn a_recorded_refusal_denies_the_scope() {
    let server = serve(&recorded("45-pull-403.json")).await;
    let transport = transport(&server, Feed::since());
    let error = transport.pull(request(None, 100)).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Forbidden);
}
