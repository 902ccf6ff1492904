//! The simulator as a program: `cargo run --release --example simulate -- --seeds 10000` from the root.
