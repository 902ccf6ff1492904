//! Randomness that a seed and a name decide.

use sync_core::time::Entropy;

use crate::SeededEntropy;

/// A stream of random numbers of its own for each seed and name, so that drawing from one moves no other.
#[derive(Debug)]
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    pub(crate) fn new(seed: u64, name: u64) -> Self {
        // Neighbouring seeds and names must not begin in each other's streams.
        let mixed =
            SeededEntropy::new(seed).bits() as u64 ^ name.wrapping_mul(0xd6e8_feb8_6659_fd93);
        Self(SeededEntropy::new(mixed))
    }

    /// A number from 0 up to and without `n`; 0 if `n` is 0.
    pub(crate) fn below(&self, n: usize) -> usize {
        usize::try_from(self.0.bits() % n.max(1) as u128).unwrap_or(0)
    }

    pub(crate) fn chance(&self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(crate) fn one_of<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}
