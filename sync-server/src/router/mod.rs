//! The server behind HTTP: an axum router as a thin shell over [`Server`].

mod authenticate;
mod feed;
mod own;
mod refusal;
mod serve;
mod under_way;

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, rejection::BytesRejection},
    http::{HeaderMap, HeaderValue, Method, header},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use sync_core::model::Account;
use sync_http::{
    dialect::Feed,
    wire::{ErrorCode, PULL_PATH, PUSH_PATH},
};
use tower_http::{
    compression::CompressionLayer,
    cors::{AllowHeaders, AllowOrigin, CorsLayer},
    decompression::RequestDecompressionLayer,
};
use tracing::Instrument;

pub use authenticate::{Authenticate, BearerTokens, NotAuthenticated};
pub use serve::serve;

use self::refusal::Refusal;
use crate::Server;

/// How the router speaks.
#[derive(Clone, Debug)]
pub struct RouterSettings {
    /// The names of a JSON feed that is answered as well, beside this project's own protocol: so that the clients
    /// of such a backend can switch to this server unchanged.
    pub feed: Option<Feed>,
    /// The most bytes of a request's body, before and after decompression: 16 MiB.
    pub body_bytes: usize,
    /// Which pages in browsers may ask.
    pub cors: Cors,
}

impl Default for RouterSettings {
    fn default() -> Self {
        Self {
            feed: None,
            body_bytes: 16 << 20,
            cors: Cors::Off,
        }
    }
}

/// Which pages in browsers may ask a server of another origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cors {
    /// None.
    #[default]
    Off,
    /// Those of these origins, as `https://app.example.org`.
    Origins(Vec<HeaderValue>),
    /// All. No cookie is ever accepted, so that a page can ask only with a token that it has.
    Any,
}

/// What the handlers share.
#[derive(Clone, Debug)]
struct Shared {
    server: Server,
    authenticate: Arc<dyn Authenticate>,
    feed: Option<Arc<Feed>>,
}

impl Shared {
    async fn account(&self, headers: &HeaderMap) -> Result<Account, Refusal> {
        self.authenticate
            .authenticate(headers)
            .await
            .map_err(Refusal::from)
    }
}

/// The routes of a server; who is asking is found out by `authenticate`.
///
/// Own protocol: `GET /v1/pull`, `POST /v1/push`. With [`RouterSettings::feed`], the feed's two paths as well.
pub fn router(
    server: Server,
    authenticate: Arc<dyn Authenticate>,
    settings: RouterSettings,
) -> Router {
    let shared = Shared {
        server,
        authenticate,
        feed: settings.feed.map(Arc::new),
    };
    let mut routes = Router::new()
        .route(&absolute(PULL_PATH), get(own::pull))
        .route(&absolute(PUSH_PATH), post(own::push));
    if let Some(feed) = &shared.feed {
        routes = routes
            .route(&absolute(&feed.pull.path), get(feed::pull))
            .route(&absolute(&feed.push.path), post(feed::push));
    }
    routes
        .fallback(async || Refusal::new(ErrorCode::NotFound, "nothing is here").own())
        .method_not_allowed_fallback(async || {
            Refusal::new(ErrorCode::BadRequest, "another method is used here")
                .with_status(405)
                .own()
        })
        .with_state(shared)
        .layer(DefaultBodyLimit::max(settings.body_bytes))
        // What it cannot decompress goes on as it is, and is refused in our own format.
        .layer(RequestDecompressionLayer::new().pass_through_unaccepted(true))
        .layer(CompressionLayer::new())
        .layer(cors(settings.cors))
        .layer(from_fn(trace))
}

fn absolute(path: &str) -> String {
    format!("/{}", path.trim_start_matches('/'))
}

fn cors(cors: Cors) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER, header::DATE])
        .max_age(std::time::Duration::from_secs(60 * 60));
    match cors {
        Cors::Off => CorsLayer::new(),
        Cors::Origins(origins) => layer.allow_origin(AllowOrigin::list(origins)),
        Cors::Any => layer.allow_origin(AllowOrigin::any()),
    }
}

/// One line a request: neither its query, nor a header, nor a body goes into it.
async fn trace(request: Request, next: Next) -> Response {
    let span = tracing::info_span!(
        "request",
        method = %request.method(),
        path = request.uri().path(),
    );
    async {
        let begun = Instant::now();
        let response = next.run(request).await;
        let status = response.status().as_u16();
        let millis = begun.elapsed().as_millis();
        tracing::info!(status, millis, "answered");
        response
    }
    .instrument(span)
    .await
}

/// The text of a body.
fn text(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Arc<str>, Refusal> {
    if headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        let message = "the body's encoding is unknown: gzip and none are known";
        return Err(Refusal::new(ErrorCode::BadRequest, message));
    }
    let body = body.map_err(|rejection| match rejection.status().as_u16() {
        413 => Refusal::new(ErrorCode::TooLarge, "the body is too large"),
        _ => Refusal::new(ErrorCode::BadRequest, "the body could not be read"),
    })?;
    let body = std::str::from_utf8(&body)
        .map_err(|error| Refusal::new(ErrorCode::BadRequest, format!("the body: {error}")))?;
    Ok(Arc::from(body))
}

/// A body of JSON, which nobody on the way may keep.
fn json(body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, body).into_response()
}
