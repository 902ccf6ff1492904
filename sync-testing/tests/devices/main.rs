//! Devices and the real server's logic: what an app sees of the whole.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]
#![cfg(feature = "server")]

mod changes;
mod convergence;
mod faults;
mod histories;
mod outbox;
mod policies;

use serde::{Deserialize, Serialize};
use sync_core::engine::Entity;
use sync_testing::TestDevice;

pub(crate) const BABY: &str = "baby-1";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feed {
    id: String,
    ml: u32,
}

impl Entity for Feed {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

pub(crate) fn feed(id: &str, ml: u32) -> Feed {
    Feed {
        id: id.to_owned(),
        ml,
    }
}

pub(crate) async fn feeds(device: &TestDevice) -> Vec<Feed> {
    device.scope(BABY).list().await.unwrap()
}
