//! Time and randomness of native programs.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;

use crate::time::{Clock, Entropy, Time, Timestamp};

/// The clock of a native program, on tokio's timer. It must be awaited inside a tokio runtime with time enabled.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    start: Instant,
}

impl TokioClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam to the real clock"
    )]
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for TokioClock {
    fn now(&self) -> Time {
        let passed = self.start.elapsed().as_millis();
        Time::from_millis(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "this is the seam to the real clock"
    )]
    fn wall(&self) -> Timestamp {
        let now = SystemTime::now();
        let millis = |d: Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(match now.duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        })
    }

    async fn sleep_until(&self, deadline: Time) {
        // The timer may round down; the contract is never to be early.
        while self.now() < deadline {
            tokio::time::sleep(deadline.since(self.now())).await;
        }
    }
}

/// The randomness of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn bits(&self) -> u128 {
        let mut bytes = [0; 16];
        match getrandom::fill(&mut bytes) {
            Ok(()) => u128::from_le_bytes(bytes),
            // A system without a source of randomness: what the standard library seeds its maps with.
            Err(_) => {
                let part = || u128::from(RandomState::new().build_hasher().finish());
                part() << 64 | part()
            }
        }
    }
}
