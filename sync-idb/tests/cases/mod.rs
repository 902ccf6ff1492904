//! What only a browser can do to a store, in a window and in a worker.

mod declaring;
mod ending;
mod engine;
mod opening;
mod tabs;
