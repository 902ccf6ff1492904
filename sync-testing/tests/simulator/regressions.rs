//! Seeds that once showed a bug. The world has grown since, and they take another course now: that each bug would be found
//! again is what the deliberate bugs `04` and `14` in `sync-testing/mutants` are for.
#![allow(
    clippy::expect_used,
    reason = "a test that cannot be set up has failed"
)]

use sync_testing::simulator::Simulation;

fn holds(seed: u64) {
    let outcome = Simulation::new()
        .steps(200)
        .run(seed)
        .expect("stores in memory can be used");
    assert_eq!(outcome.violation, None);
}

/// A follower died right after an edit, before it could tell the leader.
#[test]
fn an_edit_of_which_nobody_was_told_is_pushed() {
    holds(10_038);
}

/// The scope had taken an edit and was never pulled; its acknowledged edit stayed for ever.
#[test]
fn a_scope_that_was_lost_before_its_first_pull_is_purged() {
    for seed in [46, 103, 141] {
        holds(seed);
    }
}
