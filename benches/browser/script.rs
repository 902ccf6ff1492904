//! Pieces of JavaScript.

use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};

/// The value of a script with these names in it.
pub(crate) fn run(names: &[&str], values: &[&JsValue], script: &str) -> JsValue {
    let function = Function::new_with_args(&names.join(","), script);
    let values: js_sys::Array = values.iter().copied().cloned().collect();
    function.apply(&JsValue::NULL, &values).unwrap()
}

/// Waits for the promise that a script returns.
pub(crate) async fn wait(names: &[&str], values: &[&JsValue], script: &str) -> JsValue {
    let promise: Promise = run(names, values, script).unchecked_into();
    wasm_bindgen_futures::JsFuture::from(promise).await.unwrap()
}

/// Milliseconds since the page began.
pub(crate) fn now() -> f64 {
    run(&[], &[], "return performance.now()").as_f64().unwrap()
}

/// A database's name that no other has.
pub(crate) fn fresh(name: &str) -> String {
    format!("{name}-{:x}", js_sys::Math::random().to_bits())
}
