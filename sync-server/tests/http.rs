//! The router: this project's own protocol over HTTP.

#![allow(clippy::unwrap_used, reason = "a test's helper fails its test")]

mod common;

use std::{io::Write, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, HeaderValue, Request, StatusCode, header},
};
use common::*;
use sync_core::{
    error::StoreErrorKind,
    model::{Account, Page, Scope},
    transport::{PullRequest, PushAnswer, PushRequest, Verdict},
};
use sync_http::wire::{
    ACCOUNT_HEADER, AnswersBody, ErrorBody, ErrorCode, PageBody, PullQuery, PushBody,
    encode_account,
};
use sync_server::{
    log::MemoryLog,
    router::{BearerTokens, Cors, RouterSettings, router, serve},
};
use tower::ServiceExt;

struct Http {
    world: World,
    router: Router,
}

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn text(&self) -> Arc<str> {
        std::str::from_utf8(&self.body).unwrap().into()
    }

    fn code(&self) -> ErrorCode {
        let text = self.text();
        let error = ErrorBody::decode(&text).unwrap_or_else(|| panic!("not our format: {text}"));
        assert!(!error.error.message.is_empty());
        error.error.code
    }

    fn page(&self) -> Page {
        assert_eq!(self.status, 200, "{}", self.text());
        PageBody::decode(&self.text()).unwrap()
    }

    fn answers(&self) -> Vec<Verdict> {
        assert_eq!(self.status, 200, "{}", self.text());
        let answer: PushAnswer = AnswersBody::decode(&self.text()).unwrap();
        answer.answers.into_iter().map(|a| a.verdict).collect()
    }
}

impl Http {
    fn new() -> Self {
        Self::with(RouterSettings::default(), |_| {})
    }

    fn with(settings: RouterSettings, adapt: impl FnOnce(&mut World)) -> Self {
        let mut world = World::new(Arc::new(MemoryLog::new()));
        adapt(&mut world);
        let tokens = BearerTokens::new();
        tokens.insert("token-of-ann", "ann");
        tokens.insert("token-of-bob", "bob");
        let router = router(world.server.clone(), Arc::new(tokens), settings);
        Self { world, router }
    }

    async fn send(&self, request: Request<Body>) -> Got {
        let response = self.router.clone().oneshot(request).await.unwrap();
        Got {
            status: response.status(),
            headers: response.headers().clone(),
            body: to_bytes(response.into_body(), usize::MAX)
                .await
                .unwrap()
                .to_vec(),
        }
    }

    async fn pull(&self, account: &str, scope: &str, cursor: Option<&str>) -> Got {
        self.send(pull(account, scope, cursor).body(Body::empty()).unwrap())
            .await
    }

    async fn push(&self, account: &str, edits: &[&Edit]) -> Got {
        let body = push_body(account, edits);
        self.send(push(account).body(Body::from(body)).unwrap())
            .await
    }
}

fn pull(account: &str, scope: &str, cursor: Option<&str>) -> axum::http::request::Builder {
    let query = PullQuery::of(&PullRequest {
        account: Account::from(account),
        scope: Scope::from(scope),
        cursor: cursor.map(Into::into),
        limit: 100,
    });
    Request::get(format!("/{}", query.target()))
        .header(header::AUTHORIZATION, format!("Bearer token-of-{account}"))
        .header(ACCOUNT_HEADER, encode_account(&Account::from(account)))
}

fn push(account: &str) -> axum::http::request::Builder {
    Request::post("/v1/push")
        .header(header::AUTHORIZATION, format!("Bearer token-of-{account}"))
        .header(header::CONTENT_TYPE, "application/json")
}

