//! The storage roles: what a database must do for the engine.
//!
//! `Outbox`, `CursorStore`, `ChangeApplier`, `Records`, `Conflicts` and `Coordination` are six roles of one
//! database, so that what belongs together commits together; a [`Store`] is all of them.
//!
//! # Contract of every method
//!
//! - **One transaction.** A method happens whole or leaves no trace. When it returns `Err`, nothing changed.
//! - **Durable on return**, to the degree that the store documents (`fsync` or not). What [`Outbox::take`] has marked as
//!   sent is durable in any case: an entry that went out and lost its mark could be merged into.
//! - **In order.** Calls that write take effect in the order in which they were first polled, an enqueue of no edits
//!   included: the engine uses one to wait for a call that was abandoned.
//! - **Dropping a future.** Once polled, a method completes or is rolled back; a dropped future leaves one of
//!   the two outcomes, never half.
//! - **The rules are not the store's.** A method loads the rows that a function of [`crate::overlay`] names,
//!   calls it, and stores what it returns. Every such function is pure; nothing else in a transaction waits.

mod memory;
mod roles;
mod rows;

pub use memory::MemoryStore;
pub use roles::{
    Applied, ApplyOutcome, ApplyRequest, ChangeApplier, Conflicts, Coordination, Counts,
    CursorStore, DEFAULT_VERDICT_RETENTION, Edit, EnqueueRequest, Enqueued, EntryFilter, EntryKind,
    ListRequest, Outbox, Pick, Purged, Records, SettleReport, SettleRequest, Settlement, Stamp,
    Store, SweepOutcome, TakeRequest, Taken, TakenEntry, Touched,
};
pub use rows::{
    Acknowledged, BaseRow, Conflict, Doubt, Entry, EntryState, FORMAT, FailReason, Failed, Fence,
    Marks, Meta, Pending, RecordRow, Resolution, Resync, Revoked, ScopeRow, Seq, Tick,
};
