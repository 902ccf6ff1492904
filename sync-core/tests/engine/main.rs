//! The engine and its driver over the memory store, a scripted transport and a virtual clock.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod bounds;
mod fixture;
mod leading;
mod lists;
mod pulling;
mod pushing;
mod revoking;
mod upgrading;
