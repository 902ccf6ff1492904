//! The store as an engine and an app meet it: real files, real threads, and random histories.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

mod concurrency;
mod damage;
mod differential;
mod engines;
mod files;
mod leading;
mod payloads;
mod peers;
mod projections;
mod sql;
mod support;
