//! The words of the engine as types: scopes, records, mutations, changes, pages, cursors and versions.

mod change;
mod key;
mod mutation;
mod payload;
mod version;

pub use change::{Change, ChangeOp, Overwritten, Page};
pub use key::{Account, EntityId, EntityType, RecordKey, Scope};
pub use mutation::{Mutation, MutationId, Op};
pub(crate) use payload::present;
pub use payload::{InvalidPayload, Payload};
pub use version::{Cursor, Epoch, Generation, Schema, Version};
