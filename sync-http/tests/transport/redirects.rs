//! Credentials stay with the origin that they are for.

use sync_core::transport::{Transport, TransportErrorKind};

use crate::{
    EMPTY_PAGE, pull, pull_error, push,
    server::{Answer, Server},
    transport,
};

fn redirect(status: u16, to: &str) -> Answer {
    Answer::new(status, "text/plain", "").with("location", to)
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let elsewhere = Server::answering(Answer::json(200, EMPTY_PAGE)).await;
        let target = format!("{}/v1/pull?ticket=secret", elsewhere.address());
        let server = Server::answering(redirect(status, &target)).await;
        let error = pull_error(&server).await;
        assert_eq!(error.kind(), TransportErrorKind::Foreign);
        let message = error.to_string();
        assert!(message.contains(&elsewhere.address()), "{message}");
        assert!(!message.contains("secret"), "{message}");
        let error = transport(&server).push(push("{}")).await.unwrap_err();
        assert_eq!(error.kind(), TransportErrorKind::Foreign);
        assert!(elsewhere.seen().is_empty(), "{status}");
    }
}

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_with_the_token() {
    let server = Server::start(|seen| {
        Some(if seen.target.starts_with("GET /v1/") {
            redirect(308, "/v2/pull")
        } else {
            Answer::json(200, EMPTY_PAGE)
        })
    })
    .await;
    transport(&server).pull(pull()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[1].target, "GET /v2/pull");
    assert_eq!(seen[1].header("authorization"), "Bearer secret-token");
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let server = Server::answering(redirect(307, "/round")).await;
    assert_eq!(
        pull_error(&server).await.kind(),
        TransportErrorKind::Foreign
    );
    assert_eq!(server.seen().len(), 6);
}
