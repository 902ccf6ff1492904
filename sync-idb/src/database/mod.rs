//! The calls, each over one transaction: load rows, ask a function of the core, write what it returns.

mod apply;
mod conflicts;
mod entries;
mod meta;
mod outbox;
mod page;
mod records;
mod reset;
mod stacks;

pub(crate) use apply::apply;
pub(crate) use conflicts::{acknowledge_conflicts, acknowledge_revoked, conflicts, revoked};
pub(crate) use meta::{bind, lead, scope, scopes};
pub(crate) use outbox::{counts, discard, enqueue, entries, retry, settle, take};
pub(crate) use records::{count, get, list, query};
pub(crate) use reset::{purge, resync, sweep, wipe};
