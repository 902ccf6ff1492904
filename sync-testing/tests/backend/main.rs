//! The suite of backends: our server keeps every point, and a naive one is found out.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod naive;
mod ours;
mod served;
