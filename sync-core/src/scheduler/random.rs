//! Randomness from a seed, so that the same history makes the same decisions.

use std::time::Duration;

/// SplitMix64: small, fast, and good enough for jitter.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A whole number of milliseconds, between `low` and `high`, both included.
    pub(super) fn between(&mut self, low: Duration, high: Duration) -> Duration {
        let low_ms = u64::try_from(low.as_millis()).unwrap_or(u64::MAX);
        let high_ms = u64::try_from(high.as_millis()).unwrap_or(u64::MAX);
        let span = high_ms.saturating_sub(low_ms);
        // The high half of a product is as even as a remainder, and needs no division.
        let offset = (u128::from(self.next()) * (u128::from(span) + 1)) >> 64;
        Duration::from_millis(low_ms + u64::try_from(offset).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_stay_within_their_bounds_and_reach_both_ends() {
        let mut random = Random::new(7);
        let (low, high) = (Duration::from_millis(3), Duration::from_millis(6));
        let drawn: std::collections::BTreeSet<_> =
            (0..1_000).map(|_| random.between(low, high)).collect();
        assert_eq!(
            drawn.into_iter().collect::<Vec<_>>(),
            (3..=6).map(Duration::from_millis).collect::<Vec<_>>()
        );
    }

    #[test]
    fn bounds_in_the_wrong_order_give_the_lower_one() {
        let mut random = Random::new(7);
        let (low, high) = (Duration::from_millis(6), Duration::from_millis(3));
        assert_eq!(random.between(low, high), low);
    }
}
