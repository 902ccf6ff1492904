//! Leadership by Web Locks: the browser lets one tab at a time hold a lock, and frees it when the tab goes, however.

use std::{cell::RefCell, fmt, rc::Rc, sync::Arc};

use async_trait::async_trait;
use futures::{
    channel::oneshot,
    future::{Either, select},
};
use js_sys::{Function, Object, Promise, Reflect};
use send_wrapper::SendWrapper;
use sync_core::{
    coordination::{Leadership, Lease},
    error::{StoreError, StoreErrorKind},
    time::Clock,
};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortController, EventTarget};

use crate::{
    error::{Attempt, Failure},
    signals::document,
};

/// `navigator.locks`; none where the browser has none, or the page is not served securely.
pub(crate) fn manager() -> Option<SendWrapper<Object>> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into()).ok()?;
    let locks = Reflect::get(&navigator, &"locks".into()).ok()?;
    locks.dyn_into().ok().map(SendWrapper::new)
}

/// Competes for the lock of a database.
pub(crate) struct LockLeadership {
    manager: SendWrapper<Object>,
    lock: String,
}

impl LockLeadership {
    pub(crate) fn new(manager: SendWrapper<Object>, database: &str) -> Self {
        Self {
            manager,
            lock: format!("sync-idb:{database}"),
        }
    }
}

impl fmt::Debug for LockLeadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LockLeadership")
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

#[async_trait(?Send)]
impl Leadership for LockLeadership {
    async fn acquire(&self, _: Arc<dyn Clock>) -> Result<Box<dyn Lease>, StoreError> {
        let asked = Request::new(&self.manager, &self.lock);
        let lease = match asked {
            Ok(request) => request.granted().await,
            Err(failure) => Err(failure),
        };
        lease
            .map(|lease| Box::new(lease) as Box<dyn Lease>)
            .map_err(|failure| failure.during("taking the lead"))
    }
}

/// What holds the lock: a promise of ours, which the browser waits for. Nothing is held before the lock is granted.
#[derive(Default)]
struct Held {
    let_go: RefCell<Option<Function>>,
}

impl Held {
    fn let_go(&self) {
        if let Some(resolve) = self.let_go.borrow_mut().take() {
            // A function of the browser's own, which does not fail.
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    }
}

/// Lets the lock go when the page is frozen: another tab then leads at once. Some browsers freeze no page whose lock is
/// wanted elsewhere; those of phones do. When this page goes on, it finds the lock lost and asks for it again.
struct OnFreeze {
    document: EventTarget,
    listener: Closure<dyn FnMut()>,
}

impl OnFreeze {
    fn new(document: EventTarget, held: &Rc<Held>) -> Self {
        let held = Rc::clone(held);
        let listener = Closure::<dyn FnMut()>::new(move || held.let_go());
        let function = listener.as_ref().unchecked_ref();
        let _ = document.add_event_listener_with_callback("freeze", function);
        Self { document, listener }
    }
}

impl Drop for OnFreeze {
    fn drop(&mut self) {
        let function = self.listener.as_ref().unchecked_ref();
        let _ = self
            .document
            .remove_event_listener_with_callback("freeze", function);
    }
}

/// A lock that is asked for. Dropping it takes the request back.
struct Request {
    abort: AbortController,
    granted: oneshot::Receiver<()>,
    /// Says how it ends: an error when it is not granted, or when somebody steals it.
    ended: oneshot::Receiver<Attempt<()>>,
    held: Rc<Held>,
    is_over: bool,
    _on_freeze: Option<OnFreeze>,
    _on_grant: Closure<dyn FnMut(JsValue) -> Promise>,
}

impl Request {
    fn new(manager: &Object, lock: &str) -> Attempt<Self> {
        let abort = AbortController::new()?;
        let options = Object::new();
        Reflect::set(&options, &"signal".into(), &abort.signal())?;
        let held = Rc::new(Held::default());
        let (grant, granted) = oneshot::channel();
        let on_grant = Closure::<dyn FnMut(JsValue) -> Promise>::new({
            let (held, mut grant) = (Rc::clone(&held), Some(grant));
            move |_| {
                let promise = Promise::new(&mut |resolve, _| {
                    *held.let_go.borrow_mut() = Some(resolve);
                });
                if let Some(grant) = grant.take() {
                    // Whoever waits for it lives as long as this closure.
                    let _ = grant.send(());
                }
                promise
            }
        });
        let request: Function = Reflect::get(manager, &"request".into())?.dyn_into()?;
        let ending: Promise = request
            .call3(manager, &lock.into(), &options, on_grant.as_ref())?
            .dyn_into()?;
        let (end, ended) = oneshot::channel();
        wasm_bindgen_futures::spawn_local(async move {
            let outcome = JsFuture::from(ending).await;
            // Nobody waits for the end of a lead that was given up.
            let _ = end.send(outcome.map(drop).map_err(Failure::from));
        });
        Ok(Self {
            abort,
            granted,
            ended,
            _on_freeze: document().map(|document| OnFreeze::new(document, &held)),
            held,
            is_over: false,
            _on_grant: on_grant,
        })
    }

    async fn granted(mut self) -> Attempt<LockLease> {
        match select(&mut self.granted, &mut self.ended).await {
            Either::Left((Ok(()), _)) => Ok(LockLease(SendWrapper::new(self))),
            Either::Right((Ok(Err(failure)), _)) => Err(failure),
            _ => Err(Failure::refused(
                StoreErrorKind::Unavailable,
                "the browser has given up the request for the lock",
            )),
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if !self.is_over {
            // One that is granted is not aborted by it, only let go.
            self.abort.abort();
            self.held.let_go();
        }
    }
}

/// The lock while it is held; dropping it lets it go.
struct LockLease(SendWrapper<Request>);

impl fmt::Debug for LockLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockLease")
    }
}

#[async_trait(?Send)]
impl Lease for LockLease {
    async fn lost(&mut self) {
        // It ends only when somebody steals it, when it is let go, or when the page freezes.
        let _ = (&mut self.0.ended).await;
        self.0.is_over = true;
    }

    async fn release(mut self: Box<Self>) {
        if !self.0.is_over {
            self.0.held.let_go();
            let _ = (&mut self.0.ended).await;
            self.0.is_over = true;
        }
    }
}
