//! The suite of backends as a program: `cargo run -p check-backend --example check_backend -- --help` from the root.
