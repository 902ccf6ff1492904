//! Counting the requests that have arrived whole and are not yet answered.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use tokio::sync::watch;

/// The count; clones share it.
#[derive(Clone, Debug)]
pub(super) struct UnderWay(watch::Sender<usize>);

impl UnderWay {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Resolves when nothing is under way.
    pub(super) async fn none(&self) {
        // The sender is here: it cannot be gone.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Resolves when something is under way.
    pub(super) async fn some(&self) {
        let _ = self.0.subscribe().wait_for(|count| *count > 0).await;
    }

    /// Answers a request, which counts from the end of its body, or of its handling, to that of the answer's.
    pub(super) async fn answer(&self, request: Request, next: Next) -> Response {
        let mark = Mark {
            under_way: self.clone(),
            counted: Arc::default(),
        };
        let arriving = mark.clone();
        let request = request.map(|body| {
            if body.is_end_stream() {
                arriving.set();
            }
            Body::new(Marking {
                body,
                at_end: true,
                mark: arriving,
            })
        });
        let response = next.run(request).await;
        mark.set();
        response.map(|body| {
            Body::new(Marking {
                body,
                at_end: false,
                mark,
            })
        })
    }
}

/// One of the count, from when it is set until the last clone is dropped.
#[derive(Clone)]
struct Mark {
    under_way: UnderWay,
    counted: Arc<OnceLock<Counted>>,
}

impl Mark {
    fn set(&self) {
        self.counted
            .get_or_init(|| Counted::new(self.under_way.clone()));
    }
}

struct Counted(UnderWay);

impl Counted {
    fn new(under_way: UnderWay) -> Self {
        under_way.0.send_modify(|count| *count += 1);
        Self(under_way)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

/// A body that keeps a mark as long as it is there, and sets it at its end if told to.
struct Marking {
    body: Body,
    at_end: bool,
    mark: Mark,
}

impl HttpBody for Marking {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if self.at_end && (matches!(frame, Poll::Ready(None)) || self.body.is_end_stream()) {
            self.mark.set();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
