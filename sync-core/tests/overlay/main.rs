//! The rules of the outbox and the overlay, through the memory store's roles.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

mod based_on;
mod device;
mod dialects;
mod failed;
mod flicker;
mod invariants;
mod merging;
mod page_of;
mod pages;
mod properties;
mod reference;
mod resync;
mod settling;
mod taking;
mod world;
