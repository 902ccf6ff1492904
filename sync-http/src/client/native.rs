//! HTTP on native targets: reqwest, with rustls on ring.

use std::{
    error::Error,
    io::Write,
    sync::Arc,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use flate2::{Compression, write::GzEncoder};
use reqwest::{
    Client, Url,
    header::{CONTENT_ENCODING, HeaderName, HeaderValue},
    redirect::{Attempt, Policy},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use rustls_platform_verifier::BuilderVerifierExt;

use super::{
    address::Address,
    fetch::{Fetch, FetchError, Request, Response},
};

/// A redirect within the origin is followed this often.
const MAX_REDIRECTS: usize = 5;

/// Below this many bytes, gzip saves nothing.
const MIN_COMPRESSED: usize = 1024;

/// A date of a header, in milliseconds since 1970.
pub(super) fn date_millis(date: &str) -> Option<u64> {
    let date = httpdate::parse_http_date(date).ok()?;
    let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    since.as_millis().try_into().ok()
}

#[derive(Debug)]
pub(super) struct PlatformFetch {
    client: Client,
    compress: bool,
}

impl PlatformFetch {
    pub(super) fn new(
        address: &Address,
        compress: bool,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls(address)?)
            .redirect(Policy::custom(within_origin))
            .user_agent(concat!("sync-http/", env!("CARGO_PKG_VERSION")))
            .gzip(true);
        if address.is_loopback() {
            client = client.no_proxy();
        }
        Ok(Self {
            client: client.build()?,
            compress,
        })
    }
}

/// The provider is named, so that no process-wide default has to be installed and none can interfere.
fn tls(address: &Address) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let trust = if address.is_secure() {
        versions.with_platform_verifier()?
    } else {
        // Requests never leave the origin, and a machine without certificates can still do plain http.
        versions.with_root_certificates(RootCertStore::empty())
    };
    let mut config = trust.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn within_origin(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let stays = attempt
        .previous()
        .last()
        .is_some_and(|last: &Url| last.origin() == attempt.url().origin());
    if stays && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn network(error: impl Into<Box<dyn Error + Send + Sync>>) -> FetchError {
    FetchError::Network(error.into())
}

#[async_trait]
impl Fetch for PlatformFetch {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        let max_body = request.max_body;
        let mut builder = match request.body {
            None => self.client.get(request.url),
            Some(body) if self.compress && body.len() >= MIN_COMPRESSED => self
                .client
                .post(request.url)
                .header(CONTENT_ENCODING, "gzip")
                .body(gzip(&body).map_err(network)?),
            Some(body) => self.client.post(request.url).body(body),
        };
        for (name, value) in request.headers {
            let name = HeaderName::try_from(name).map_err(network)?;
            let mut value = HeaderValue::try_from(value).map_err(network)?;
            // Any of them may be the token's.
            value.set_sensitive(true);
            builder = builder.header(name, value);
        }
        let without_url = |error: reqwest::Error| network(error.without_url());
        let mut answer = builder.send().await.map_err(without_url)?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(without_url)? {
            if chunk.len() > max_body.saturating_sub(body.len()) {
                return Err(FetchError::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response {
            status: answer.status().as_u16(),
            headers: answer
                .headers()
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
                })
                .collect(),
            body,
        })
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn gzip(body: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body.as_bytes())?;
    encoder.finish()
}
