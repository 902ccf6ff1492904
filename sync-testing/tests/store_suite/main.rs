//! The store suite itself: the memory store passes it, and each case fails on a store with the bug that it is for.

mod bent;
mod bugs;
mod matrix;

use bent::{Bent, NoBug};

sync_testing::store_suite!(Bent::new(|| Box::new(NoBug)));
