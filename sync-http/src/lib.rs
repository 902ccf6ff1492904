//! Wire types and dialects of the sync protocol, and the HTTP transport of sync-core.

mod malformed;
pub mod wire;

pub use malformed::Malformed;