fn push_body(account: &str, edits: &[&Edit]) -> String {
    PushBody::encode(&PushRequest {
        account: Account::from(account),
        cursors: Vec::new(),
        mutations: edits.iter().map(|edit| edit.0.clone()).collect(),
    })
    .unwrap()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn what_one_pushes_another_pulls() {
    let http = Http::new();
    let create = http
        .world
        .create("a", r#"{"ml":120,"big":12345678901234567890123}"#);
    assert!(is_applied(&http.push("ann", &[&create]).await.answers()[0]));
    let got = http.pull("bob", S, None).await;
    assert_eq!(got.headers[header::CACHE_CONTROL], "no-store");
    let page = got.page();
    assert_eq!(page.changes[0].op.payload(), create.0.mutation.op.payload());
    assert_eq!(page.changes[0].mutation_id, Some(create.id()));
    assert_eq!(
        page.verdict_retention,
        Some(Duration::from_secs(90 * 24 * 60 * 60))
    );
    let next = http.pull("bob", S, Some(page.next.as_str())).await.page();
    assert!(next.changes.is_empty());
}

#[tokio::test]
async fn a_request_without_a_good_token_is_unauthorized() {
    let http = Http::new();
    for authorization in [
        None,
        Some("Bearer wrong"),
        Some("Basic token-of-ann"),
        Some("x"),
    ] {
        let mut request = pull("ann", S, None).body(Body::empty()).unwrap();
        request.headers_mut().remove(header::AUTHORIZATION);
        if let Some(value) = authorization {
            let value = HeaderValue::from_static(value);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let got = http.send(request).await;
        assert_eq!(
            (got.status.as_u16(), got.code()),
            (401, ErrorCode::Unauthorized)
        );
    }
}

#[tokio::test]
async fn a_token_of_another_account_than_the_request_names_is_refused() {
    let http = Http::new();
    let mut request = pull("ann", S, None).body(Body::empty()).unwrap();
    let bob = HeaderValue::from_static("bob");
    request.headers_mut().insert(ACCOUNT_HEADER, bob);
    let got = http.send(request).await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (409, ErrorCode::OtherAccount)
    );

    let body = push_body("bob", &[&http.world.create("a", "1")]);
    let got = http.send(push("ann").body(Body::from(body)).unwrap()).await;
    assert_eq!(got.code(), ErrorCode::OtherAccount);
    assert!(http.world.state().await.is_empty());
}

#[tokio::test]
async fn a_pull_names_its_account_percent_encoded_and_one_that_names_none_is_refused() {
    let http = Http::new();
    let mut request = pull("ann", S, None).body(Body::empty()).unwrap();
    let encoded = HeaderValue::from_static("%61n%6E");
    request.headers_mut().insert(ACCOUNT_HEADER, encoded);
    assert_eq!(http.send(request).await.status, 200);

    let mut request = pull("ann", S, None).body(Body::empty()).unwrap();
    request.headers_mut().remove(ACCOUNT_HEADER);
    let got = http.send(request).await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (400, ErrorCode::BadRequest)
    );
}

#[tokio::test]
async fn a_denied_pull_and_an_expired_cursor_say_so_in_our_format() {
    let http = Http::new();
    let got = http.pull("ann", "not-mine", None).await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (403, ErrorCode::Forbidden)
    );
    let got = http.pull("ann", S, Some("stale")).await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (410, ErrorCode::CursorExpired)
    );
}

#[tokio::test]
async fn a_malformed_request_is_refused_with_the_place_and_without_its_content() {
    let http = Http::new();
    for (body, place) in [
        (
            "{\"account\":\"ann\",\"mutations\":[{\"id\":\"secret\"}]}",
            "mutations[0].id",
        ),
        ("{\"account\":\"ann\",", "line 1"),
        ("secret", "line 1"),
    ] {
        let got = http.send(push("ann").body(Body::from(body)).unwrap()).await;
        assert_eq!(
            (got.status.as_u16(), got.code()),
            (400, ErrorCode::BadRequest)
        );
        assert!(got.text().contains(place), "{}", got.text());
        assert!(!got.text().contains("secret"), "{}", got.text());
    }
    let not_utf8 = push("ann").body(Body::from(vec![0xff, 0xfe])).unwrap();
    assert_eq!(http.send(not_utf8).await.code(), ErrorCode::BadRequest);
    for target in ["/v1/pull", "/v1/pull?scope=baby-1&limit=many"] {
        let mut request = pull("ann", S, None).body(Body::empty()).unwrap();
        *request.uri_mut() = target.parse().unwrap();
        assert_eq!(http.send(request).await.code(), ErrorCode::BadRequest);
    }
}

