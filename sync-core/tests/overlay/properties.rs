//! What holds in every history: random calls, answers and pages that are late, lost or repeated, others' edits,
//! conflicts, refusals, resyncs and restores, against a naive model.

use proptest::prelude::*;
use sync_core::policy::Choice;

use crate::{
    device::json,
    world::{IDS, SCOPES, Step, World},
};

fn step(restores: bool) -> impl Strategy<Value = Step> {
    let id = || 0..IDS.len();
    let scope = || 0..SCOPES.len();
    prop_oneof![
        8 => (id(), 0..6u8).prop_map(|(id, kind)| Step::Edit(id, kind)),
        6 => (1..4u32, 0..5usize).prop_map(|(max, busy)| Step::Push { max, busy }),
        6 => any::<u8>().prop_map(|mask| Step::Answer { mask: mask | 1 }),
        1 => Just(Step::LoseAnswer),
        6 => (scope(), 1..3usize).prop_map(|(scope, limit)| Step::Ask { scope, limit }),
        6 => scope().prop_map(Step::Page),
        1 => scope().prop_map(Step::LosePage),
        5 => (id(), any::<bool>(), any::<bool>())
            .prop_map(|(id, remove, concurrent)| Step::Other { id, remove: remove && concurrent, concurrent }),
        1 => id().prop_map(Step::Retry),
        1 => id().prop_map(Step::Discard),
        1 => Just(Step::SetAside),
        1 => scope().prop_map(Step::Resync),
        2 => scope().prop_map(Step::Sweep),
        1 => Just(Step::Acknowledge),
        1 => Just(Step::BackUp),
        1 => Just(if restores { Step::Restore } else { Step::LoseAnswer }),
    ]
}

fn choice() -> impl Strategy<Value = Choice> {
    prop_oneof![
        Just(Choice::Theirs),
        Just(Choice::Mine),
        Just(Choice::Merged(json("merged here"))),
    ]
}

fn run(choice: Choice, steps: Vec<Step>) {
    let mut world = World::new(choice);
    for step in steps {
        world.take_step(step);
    }
    world.come_to_rest();
}

/// `PROPTEST_CASES` asks for more, `PROPTEST_RNG_SEED` for the same ones again.
fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_happens_nothing_is_lost_flickers_or_comes_twice(
        choice in choice(),
        steps in prop::collection::vec(step(false), 1..60),
    ) {
        run(choice, steps);
    }

    #[test]
    fn whatever_happens_a_restored_server_and_its_client_converge(
        choice in choice(),
        steps in prop::collection::vec(step(true), 1..60),
    ) {
        run(choice, steps);
    }
}

/// A device that has never pulled does not notice a restore, and what it says after that must not be measured by what
/// the server had before: found by the property above.
#[test]
fn a_delete_that_a_restored_server_refuses_is_discarded() {
    let steps = vec![
        Step::Edit(3, 1),
        Step::Push { max: 1, busy: 1 },
        Step::Restore,
        Step::Retry(0),
        Step::Answer { mask: 1 },
        Step::Edit(3, 0),
        Step::Edit(3, 0),
        Step::Retry(0),
        Step::Push { max: 1, busy: 0 },
        Step::Edit(3, 0),
    ];
    run(Choice::Theirs, steps);
}
