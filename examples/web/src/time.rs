//! Times as people read them.

use js_sys::Date;
use sync_core::time::Timestamp;
use wasm_bindgen::JsValue;

/// Now, in local time, as a `datetime-local` field writes it.
pub(crate) fn now_for_form() -> String {
    let now = Date::new_0();
    let offset = now.get_timezone_offset() * 60_000.0;
    let local = Date::new(&JsValue::from_f64(now.get_time() - offset));
    String::from(local.to_iso_string())
        .chars()
        .take("2026-11-23T07:30".len())
        .collect()
}

/// A time of the day, to the second.
pub(crate) fn clock(at: Timestamp) -> String {
    let date = Date::new(&JsValue::from_f64(at.as_millis() as f64));
    [date.get_hours(), date.get_minutes(), date.get_seconds()]
        .map(|part| format!("{part:02}"))
        .join(":")
}

/// What a form wrote, with a space where the standard has a letter.
pub(crate) fn shown(started_at: &str) -> String {
    started_at.replacen('T', " ", 1)
}
