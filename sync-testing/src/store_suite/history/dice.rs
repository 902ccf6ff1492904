//! What decides a step.

use sync_core::time::Entropy;

use crate::SeededEntropy;

/// The randomness of one step.
pub(super) struct Dice(SeededEntropy);

impl Dice {
    pub(super) fn new(seed: u64, n: u64) -> Self {
        // Steps of neighbouring seeds and numbers have nothing in common: both go through the generator.
        let bits = SeededEntropy::new(seed).bits() ^ SeededEntropy::new(!n).bits();
        Self(SeededEntropy::new(bits as u64))
    }

    pub(super) fn bits(&self) -> u128 {
        self.0.bits()
    }

    /// A number below `end`, which is not 0.
    pub(super) fn below(&self, end: u64) -> u64 {
        (self.bits() % u128::from(end.max(1))) as u64
    }

    pub(super) fn one_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of these; none of none.
    pub(super) fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len() as u64) as usize)
    }

    pub(super) fn name(&self, from: &[&'static str]) -> &'static str {
        self.pick(from).copied().unwrap_or_default()
    }
}
