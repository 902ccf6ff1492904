//! A JSON feed, as backends of its kind speak it: for clients that were written for one of them.

mod cursor;
mod pull;
mod push;

pub(super) use pull::pull;
pub(super) use push::push;
