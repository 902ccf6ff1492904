//! The engine: the handle that an app works with, and the driver that it spawns.

mod builder;
mod conflicts;
mod driver;
mod entity;
mod error;
mod events;
mod handle;
mod hub;
mod live;
mod scope;
mod shared;
mod status;

pub use builder::{EngineSettings, SyncEngineBuilder};
pub use conflicts::Sides;
pub use driver::{Driver, RunEnd};
pub use entity::{Entity, Untyped};
pub use error::EngineError;
pub use events::{Event, Events, Lagged};
pub use handle::{DrainReport, SyncEngine};
pub use live::{Item, Live, LiveUntyped};
pub use scope::{Activation, Edits, ScopeHandle};
pub use status::{DriverState, Progress, ScopeStatus, Status, StatusChanges};
