//! What a benchmark was asked for.

use std::env;

/// What a benchmark was asked for, by its arguments and its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The figures: minutes.
    Full,
    /// Everything once and small, to see that it works: seconds. The figures mean nothing.
    Quick,
    /// Criterion's groups instead of the figures: wall time, with the spread that it has.
    Timing,
}

impl Mode {
    /// `quick` and `timing` are arguments, as in `cargo bench --bench NAME -- quick`. Where cargo runs a benchmark as
    /// a test, it is quick too.
    #[must_use]
    pub fn asked() -> Self {
        let asked = |word: &str| env::args().skip(1).any(|argument| argument == word);
        if asked("quick") || env::var_os("BENCH_QUICK").is_some() || !asked("--bench") {
            Self::Quick
        } else if asked("timing") {
            Self::Timing
        } else {
            Self::Full
        }
    }

    /// The first of two numbers for a full run, the second for a quick one.
    #[must_use]
    pub fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full | Self::Timing => full,
        }
    }
}