#[tokio::test]
async fn a_mutation_that_makes_no_sense_is_rejected_and_spoils_no_other() {
    let http = Http::new();
    let (first, second, third) = (
        http.world.create("a", "1"),
        http.world.create("a", "2"),
        http.world.create("b", "3"),
    );
    let body = push_body("ann", &[&first, &second, &third]).replacen("create", "upsert", 1);
    let send = async || {
        let request = push("ann").body(Body::from(body.clone())).unwrap();
        http.send(request).await.answers()
    };
    let answers = send().await;
    assert!(
        is_rejected(&answers[0]) && is_rejected(&answers[1]),
        "{answers:?}"
    );
    assert!(is_applied(&answers[2]));
    assert_eq!(send().await, answers);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_our_format() {
    let http = Http::new();
    let got = http
        .send(Request::get("/v2/pull").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (404, ErrorCode::NotFound)
    );
    let got = http
        .send(Request::put("/v1/pull").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (405, ErrorCode::BadRequest)
    );
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_packed_or_not() {
    let settings = RouterSettings {
        body_bytes: 2_000,
        ..RouterSettings::default()
    };
    let http = Http::with(settings, |_| {});
    let large = push_body("ann", &[&http.world.create("a", &"x".repeat(100_000))]);
    let packed = gzip(&large);
    assert!(packed.len() < 1_000, "the packed body alone would pass");
    for request in [
        push("ann").body(Body::from(large)).unwrap(),
        push("ann")
            .header(header::CONTENT_ENCODING, "gzip")
            .body(Body::from(packed))
            .unwrap(),
    ] {
        let got = http.send(request).await;
        assert_eq!(
            (got.status.as_u16(), got.code()),
            (413, ErrorCode::TooLarge)
        );
    }
}

#[tokio::test]
async fn a_batch_of_too_many_mutations_is_too_large() {
    let http = Http::with(RouterSettings::default(), |world| {
        let limits = sync_server::Limits {
            batch: 1,
            ..Default::default()
        };
        world.server = world.server.clone().with_limits(limits);
    });
    let (one, two) = (http.world.create("a", "1"), http.world.create("b", "1"));
    let got = http.push("ann", &[&one, &two]).await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (413, ErrorCode::TooLarge)
    );
}

#[tokio::test]
async fn bodies_are_packed_both_ways() {
    let http = Http::new();
    let body = gzip(&push_body(
        "ann",
        &[&http.world.create("a", &"x".repeat(5_000))],
    ));
    let request = push("ann").header(header::CONTENT_ENCODING, "gzip");
    let got = http.send(request.body(Body::from(body)).unwrap()).await;
    assert!(is_applied(&got.answers()[0]));

    let request = pull("ann", S, None).header(header::ACCEPT_ENCODING, "gzip");
    let got = http.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(got.headers[header::CONTENT_ENCODING], "gzip");
    assert!(got.body.len() < 1_000);

    let request = push("ann").header(header::CONTENT_ENCODING, "br");
    let got = http.send(request.body(Body::from("x")).unwrap()).await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (400, ErrorCode::BadRequest)
    );
}

#[tokio::test]
async fn pages_of_allowed_origins_may_ask() {
    let preflight = || {
        Request::options("/v1/push")
            .header(header::ORIGIN, "https://app.example.org")
            .header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST")
            .header(
                header::ACCESS_CONTROL_REQUEST_HEADERS,
                "authorization,content-type",
            )
            .body(Body::empty())
            .unwrap()
    };
    let origin = HeaderValue::from_static("https://app.example.org");
    for (cors, allowed) in [
        (Cors::Origins(vec![origin]), Some("https://app.example.org")),
        (Cors::Any, Some("*")),
        (Cors::Origins(Vec::new()), None),
        (Cors::Off, None),
    ] {
        let settings = RouterSettings {
            cors,
            ..RouterSettings::default()
        };
        let got = Http::with(settings, |_| {}).send(preflight()).await;
        let header = got.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN);
        assert_eq!(header.map(|value| value.to_str().unwrap()), allowed);
        if allowed.is_some() {
            let headers = &got.headers[header::ACCESS_CONTROL_ALLOW_HEADERS];
            assert_eq!(headers, "authorization,content-type");
        }
    }
}

