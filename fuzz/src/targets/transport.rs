//! The transport: any status, header and body that may come back, from a server or from something in between.
//!
//! The first line of an input is `pull own 200`: what is asked, of which dialect, and the status of the answer.

use std::time::Duration;

use async_trait::async_trait;
use futures::executor::block_on;
use sync_core::{
    model::Account,
    transport::{PullRequest, PushRequest, Transport, TransportError, TransportErrorKind},
};
use sync_http::{
    Credentials, Fetch, FetchError, HttpTransport, Request, Response,
    dialect::{Dialect, Feed},
};

use crate::{exchange::Message, words::assert_ours};

const TOKEN: &str = "canary-of-a-token";

/// Answers a request with the input.
pub fn run(input: &[u8]) {
    let Some(message) = Message::parse(input) else {
        return;
    };
    let mut words = message.first.split(' ');
    let (Some(call), Some(dialect), Some(status)) = (words.next(), words.next(), words.next())
    else {
        return;
    };
    let dialect = match dialect {
        "since" => Feed::since().into(),
        "cursor" => Feed::cursor().into(),
        _ => Dialect::Own,
    };
    let Ok(status) = status.parse() else { return };
    let response = Response {
        status,
        headers: message.headers,
        body: message.body.to_vec(),
    };
    let transport = HttpTransport::builder("https://localhost/", Credentials::new("alice", TOKEN))
        .dialect(dialect.clone())
        .fetch(Always(response.clone()))
        .build()
        .unwrap();
    let outcome = if call == "push" {
        let request = PushRequest {
            account: Account::from("alice"),
            cursors: Vec::new(),
            mutations: Vec::new(),
        };
        block_on(transport.push(request)).map(|_| ())
    } else {
        let request = PullRequest {
            account: Account::from("alice"),
            scope: "1".into(),
            cursor: None,
            limit: 10,
        };
        block_on(transport.pull(request)).map(|_| ())
    };
    if let Err(error) = outcome {
        assert_says_little(&error, &response);
        assert_has_proof(&error, &dialect, &response);
    } else {
        assert!((200..300).contains(&status));
    }
}

/// Neither the token nor the body, and of a redirect no more than its origin.
fn assert_says_little(error: &TransportError, response: &Response) {
    let message = error.to_string();
    assert!(!message.contains(TOKEN) && !format!("{error:?}").contains(TOKEN));
    match message.split_once("redirected to ") {
        Some((before, after)) => {
            let (origin, after) = after.split_once("; the token").unwrap();
            let location = response.header("location").unwrap();
            let (_, host) = origin.split_once("://").unwrap();
            assert!(location.contains(host) && !host.contains(['/', '?', '#', '@']));
            assert_ours(before);
            assert_ours(after);
        }
        None => assert_ours(&message),
    }
}

/// Access is lost, or a cursor expired, only by the server's own word under the status that goes with it.
fn assert_has_proof(error: &TransportError, dialect: &Dialect, response: &Response) {
    let status = match error.kind() {
        TransportErrorKind::Forbidden => 403,
        TransportErrorKind::CursorExpired => 410,
        _ => return,
    };
    assert_eq!(response.status, status);
    let body = str::from_utf8(&response.body).unwrap();
    assert!(dialect.refusal(status, body).is_some());
}

/// Answers everything in the same way.
#[derive(Debug)]
struct Always(Response);

#[async_trait]
impl Fetch for Always {
    async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
        Ok(self.0.clone())
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending().await
    }
}
