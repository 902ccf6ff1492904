//! HTTP in a browser: `fetch`, of a window or a worker.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Date, Function, JsString, Promise, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ReadableStreamDefaultReader, RequestCache, RequestInit,
    RequestRedirect, ResponseType,
};

use super::{
    address::Address,
    fetch::{Fetch, FetchError, Request, Response},
};

/// The headers of an answer that anybody looks at; another origin must expose them.
const HEADERS: [&str; 3] = ["content-type", "retry-after", "date"];

/// The longest body of a request that may outlive its page. Browsers allow 64 KiB for all such requests of a page
/// together, and refuse what is beyond; an app may have some of its own.
const KEPT_ALIVE: usize = 48 << 10;

/// A date of a header, in milliseconds since 1970.
pub(super) fn date_millis(date: &str) -> Option<u64> {
    let millis = Date::parse(date);
    (millis >= 0.0).then_some(millis as u64)
}

#[derive(Debug)]
pub(super) struct PlatformFetch;

impl PlatformFetch {
    pub(super) fn new(_: &Address, _: bool) -> Result<Self, Box<dyn Error + Send + Sync>> {
        Ok(Self)
    }
}

#[async_trait(?Send)]
impl Fetch for PlatformFetch {
    async fn fetch(&self, request: Request) -> Result<Response, FetchError> {
        perform(request).await
    }

    async fn sleep(&self, duration: Duration) {
        // A browser takes anything longer for no time at all.
        let millis = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        TimeoutFuture::new(millis.unsigned_abs()).await;
    }
}

async fn perform(request: Request) -> Result<Response, FetchError> {
    let abort = AbortOnDrop(AbortController::new().map_err(network)?);
    let answer = send(&request, &abort).await.map_err(network)?;
    // A redirect that is not followed hides everything but that it is one.
    let status = match answer.type_() {
        ResponseType::Opaqueredirect => 302,
        _ => answer.status(),
    };
    let body = read(&answer, request.max_body).await?;
    let headers = HEADERS
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), answer.headers().get(name).ok()??)))
        .collect();
    Ok(Response {
        status,
        headers,
        body,
    })
}

/// Ends the request when its future is dropped.
struct AbortOnDrop(AbortController);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn send(request: &Request, abort: &AbortOnDrop) -> Result<web_sys::Response, JsValue> {
    let headers = Headers::new()?;
    for (name, value) in &request.headers {
        headers.set(name, value)?;
    }
    let init = RequestInit::new();
    init.set_headers(&headers);
    init.set_redirect(RequestRedirect::Manual);
    init.set_cache(RequestCache::NoStore);
    init.set_signal(Some(&abort.0.signal()));
    if let Some(body) = &request.body {
        init.set_method("POST");
        init.set_body(&JsValue::from_str(body));
        // So that what was edited last arrives when the tab is closed in the next moment.
        if body.len() <= KEPT_ALIVE {
            Reflect::set(&init, &"keepalive".into(), &JsValue::TRUE)?;
        }
    }
    // Neither `window` nor a worker's scope is everywhere; the global object is.
    let global = js_sys::global();
    let fetch: Function = Reflect::get(&global, &JsValue::from_str("fetch"))?.dyn_into()?;
    let promise: Promise = fetch
        .call2(&global, &JsValue::from_str(&request.url), &init)?
        .dyn_into()?;
    JsFuture::from(promise).await?.dyn_into()
}

async fn read(answer: &web_sys::Response, max_body: usize) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    let Some(stream) = answer.body() else {
        return Ok(body);
    };
    let reader: ReadableStreamDefaultReader = stream.get_reader().unchecked_into();
    loop {
        let read = JsFuture::from(reader.read()).await.map_err(network)?;
        let field = |name| Reflect::get(&read, &JsValue::from_str(name)).map_err(network);
        if field("done")?.is_truthy() {
            return Ok(body);
        }
        let chunk: Uint8Array = field("value")?.dyn_into().map_err(network)?;
        let length = chunk.length() as usize;
        if length > max_body.saturating_sub(body.len()) {
            return Err(FetchError::TooLarge);
        }
        let start = body.len();
        body.resize(start + length, 0);
        chunk.copy_to(&mut body[start..]);
    }
}

/// A `JsValue` may not leave its thread; its words may.
fn network(error: JsValue) -> FetchError {
    let message = error
        .dyn_ref::<js_sys::Error>()
        .map(|error| error.to_string())
        .or_else(|| error.dyn_ref::<JsString>().cloned())
        .map_or_else(|| "fetch failed".to_owned(), String::from);
    FetchError::Network(message.into())
}
