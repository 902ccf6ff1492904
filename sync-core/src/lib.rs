//! The core of a sync engine.

pub mod coordination;
pub mod engine;
pub mod error;
pub mod model;
pub mod overlay;
pub mod platform;
pub mod policy;
pub mod scheduler;
pub mod store;
pub mod text;
pub mod time;
pub mod transport;
