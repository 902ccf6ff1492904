//! A server in process: it makes up each page when it is asked for, as the text that goes over the wire, so that it
//! holds nothing of what it serves.

use std::sync::Arc;

use async_trait::async_trait;
use benches::records::{Random, page};
use sync_core::{
    model::{Page, Scope},
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};
use sync_http::{dialect::Dialect, wire::PageBody};

/// A scope with few records, and one with many.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) small: (Scope, u64),
    pub(crate) large: (Scope, u64),
}

impl Server {
    fn body(&self, request: &PullRequest) -> String {
        let (_, records) = if request.scope == self.small.0 {
            &self.small
        } else {
            &self.large
        };
        let position = request.cursor.as_ref().and_then(|cursor| {
            let (_, position) = cursor.as_str().split_once('.')?;
            position.parse().ok()
        });
        let from: u64 = position.unwrap_or(0);
        let count = u64::from(request.limit).min(records - from);
        let mut random = Random(from);
        let ids: Vec<_> = (0..count).map(|_| random.uuid()).collect();
        let page = page(&mut random, &ids, from, from + count < *records);
        PageBody::encode(&page).unwrap()
    }
}

#[async_trait]
impl Transport for Server {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        let body: Arc<str> = self.body(&request).into();
        let page = Dialect::Own.decode_page(&body);
        page.map_err(|error| TransportError::new(TransportErrorKind::Malformed, error.to_string()))
    }

    async fn push(&self, _: PushRequest) -> Result<PushAnswer, TransportError> {
        Ok(PushAnswer::default())
    }

    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}
