//! Engines in a dedicated worker, against a real server.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` for a test")]
#![allow(dead_code, reason = "what the tests share is more than these need")]

mod common;
mod http;

use wasm_bindgen_test::wasm_bindgen_test_configure;

wasm_bindgen_test_configure!(run_in_dedicated_worker);
