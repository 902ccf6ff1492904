//! Benchmarks, one file each: `cargo bench --bench NAME` from the root.
//!
//! Each prints lines of its results on standard output ([`lines`]), and runs in seconds instead of minutes when it is
//! only to be seen to work: `cargo bench --bench NAME -- quick`, or `BENCH_QUICK=1` in the environment.
//! `docs/performance.md` has the figures.

#![allow(
    clippy::expect_used,
    reason = "a benchmark that cannot measure has failed"
)]

pub mod lines;
pub mod measure;
pub mod memory;
mod mode;
pub mod records;

pub use mode::Mode;
