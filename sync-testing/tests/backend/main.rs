//! The suite of backends: our server keeps every point, a naive one is found out, and so is each single fault.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod faults;
mod json;
mod naive;
mod ours;
mod reporting;
mod served;
mod taught;
