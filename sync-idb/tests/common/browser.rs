//! The browser's own objects, changed for the time of a test.

use js_sys::Function;
use wasm_bindgen::{JsCast, JsValue};

/// A change of the browser's objects, which is undone when this is dropped.
pub(crate) struct Changed {
    undo: Function,
}

impl Changed {
    /// Runs a script that changes something and returns the function that changes it back.
    pub(crate) fn by(script: &str) -> Self {
        let undo = Function::new_no_args(script).call0(&JsValue::NULL).unwrap();
        Self {
            undo: undo.unchecked_into(),
        }
    }
}

impl Drop for Changed {
    fn drop(&mut self) {
        self.undo.call0(&JsValue::NULL).unwrap();
    }
}

/// The value of a script.
pub(crate) fn run(script: &str) -> JsValue {
    Function::new_no_args(script).call0(&JsValue::NULL).unwrap()
}

/// Lets the time pass that other tabs, workers and the browser need.
pub(crate) async fn millis(n: u32) {
    let script = format!("return new Promise(done => setTimeout(done, {n}))");
    let promise: js_sys::Promise = run(&script).unchecked_into();
    wasm_bindgen_futures::JsFuture::from(promise).await.unwrap();
}
