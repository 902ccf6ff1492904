//! The targets, one a module.

pub mod answers;
pub mod dialect;
pub mod page;
pub mod push;
pub mod server;
pub mod transport;

/// A target: it panics when something does not hold.
pub type Target = fn(&[u8]);

/// Each target by its name, which is also that of its corpus.
pub const ALL: &[(&str, Target)] = &[
    ("answers", answers::run),
    ("dialect", dialect::run),
    ("page", page::run),
    ("push", push::run),
    ("server", server::run),
    ("transport", transport::run),
];
