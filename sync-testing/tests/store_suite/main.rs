//! The store suite itself: the memory store passes it, and each case fails on a store with the bug that it is for.

mod bent;
mod bugs;
mod matrix;
mod reporting;

use bent::{Bent, NoBug};

mod on_the_tests_own_thread {
    use super::{Bent, NoBug};

    sync_testing::store_suite!(Bent::new(|| Box::new(NoBug)));
}

mod on_a_runtime {
    use super::{Bent, NoBug};

    sync_testing::store_suite!(
        #[tokio::test(flavor = "multi_thread")]
        Bent::new(|| Box::new(NoBug))
    );
}
