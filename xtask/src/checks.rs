//! Checks that no compiler or test does.

pub(crate) mod deny;
pub(crate) mod dependencies;
pub(crate) mod features;
mod licence;
pub(crate) mod links;
pub(crate) mod named_tests;
mod tree;
