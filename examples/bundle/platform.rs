//! Time and randomness of a browser.

use async_trait::async_trait;
use gloo_timers::future::TimeoutFuture;
use js_sys::{Function, Reflect, Uint8Array};
use sync_core::time::{Clock, Entropy, Time, Timestamp};
use wasm_bindgen::{JsCast, JsValue};

#[derive(Debug)]
pub(crate) struct BrowserClock;

#[async_trait(?Send)]
impl Clock for BrowserClock {
    fn now(&self) -> Time {
        let millis = call("performance", "now", &JsValue::UNDEFINED).as_f64();
        Time::from_millis(millis.unwrap_or_default() as u64)
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_millis(js_sys::Date::now() as i64)
    }

    async fn sleep_until(&self, deadline: Time) {
        let left = deadline.since(self.now()).as_millis();
        // A browser takes anything longer for no time at all.
        TimeoutFuture::new(left.min(i32::MAX as u128) as u32).await;
    }
}

#[derive(Debug)]
pub(crate) struct BrowserEntropy;

impl Entropy for BrowserEntropy {
    fn bits(&self) -> u128 {
        let bytes = Uint8Array::new_with_length(16);
        call("crypto", "getRandomValues", &bytes);
        let mut bits = [0; 16];
        bytes.copy_to(&mut bits);
        u128::from_ne_bytes(bits)
    }
}

/// Calls a method of one of the objects that windows and workers have.
fn call(object: &str, method: &str, argument: &JsValue) -> JsValue {
    let called = || {
        let object = Reflect::get(&js_sys::global(), &object.into())?;
        let method: Function = Reflect::get(&object, &method.into())?.dyn_into()?;
        method.call1(&object, argument)
    };
    called().unwrap_or_default()
}