#[tokio::test]
async fn a_log_that_fails_is_unavailable_and_says_when_to_come_back() {
    let http = Http::with(RouterSettings::default(), |world| {
        let log: Arc<dyn sync_server::log::ChangeLog> =
            Arc::new(broken::Broken(StoreErrorKind::Unavailable));
        *world = World::new(log);
    });
    for got in [
        http.pull("ann", S, None).await,
        http.push("ann", &[&http.world.create("a", "1")]).await,
    ] {
        assert_eq!(
            (got.status.as_u16(), got.code()),
            (503, ErrorCode::Unavailable)
        );
        assert_eq!(got.headers[header::RETRY_AFTER], "1");
        assert!(!got.text().contains("/var/secret"), "{}", got.text());
    }
}

#[tokio::test]
async fn what_fails_by_the_apps_own_code_is_not_asked_for_again_at_a_time() {
    let http = Http::with(RouterSettings::default(), |world| {
        let log: Arc<dyn sync_server::log::ChangeLog> =
            Arc::new(broken::Broken(StoreErrorKind::App));
        *world = World::new(log);
    });
    let got = http.push("ann", &[&http.world.create("a", "1")]).await;
    assert_eq!(
        (got.status.as_u16(), got.code()),
        (500, ErrorCode::Unavailable)
    );
    assert_eq!(got.headers.get(header::RETRY_AFTER), None);
    assert!(!got.text().contains("/var/secret"), "{}", got.text());
}

#[tokio::test]
async fn the_server_answers_what_is_under_way_and_ends_when_told() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let http = Http::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, http.router.clone(), async {
        let _ = stopped.await;
    }));
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = push_body("ann", &[&http.world.create("a", "1")]);
    let head = format!(
        "POST /v1/push HTTP/1.1\r\nhost: x\r\nauthorization: Bearer token-of-ann\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\r\n",
        body.len()
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    // The server asks for the body: the request is under way when it is told to end.
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stop.send(()).unwrap();
    connection.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    server.await.unwrap().unwrap();
    assert_eq!(http.world.payload("a").await.as_deref(), Some("1"));
}

mod broken {
    //! A log that always fails.

    use async_trait::async_trait;
    use sync_core::{
        error::{StoreError, StoreErrorKind},
        model::{EntityId, EntityType, Epoch, Scope},
        time::Timestamp,
        transport::Answer,
    };
    use sync_server::log::{
        BatchRequest, ChangeLog, Compacted, NewEpoch, ReadOutcome, ReadRequest, Retention, ScopeRow,
    };

    #[derive(Debug)]
    pub(super) struct Broken(pub(super) StoreErrorKind);

    impl Broken {
        fn fail<T>(&self) -> Result<T, StoreError> {
            let context = "/var/secret/log.sqlite cannot be read";
            Err(StoreError::new(self.0.clone(), context))
        }
    }

    #[async_trait]
    impl ChangeLog for Broken {
        async fn decide(&self, _: BatchRequest) -> Result<Vec<Answer>, StoreError> {
            self.fail()
        }

        async fn read(&self, _: ReadRequest) -> Result<ReadOutcome, StoreError> {
            self.fail()
        }

        async fn scope(&self, _: Scope) -> Result<Option<ScopeRow>, StoreError> {
            self.fail()
        }

        async fn open(&self, _: Scope, _: Epoch) -> Result<ScopeRow, StoreError> {
            self.fail()
        }

        async fn new_epoch(&self, _: NewEpoch) -> Result<(), StoreError> {
            self.fail()
        }

        async fn compact(&self, _: Timestamp, _: Retention) -> Result<Compacted, StoreError> {
            self.fail()
        }

        async fn locate(&self, _: EntityType, _: EntityId) -> Result<Vec<Scope>, StoreError> {
            self.fail()
        }
    }
}
