//! Every answer has its kind.

use std::time::Duration;

use sync_core::transport::{Transport, TransportErrorKind as Kind};
use sync_http::wire::{ErrorBody, ErrorCode};

use crate::{
    pull, pull_error, pull_kind, push_kind,
    server::{Answer, Server},
    transport,
};

fn refusal(code: ErrorCode) -> Answer {
    let body = serde_json::to_string(&ErrorBody::new(code, "no")).unwrap();
    Answer::json(code.status(), body)
}

fn html(status: u16) -> Answer {
    Answer::new(status, "text/html", "<html>welcome to our network</html>")
}

#[tokio::test]
async fn a_refusal_of_the_server_means_what_its_code_says() {
    for (code, kind) in [
        (ErrorCode::BadRequest, Kind::BadRequest),
        (ErrorCode::Unauthorized, Kind::Unauthorized),
        (ErrorCode::OtherAccount, Kind::OtherAccount),
        (ErrorCode::Forbidden, Kind::Forbidden),
        (ErrorCode::NotFound, Kind::Unavailable),
        (ErrorCode::CursorExpired, Kind::CursorExpired),
        (ErrorCode::TooLarge, Kind::TooLarge),
        (ErrorCode::RateLimited, Kind::Unavailable),
        (ErrorCode::Unavailable, Kind::Unavailable),
    ] {
        assert_eq!(pull_kind(refusal(code)).await, kind, "{code:?}");
        assert_eq!(push_kind(refusal(code)).await, kind, "{code:?}");
    }
}

#[tokio::test]
async fn a_status_alone_denies_nothing_and_expires_nothing() {
    for (status, kind) in [
        (400, Kind::BadRequest),
        (401, Kind::Unauthorized),
        (403, Kind::Unavailable),
        (404, Kind::Unavailable),
        (407, Kind::Unavailable),
        (408, Kind::Unavailable),
        (409, Kind::BadRequest),
        (410, Kind::Unavailable),
        (413, Kind::TooLarge),
        (422, Kind::BadRequest),
        (429, Kind::Unavailable),
        (500, Kind::Unavailable),
        (502, Kind::Unavailable),
        (503, Kind::Unavailable),
        (511, Kind::Unavailable),
    ] {
        assert_eq!(pull_kind(html(status)).await, kind, "{status}");
        assert_eq!(push_kind(html(status)).await, kind, "{status}");
    }
}

#[tokio::test]
async fn a_code_under_another_status_is_not_believed() {
    let body = serde_json::to_string(&ErrorBody::new(ErrorCode::Forbidden, "no")).unwrap();
    assert_eq!(
        pull_kind(Answer::json(500, body.clone())).await,
        Kind::Unavailable
    );
    let body = body.replace("forbidden", "blocked");
    assert_eq!(pull_kind(Answer::json(403, body)).await, Kind::Unavailable);
}

#[tokio::test]
async fn a_login_page_of_the_network_is_foreign() {
    assert_eq!(pull_kind(html(200)).await, Kind::Foreign);
    assert_eq!(push_kind(html(200)).await, Kind::Foreign);
    let text = Answer::new(200, "text/plain", crate::EMPTY_PAGE);
    assert_eq!(pull_kind(text).await, Kind::Foreign);
}

#[tokio::test]
async fn the_servers_word_on_when_to_come_back_is_passed_on() {
    let date = "Sun, 22 Nov 2026 13:13:00 GMT";
    let later = "Sun, 22 Nov 2026 13:14:30 GMT";
    for (retry_after, expected) in [
        ("7", Some(Duration::from_secs(7))),
        (later, Some(Duration::from_secs(90))),
        (date, Some(Duration::ZERO)),
        ("Sun, 22 Nov 2026 13:12:00 GMT", Some(Duration::ZERO)),
        ("soon", None),
        ("-1", None),
    ] {
        for status in [429, 503] {
            let answer = html(status)
                .with("retry-after", retry_after)
                .with("date", date);
            let server = Server::answering(answer).await;
            let error = pull_error(&server).await;
            assert_eq!(error.kind(), Kind::Unavailable);
            assert_eq!(error.retry_after(), expected, "{retry_after}");
        }
    }
}

#[tokio::test]
async fn a_malformed_page_is_an_error_with_its_place() {
    let cases = [
        (
            r#"{"changes":[{"type":"t","id":"1","op":"put","seq":"1"}]}"#,
            "expected u64 in changes[0].seq at line 1 column 53",
        ),
        ("{", "EOF while parsing an object at line 1 column 1"),
        ("", "EOF while parsing a value at line 1 column 0"),
    ];
    for (body, place) in cases {
        let server = Server::answering(Answer::json(200, body)).await;
        let error = pull_error(&server).await;
        assert_eq!(error.kind(), Kind::Malformed);
        let message = error.to_string();
        assert!(message.contains("pull of scope baby 1&2"), "{message}");
        assert!(message.contains(place), "{message}");
    }
    let binary = Answer::json(200, &b"{\"changes\":\xff}"[..]);
    let server = Server::answering(binary).await;
    assert!(
        pull_error(&server)
            .await
            .to_string()
            .contains("not UTF-8 at byte 11")
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_network_error() {
    // A listener that is bound and dropped leaves a port that nobody answers on.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let transport = sync_http::HttpTransport::builder(format!("http://{free}"), crate::alice())
        .build()
        .unwrap();
    let error = transport.pull(pull()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_a_network_error() {
    let answer = Answer::json(200, "{\"changes\":[").with("content-length", "1000");
    let server = Server::answering(answer).await;
    let error = transport(&server).pull(pull()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Network, "{error}");
}
