//! Nothing takes for ever and nothing grows without bound.

use std::{
    error::Error,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use sync_core::transport::{Transport, TransportError, TransportErrorKind};
use sync_http::{Fetch, FetchError, HttpTransport, Request, Response};

use crate::{
    EMPTY_PAGE, alice, pull, push,
    server::{Answer, Server},
    transport,
};

const SHORT: Duration = Duration::from_millis(100);

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn gzipped(body: &[u8]) -> Answer {
    Answer::json(200, gzip(body)).with("content-encoding", "gzip")
}

#[tokio::test]
async fn a_compressed_page_is_understood() {
    let server = Server::answering(gzipped(EMPTY_PAGE.as_bytes())).await;
    transport(&server).pull(pull()).await.unwrap();
    assert!(server.seen()[0].header("accept-encoding").contains("gzip"));
}

#[tokio::test]
async fn large_pushes_are_compressed_where_that_is_set() {
    let answers = Answer::json(200, r#"{"answers":[]}"#);
    let server = Server::answering(answers).await;
    let large = format!(r#"{{"note":"{}"}}"#, "a".repeat(5000));
    let compressing = HttpTransport::builder(server.address(), alice())
        .compress_pushes(true)
        .build()
        .unwrap();
    compressing.push(push(&large)).await.unwrap();
    compressing.push(push("{}")).await.unwrap();
    transport(&server).push(push(&large)).await.unwrap();
    let [compressed, small, plain] = &server.seen()[..] else {
        panic!("three requests");
    };
    assert_eq!(compressed.header("content-encoding"), "gzip");
    assert!(compressed.body.len() < 1000);
    let text = std::io::read_to_string(GzDecoder::new(&compressed.body[..])).unwrap();
    assert_eq!(text, plain.text());
    assert_eq!(small.header("content-encoding"), "");
    assert_eq!(plain.header("content-encoding"), "");
}

async fn pull_with_timeout(server: &Server) -> TransportErrorKind {
    let transport = HttpTransport::builder(server.address(), alice())
        .timeout(SHORT)
        .build()
        .unwrap();
    transport.pull(pull()).await.unwrap_err().kind()
}

#[tokio::test]
async fn a_server_that_never_answers_times_out() {
    let server = Server::silent().await;
    assert_eq!(
        pull_with_timeout(&server).await,
        TransportErrorKind::Timeout
    );
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_body_that_never_ends_times_out() {
    let mut answer = Answer::json(200, "{\"changes\":[");
    answer.ends = false;
    let server = Server::answering(answer).await;
    assert_eq!(
        pull_with_timeout(&server).await,
        TransportErrorKind::Timeout
    );
}

/// Never answers, and does not wait.
#[derive(Debug, Clone, Default)]
struct Impatient(Arc<Mutex<Vec<Duration>>>);

#[async_trait]
impl Fetch for Impatient {
    async fn fetch(&self, _: Request) -> Result<Response, FetchError> {
        std::future::pending().await
    }

    async fn sleep(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

#[tokio::test]
async fn the_timeout_is_thirty_seconds_unless_set() {
    let fetch = Impatient::default();
    let build = || HttpTransport::builder("https://example.com", alice()).fetch(fetch.clone());
    let error = build().build().unwrap().pull(pull()).await.unwrap_err();
    assert_eq!(error.kind(), TransportErrorKind::Timeout);
    let set = build().timeout(SHORT).build().unwrap();
    set.pull(pull()).await.unwrap_err();
    assert_eq!(*fetch.0.lock().unwrap(), [Duration::from_secs(30), SHORT]);
}

async fn pull_with_bound(answer: Answer, bytes: usize) -> Result<(), TransportError> {
    let server = Server::answering(answer).await;
    let transport = HttpTransport::builder(server.address(), alice())
        .max_body(bytes)
        .build()
        .unwrap();
    transport.pull(pull()).await.map(|_| ())
}

fn is_too_large(error: &TransportError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref());
    error.kind() == TransportErrorKind::Malformed && matches!(source, Some(FetchError::TooLarge))
}

#[tokio::test]
async fn an_answer_longer_than_the_bound_is_refused() {
    let answer = Answer::json(200, EMPTY_PAGE);
    pull_with_bound(answer.clone(), EMPTY_PAGE.len())
        .await
        .unwrap();
    let error = pull_with_bound(answer, EMPTY_PAGE.len() - 1)
        .await
        .unwrap_err();
    assert!(is_too_large(&error), "{error:?}");
    assert!(
        error.to_string().contains("longer than 66 bytes"),
        "{error}"
    );
}

#[tokio::test]
async fn the_bound_counts_what_a_compressed_answer_grows_to() {
    let bomb = gzipped(&vec![b' '; 8 << 20]);
    assert!(bomb.body.len() < 10_000);
    let error = pull_with_bound(bomb, 1 << 20).await.unwrap_err();
    assert!(is_too_large(&error), "{error:?}");
}

#[tokio::test]
async fn an_endless_answer_is_refused_at_the_bound() {
    let mut answer = Answer::json(200, vec![b' '; 2000]);
    answer.ends = false;
    let error = pull_with_bound(answer, 1000).await.unwrap_err();
    assert!(is_too_large(&error), "{error:?}");
}

#[tokio::test]
async fn after_a_page_that_was_too_long_smaller_ones_are_asked_for() {
    let server = Server::start(|seen| {
        let (_, limit) = seen.target.split_once("limit=").unwrap();
        Some(if limit.parse::<u32>().unwrap() > 12 {
            Answer::json(200, vec![b' '; 2000])
        } else {
            Answer::json(200, EMPTY_PAGE)
        })
    })
    .await;
    let transport = HttpTransport::builder(server.address(), alice())
        .max_body(1000)
        .build()
        .unwrap();
    for _ in [50, 25] {
        let error = transport.pull(pull()).await.unwrap_err();
        assert!(is_too_large(&error), "{error:?}");
    }
    for _ in [12, 12] {
        transport.pull(pull()).await.unwrap();
    }
}
