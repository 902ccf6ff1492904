//! Benchmarks, one file each: `cargo bench --bench NAME` from the root.
