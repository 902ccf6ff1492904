//! The store in a window.
#![cfg(target_arch = "wasm32")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "clippy takes only `#[test]` for a test"
)]

mod cases;
mod common;

use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_browser);

mod suite {
    use super::*;
    use crate::common::Tabs;

    sync_testing::store_suite!(
        #[wasm_bindgen_test]
        Tabs::new()
    );
}

/// With types that have an object store of their own, no Web Locks, and what is written on the disk.
mod suite_with_other_settings {
    use sync_idb::{Builder, Declared, Durability};

    use super::*;
    use crate::common::Tabs;

    fn settings(builder: Builder) -> Builder {
        builder
            .declare(Declared::new("log", "logs").index("by_state", ["scope", "payload.state"]))
            .declare(Declared::new("sleep", "sleeps").index("by_n", "payload.n"))
            .durability(Durability::Strict)
            .web_locks(false)
    }

    sync_testing::store_suite!(
        #[wasm_bindgen_test]
        Tabs::with(settings)
    );
}
