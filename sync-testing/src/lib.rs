//! For apps, adapters and backends: a virtual clock, seeded randomness, a scripted transport.

mod clock;
mod entropy;
mod scripted;

pub use clock::VirtualClock;
pub use entropy::SeededEntropy;
pub use scripted::{Call, ScriptedTransport};
