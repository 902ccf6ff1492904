//! The seam to an HTTP client.

use std::{error::Error, fmt, time::Duration};

use async_trait::async_trait;

/// Performs one HTTP request. The crate brings one for native programs and one for browsers.
///
/// Dropping a future abandons what it does.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Fetch: Send + Sync + fmt::Debug {
    /// Sends the request and reads the whole answer, whatever its status.
    ///
    /// A redirect may be followed within the request's origin; any other is returned as the answer that it is.
    ///
    /// # Errors
    /// [`FetchError::TooLarge`] as soon as the body, decompressed, is longer than `request.max_body`;
    /// [`FetchError::Network`] for all else.
    async fn fetch(&self, request: Request) -> Result<Response, FetchError>;

    /// Waits for this long.
    async fn sleep(&self, duration: Duration);
}

/// A request. `Debug` shows neither header values nor the body.
#[derive(Clone)]
pub struct Request {
    /// The address.
    pub url: String,
    /// Names, in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body of a POST; without one the request is a GET.
    pub body: Option<String>,
    /// The most bytes that the answer's body may have, decompressed.
    pub max_body: usize,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Request")
            .field("url", &self.url)
            .field("headers", &names)
            .field("body_len", &self.body.as_ref().map(String::len))
            .field("max_body", &self.max_body)
            .finish()
    }
}

/// An answer. `Debug` does not show the body.
#[derive(Clone)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// Names, in lower case, and values; at least content-type, retry-after, date and location.
    pub headers: Vec<(String, String)>,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body_len", &self.body.len())
            .finish()
    }
}

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No connection, or it broke.
    #[error("{0}")]
    Network(Box<dyn Error + Send + Sync>),
    /// The answer's body is longer than allowed.
    #[error("the answer is longer than allowed")]
    TooLarge,
}
