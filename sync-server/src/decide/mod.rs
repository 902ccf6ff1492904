//! The server's rules as pure functions, written once: a log loads rows, these decide, the log stores.

mod batch;
mod conflict;
mod fingerprint;
mod page;
mod rules;

pub(crate) use batch::RETRY;
pub use batch::{Batch, Decision, Situation};
pub use fingerprint::fingerprint;
pub use page::{PageBuilder, Reading};
pub use rules::{AnyMutation, Concurrent, ConflictPolicy, KnownTypes, Merge, Rules, Validate};

use std::time::Duration;

use sync_core::{
    model::{MutationId, Op, RecordKey, Schema, Version},
    transport::Outgoing,
};

/// A mutation as it arrived, with what is known before the log is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Its id.
    pub id: MutationId,
    /// The record that it names.
    pub key: RecordKey,
    /// What it does; or why it can never be accepted.
    pub op: Result<Op, String>,
    /// The format version of its payload.
    pub schema: Schema,
    /// The version of what the user saw.
    pub base: Option<Version>,
    /// The own mutation of the same record that the user saw.
    pub after: Option<MutationId>,
    /// How long ago the edit was made, by its sender.
    pub age: Duration,
    /// Whether it is to be applied whatever is there: for a sender whose protocol has no way to say what it saw.
    pub unconditional: bool,
    /// What its sender may do with the record.
    pub permission: Permission,
    /// What it says, in short.
    pub fingerprint: u64,
}

/// What an account may do with a record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// It may be told the record's state.
    pub read: bool,
    /// It may write it.
    pub write: bool,
}

impl From<Outgoing> for Incoming {
    /// A mutation of which nobody has looked up yet what its sender may do: nothing.
    fn from(outgoing: Outgoing) -> Self {
        let mutation = outgoing.mutation;
        Self {
            fingerprint: fingerprint(&mutation.key, Some(&mutation.op)),
            id: mutation.id,
            key: mutation.key,
            op: Ok(mutation.op),
            schema: mutation.schema,
            base: mutation.base_version,
            after: mutation.after,
            age: outgoing.age,
            unconditional: false,
            permission: Permission::default(),
        }
    }
}

impl Incoming {
    /// A mutation that makes no sense, and why.
    #[must_use]
    pub fn unusable(id: MutationId, key: RecordKey, reason: String) -> Self {
        Self {
            fingerprint: fingerprint(&key, None),
            id,
            key,
            op: Err(reason),
            schema: Schema::default(),
            base: None,
            after: None,
            age: Duration::ZERO,
            unconditional: false,
            permission: Permission::default(),
        }
    }
}
