//! Examples of the workspace, one file each: `cargo run --example NAME` from the root.

/// The README, so that its example is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
