//! How much the browser lets this origin store, and for how long.

use js_sys::{Function, Object, Promise, Reflect};
use sync_core::error::{StoreError, StoreErrorKind};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::error::{Attempt, Failure};

/// What the browser says about the origin's storage, all of it, not of one database. Browsers round both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// Bytes in use.
    pub usage: f64,
    /// Bytes that may be used.
    pub quota: f64,
}

/// Asks the browser to keep this origin's storage when the disk gets full, and not to clear it by itself. True, if it
/// does; some ask the user. Workers cannot ask in every browser.
///
/// # Errors
/// `Unavailable`, where the browser does not offer it.
pub async fn persist() -> Result<bool, StoreError> {
    Ok(call("persist").await?.is_truthy())
}

/// Whether the browser has agreed to [`persist`].
///
/// # Errors
/// `Unavailable`, where the browser does not offer it.
pub async fn persisted() -> Result<bool, StoreError> {
    Ok(call("persisted").await?.is_truthy())
}

/// How much of its quota this origin uses.
///
/// # Errors
/// `Unavailable`, where the browser does not offer it.
pub async fn estimate() -> Result<Estimate, StoreError> {
    let estimate = call("estimate").await?;
    let number = |name: &str| {
        let number = Reflect::get(&estimate, &JsValue::from_str(name)).ok();
        number
            .and_then(|number| number.as_f64())
            .unwrap_or_default()
    };
    Ok(Estimate {
        usage: number("usage"),
        quota: number("quota"),
    })
}

async fn call(name: &str) -> Result<JsValue, StoreError> {
    let answer = match asked(name) {
        Ok(answer) => JsFuture::from(answer).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    answer.map_err(|failure| failure.during("asking about the storage of this origin"))
}

fn asked(name: &str) -> Attempt<Promise> {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into())?;
    let storage: Object = Reflect::get(&navigator, &"storage".into())?
        .dyn_into()
        .map_err(|_| not_offered())?;
    let method: Function = Reflect::get(&storage, &JsValue::from_str(name))?
        .dyn_into()
        .map_err(|_| not_offered())?;
    method
        .call0(&storage)?
        .dyn_into()
        .map_err(|_| not_offered())
}

fn not_offered() -> Failure {
    Failure::refused(
        StoreErrorKind::Unavailable,
        "this browser, or a page that is not served securely, has no storage manager",
    )
}
