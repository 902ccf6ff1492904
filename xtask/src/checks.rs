//! Checks that no compiler or test does.

pub(crate) mod dependencies;
pub(crate) mod features;
pub(crate) mod licences;
pub(crate) mod named_tests;
mod tree;
