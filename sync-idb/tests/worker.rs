//! The store in a dedicated worker.
#![cfg(target_arch = "wasm32")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy takes only `#[test]` for a test"
)]

mod cases;
mod common;

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

mod suite {
    use super::*;
    use crate::common::Tabs;

    sync_testing::store_suite!(
        #[wasm_bindgen_test]
        Tabs::new()
    );
}
