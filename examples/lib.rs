//! Examples of the workspace, one file each: `cargo run --example NAME` from the root.
