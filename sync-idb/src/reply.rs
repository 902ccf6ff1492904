//! The answer to a request, as a future.
//!
//! The request itself knows whether it is done and with what. So its events do no more than wake the task, and there
//! is nothing to lose when one comes early, late or twice.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use web_sys::{IdbRequest, IdbRequestReadyState};

use crate::error::{Attempt, Failure};

/// The waker of whoever waits for an event.
pub(crate) type WakerSlot = Rc<RefCell<Option<Waker>>>;

pub(crate) fn wake(slot: &WakerSlot) {
    let waker = slot.borrow_mut().take();
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// A request that was made, and its answer. Dropping it does not take the request back.
pub(crate) struct Reply {
    request: IdbRequest,
    waker: WakerSlot,
    _on_event: Closure<dyn FnMut()>,
}

impl Reply {
    pub(crate) fn of(request: impl Into<IdbRequest>) -> Self {
        let request = request.into();
        let waker = WakerSlot::default();
        let on_event = Closure::<dyn FnMut()>::new({
            let waker = Rc::clone(&waker);
            move || wake(&waker)
        });
        let listener = on_event.as_ref().unchecked_ref();
        request.set_onsuccess(Some(listener));
        request.set_onerror(Some(listener));
        Self {
            request,
            waker,
            _on_event: on_event,
        }
    }
}

impl Future for Reply {
    type Output = Attempt<JsValue>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.request.ready_state() != IdbRequestReadyState::Done {
            *self.waker.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(match self.request.error() {
            Ok(None) => self.request.result().map_err(Failure::from),
            Ok(Some(error)) => Err(error.into()),
            Err(_) => Err(Failure::browser(
                "InvalidStateError",
                "a request is done and not done",
            )),
        })
    }
}

impl Drop for Reply {
    /// The closure goes with this, so that nothing may call it any more.
    fn drop(&mut self) {
        self.request.set_onsuccess(None);
        self.request.set_onerror(None);
    }
}
