//! Tokens: compared, refreshed once, never sent for somebody else.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use sync_core::{
    model::Account,
    transport::{PullRequest, Transport, TransportErrorKind as Kind},
};
use sync_http::{Credentials, HttpTransport, TokenError, TokenSource};

use crate::{
    EMPTY_PAGE, alice, pull,
    server::{Answer, Server},
};

/// Gives `stale` until asked to refresh, then `fresh`.
#[derive(Debug, Default)]
struct Session {
    refreshes: AtomicUsize,
}

#[async_trait]
impl TokenSource for &'static Session {
    async fn token(&self, refresh: bool) -> Result<Credentials, TokenError> {
        if refresh {
            self.refreshes.fetch_add(1, Ordering::Relaxed);
        }
        let token = match self.refreshes.load(Ordering::Relaxed) {
            0 => "stale",
            _ => "fresh",
        };
        Ok(Credentials::new("alice", token))
    }
}

fn session() -> &'static Session {
    Box::leak(Box::default())
}

/// A server that takes one token only.
async fn server(token: &'static str) -> Server {
    Server::start(move |seen| {
        Some(
            if seen.header("authorization") == format!("Bearer {token}") {
                Answer::json(200, EMPTY_PAGE)
            } else {
                Answer::json(401, r#"{"error":"Unauthorized"}"#)
            },
        )
    })
    .await
}

fn build(server: &Server, tokens: impl TokenSource + 'static) -> HttpTransport {
    HttpTransport::builder(server.address(), tokens)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_refused_token_is_refreshed_and_the_request_sent_again() {
    let (server, session) = (server("fresh").await, session());
    let transport = build(&server, session);
    transport.pull(pull()).await.unwrap();
    assert_eq!(server.seen().len(), 2);
    transport.pull(pull()).await.unwrap();
    assert_eq!(server.seen().len(), 3);
    assert_eq!(session.refreshes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_token_that_stays_refused_is_asked_for_once() {
    let (server, session) = (server("another").await, session());
    let error = build(&server, session).pull(pull()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unauthorized);
    assert_eq!(server.seen().len(), 2);
    assert_eq!(session.refreshes.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn nothing_is_sent_for_another_account() {
    let server = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
    let request = PullRequest {
        account: Account::from("bob"),
        ..pull()
    };
    let error = build(&server, alice()).pull(request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OtherAccount);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn an_account_that_changes_with_the_refresh_is_noticed() {
    #[derive(Debug)]
    struct Switched;
    #[async_trait]
    impl TokenSource for Switched {
        async fn token(&self, refresh: bool) -> Result<Credentials, TokenError> {
            let account = if refresh { "bob" } else { "alice" };
            Ok(Credentials::new(account, "stale"))
        }
    }
    let server = server("fresh").await;
    let error = build(&server, Switched).pull(pull()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::OtherAccount);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_reason_is_told() {
    #[derive(Debug)]
    struct Fails(fn() -> TokenError);
    #[async_trait]
    impl TokenSource for Fails {
        async fn token(&self, _: bool) -> Result<Credentials, TokenError> {
            Err(self.0())
        }
    }
    let server = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
    let failures: [(fn() -> TokenError, Kind); 2] = [
        (|| TokenError::LoggedOut, Kind::Unauthorized),
        (|| TokenError::Unavailable("offline".into()), Kind::Network),
    ];
    for (failure, kind) in failures {
        let error = build(&server, Fails(failure))
            .pull(pull())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), kind);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_token_that_no_header_can_hold_is_not_sent() {
    let server = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
    for token in ["a\r\nx-admin: 1", "tök", "a\n"] {
        let transport = build(&server, Credentials::new("alice", token));
        let error = transport.pull(pull()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unauthorized);
        assert!(!error.to_string().contains(token));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_token_source_that_hangs_times_out() {
    #[derive(Debug)]
    struct Hangs;
    #[async_trait]
    impl TokenSource for Hangs {
        async fn token(&self, _: bool) -> Result<Credentials, TokenError> {
            std::future::pending().await
        }
    }
    let server = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
    let transport = HttpTransport::builder(server.address(), Hangs)
        .timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let error = transport.pull(pull()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn the_header_for_the_token_is_a_setting() {
    let server = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
    let transport = HttpTransport::builder(server.address(), alice())
        .token_header("X-Api-Key", "")
        .build()
        .unwrap();
    transport.pull(pull()).await.unwrap();
    assert_eq!(server.seen()[0].header("x-api-key"), "secret-token");
    assert_eq!(server.seen()[0].header("authorization"), "");
}
