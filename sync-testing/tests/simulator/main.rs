//! The simulator: it finds nothing where nothing is wrong, and tells the same history twice.
#![cfg(feature = "server")]

mod regressions;
mod servers;
mod stores;

use sync_testing::simulator::{Coverage, Simulation};

#[test]
fn the_same_seed_tells_the_same_history_to_the_letter() {
    let simulation = Simulation::new().steps(60);
    for seed in 0..100 {
        let once = simulation.replay(seed).unwrap();
        let again = simulation.replay(seed).unwrap();
        assert!(once.trace == again.trace, "seed {seed} tells two histories");
        assert!(
            once.trace.lines().count() > 20,
            "seed {seed}: {}",
            once.trace
        );
        assert_eq!(once.coverage, again.coverage);
    }
}

#[test]
fn everything_that_can_happen_happens_and_every_invariant_holds() {
    let mut coverage = Coverage::default();
    for seed in 0..150 {
        let outcome = Simulation::new().run(seed).unwrap();
        assert_eq!(outcome.violation, None, "seed {seed}");
        coverage.add(&outcome.coverage);
    }
    // Some calls are so rare that a crash at one of them takes thousands of histories.
    let mut missing = coverage.missing();
    missing.retain(|what| !what.starts_with("crash: "));
    assert_eq!(missing, Vec::<&str>::new());
}
