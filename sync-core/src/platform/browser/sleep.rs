//! A timer, of a window or a worker.

use std::{
    cell::{Cell, RefCell},
    fmt,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use js_sys::{Function, Reflect};
use wasm_bindgen::{JsCast, JsValue, prelude::Closure};

/// Ready when the time has passed. Dropping it clears the timer.
pub struct Sleep {
    id: JsValue,
    is_over: Rc<Cell<bool>>,
    waker: Rc<RefCell<Option<Waker>>>,
    _on_time: Closure<dyn FnMut()>,
}

impl Sleep {
    /// One that begins now. As with all timers of a browser, it may be late.
    #[must_use]
    pub fn new(duration: Duration) -> Self {
        let is_over = Rc::new(Cell::new(false));
        let waker = Rc::<RefCell<Option<Waker>>>::default();
        let on_time = Closure::<dyn FnMut()>::new({
            let (is_over, waker) = (Rc::clone(&is_over), Rc::clone(&waker));
            move || {
                is_over.set(true);
                let waker = waker.borrow_mut().take();
                waker.into_iter().for_each(Waker::wake);
            }
        });
        // A browser takes anything longer for no time at all.
        let millis = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let id = call("setTimeout", on_time.as_ref(), &millis.into());
        Self {
            // Without timers nobody is ever waited for.
            id: id.unwrap_or_else(|| {
                is_over.set(true);
                JsValue::UNDEFINED
            }),
            is_over,
            waker,
            _on_time: on_time,
        }
    }
}

/// Calls a function of the global object, whichever that is.
fn call(name: &str, first: &JsValue, second: &JsValue) -> Option<JsValue> {
    let global = js_sys::global();
    let function = Reflect::get(&global, &JsValue::from_str(name)).ok()?;
    let function: Function = function.dyn_into().ok()?;
    function.call2(&global, first, second).ok()
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.is_over.get() {
            return Poll::Ready(());
        }
        *self.waker.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("is_over", &self.is_over.get())
            .finish_non_exhaustive()
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if !self.is_over.get() {
            call("clearTimeout", &self.id, &JsValue::UNDEFINED);
        }
    }
}
