//! Values on their way between Rust and JavaScript, as JSON text wherever there is more than one of them.

use js_sys::{Array, JSON, Reflect};
use serde::{Serialize, de::DeserializeOwned};
use sync_core::json;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::{Attempt, Failure};

/// The value that a JSON text stands for.
pub(crate) fn parsed(text: &str) -> Attempt<JsValue> {
    // The words of the exception would quote a payload.
    JSON::parse(text).map_err(|_| Failure::unreadable("the browser takes it for no JSON"))
}

/// The JSON text of a value.
pub(crate) fn text(value: &JsValue) -> Attempt<String> {
    let text = JSON::stringify(value)?;
    // A JSON text has no lone surrogates, so nothing is lost.
    text.as_string()
        .ok_or_else(|| Failure::unreadable("a value that has no JSON"))
}

/// The JSON text of a row.
pub(crate) fn encoded(what: &str, row: &(impl Serialize + ?Sized)) -> Attempt<String> {
    serde_json::to_string(row).map_err(|error| Failure::undecodable(what, &error))
}

/// The row of a stored JSON text; none where there is nothing.
pub(crate) fn decoded<T: DeserializeOwned>(what: &str, value: &JsValue) -> Attempt<Option<T>> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let text = value
        .as_string()
        .ok_or_else(|| Failure::unreadable(format!("{what}: no text")))?;
    match json::from_str(&text) {
        Ok(row) => Ok(Some(row)),
        Err(error) => Err(Failure::undecodable(what, &error)),
    }
}

/// A property of a stored value; undefined where there is none.
pub(crate) fn property(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}

/// The items of an array that the browser has returned.
pub(crate) fn items(array: JsValue) -> impl Iterator<Item = JsValue> {
    let array: Array = array.unchecked_into();
    (0..array.length()).map(move |n| array.get(n))
}

/// A count that the browser has returned.
pub(crate) fn counted(value: &JsValue) -> u64 {
    value.as_f64().unwrap_or_default() as u64
}
