//! The rules of folding, rebasing and settling, written once, as pure functions.
//!
//! A store loads the rows that a call concerns into [`Loaded`], hands them to the function of the call, and
//! stores the [`Writes`] that come back, all in one transaction. A function changes the rows as the rule says;
//! what then differs from what was loaded is what is written, the views included. So no store ever repeats a
//! rule, and every store keeps the same ones.
//!
//! | call | function | what must be loaded |
//! | --- | --- | --- |
//! | `enqueue` | [`enqueue`] | the scopes, stacks and tails of the edited records |
//! | `take` | [`Take`] | pending entries in order, each with its stack and scope, as it asks for them |
//! | `settle` | [`settle`] | the stacks and scopes that [`settle_needs`] names |
//! | `retry`, `discard` | [`retry`], [`discard`] | the record's stack and scope |
//! | `apply` | [`apply`] | the scope, the stacks of those records of the page that have an overlay, and those that [`apply_needs`] names |
//! | `resync` | [`resync`] | the scope, and with a new epoch the stacks with acknowledged entries |
//! | `sweep` | [`sweep_end`] | the scope |
//! | `purge` | [`purge`] | the scope and its entries |

mod apply;
mod confirm;
mod enqueue;
mod failed;
mod fold;
mod rows;
mod settle;
mod sweep;
mod take;

pub use apply::{ApplyNeeds, Planned, apply, apply_needs};
pub use enqueue::enqueue;
pub use failed::{discard, retry};
pub use fold::fold;
pub(crate) use rows::wiped;
pub use rows::{EntryWrite, Loaded, Stack, Writes, check_account, check_fence};
pub use settle::{SettleNeeds, settle, settle_needs};
pub use sweep::{may_wipe, purge, resync, sweep_end};
pub use take::{Offer, Take};
