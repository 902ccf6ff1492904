//! What the store costs in a browser: `cargo xtask bench browser`.
#![cfg(target_arch = "wasm32")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

mod apply;
mod first_sync;
mod pages;
mod raw;
mod script;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);
