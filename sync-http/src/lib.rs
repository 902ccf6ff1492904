//! Wire types and dialects of the sync protocol, and the HTTP transport of sync-core.

pub mod dialect;
mod malformed;
pub mod wire;

pub use malformed::Malformed;
