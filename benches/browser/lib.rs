//! The benchmarks of `main.rs`, which `cargo xtask bench browser` runs.
