//! What holds in every history.

use proptest::prelude::*;

use super::{
    world::{World, most_in_a_minute},
    *,
};

const SCOPES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Something that the app, the platform or the server does.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Enqueue(usize),
    Activate(usize),
    Deactivate(usize),
    Visible(bool),
    Online(bool),
    Poke(usize),
    SyncAll,
    Sync(usize),
    Resume,
    Stop,
    Start,
    Spurious,
    Unknown,
    Chaos(bool),
    Down(Option<TransportErrorKind>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    use TransportErrorKind as Kind;
    let scope = 0..SCOPES.len();
    let down = prop_oneof![
        Just(None),
        Just(Some(Kind::Network)),
        Just(Some(Kind::Unavailable)),
        Just(Some(Kind::Unauthorized)),
        Just(Some(Kind::BadRequest)),
        Just(Some(Kind::Forbidden)),
    ];
    let step = prop_oneof![
        6 => (0_u64..3_000).prop_map(Step::Wait),
        2 => (0_u64..60_000).prop_map(Step::Wait),
        6 => scope.clone().prop_map(Step::Enqueue),
        2 => scope.clone().prop_map(Step::Activate),
        1 => scope.clone().prop_map(Step::Deactivate),
        1 => any::<bool>().prop_map(Step::Visible),
        1 => any::<bool>().prop_map(Step::Online),
        2 => scope.clone().prop_map(Step::Poke),
        1 => Just(Step::SyncAll),
        1 => scope.prop_map(Step::Sync),
        1 => Just(Step::Resume),
        1 => Just(Step::Stop),
        2 => Just(Step::Start),
        1 => Just(Step::Spurious),
        1 => Just(Step::Unknown),
        2 => any::<bool>().prop_map(Step::Chaos),
        2 => down.prop_map(Step::Down),
    ];
    prop::collection::vec(step, 1..80)
}

fn play(world: &mut World, steps: &[Step]) {
    for (index, step) in steps.iter().enumerate() {
        let scope = |index: &usize| Scope::from(SCOPES[*index]);
        let id = index as u64;
        match step {
            Step::Wait(millis) => world.run_until(world.now + millis),
            Step::Enqueue(index) => world.enqueue(SCOPES[*index]),
            Step::Activate(index) => world.feed(Event::Activated(scope(index))),
            Step::Deactivate(index) => world.feed(Event::Deactivated(scope(index))),
            Step::Visible(visible) => world.feed(Event::Visible(*visible)),
            Step::Online(online) => world.feed(Event::Online(*online)),
            Step::Poke(index) => world.feed(Event::Poked(scope(index))),
            Step::SyncAll => world.feed(Event::SyncNow { id, scopes: vec![] }),
            Step::Sync(index) => world.feed(Event::SyncNow {
                id,
                scopes: vec![scope(index)],
            }),
            Step::Resume => world.feed(Event::Resumed),
            Step::Stop => world.stop(),
            Step::Start => world.feed(Event::Started),
            Step::Spurious => spurious_timer(world),
            Step::Unknown => world.feed(Event::PushEnded {
                ticket: Ticket(u64::MAX),
                end: nothing(),
            }),
            Step::Chaos(chaos) => world.server.chaos = *chaos,
            Step::Down(down) => world.server.down = *down,
        }
    }
}

/// A timer that nobody has armed changes nothing at all.
fn spurious_timer(world: &mut World) {
    let inside = |world: &World| {
        let Scheduler {
            pushes,
            pulls,
            syncs,
            cx,
            ..
        } = &world.scheduler;
        format!("{pushes:?} {pulls:?} {syncs:?} {:?}", cx.random)
    };
    let before = inside(world);
    let actions = world.log.len();
    world.feed(Event::Timer);
    world.idle_timers -= 1;
    assert_eq!(world.log.len(), actions);
    assert_eq!(inside(world), before);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn everything_is_pushed_and_pulled_once_the_answers_are_good(
        seed in any::<u64>(),
        steps in steps(),
    ) {
        let mut world = World::new(seed);
        world.feed(Event::Started);
        play(&mut world, &steps);
        world.server.chaos = false;
        world.server.down = None;
        world.feed(Event::Started);
        world.feed(Event::Online(true));
        world.feed(Event::Visible(true));
        world.feed(Event::Resumed);
        let healed = world.now;
        // No event from here on but timers and completions: the longest backoff, a few times over.
        world.run_until(healed + 300_000);
        prop_assert_eq!(world.pending(), Vec::<u128>::new());
        for scope in &world.active {
            prop_assert!(
                world.drained.get(scope).is_some_and(|at| world.now - at <= 6_000),
                "{} has not caught up", scope
            );
        }
        prop_assert!(world.syncs.is_empty(), "manual syncs without a report");
        prop_assert_eq!(world.scheduler.state().held, vec![]);
        prop_assert_eq!(world.idle_timers, 0, "timers that did nothing");
    }

    #[test]
    fn poison_is_all_that_is_set_aside_and_all_that_may_stay(
        seed in any::<u64>(),
        outbox in prop::collection::vec((0..3_usize, prop::bool::weighted(0.2)), 1..30),
        kind in prop_oneof![
            Just(TransportErrorKind::BadRequest),
            Just(TransportErrorKind::Unavailable),
        ],
    ) {
        let mut world = World::new(seed);
        let numbered = (1..).zip(&outbox);
        let poison = numbered.filter(|(_, (_, poison))| *poison);
        world.server.poison = poison.map(|(number, _)| (number, kind)).collect();
        world.feed(Event::Started);
        for (scope, _) in &outbox {
            world.enqueue(SCOPES[*scope]);
        }
        world.run_until(7_200_000);
        for number in world.pending() {
            prop_assert!(world.server.poison.contains_key(&number), "{} is held up", number);
        }
        for (number, _) in &world.set_aside {
            prop_assert!(world.server.poison.contains_key(number), "{} is blamed", number);
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_decisions(seed in any::<u64>(), steps in steps()) {
        let play_once = || {
            let mut world = World::new(seed);
            world.feed(Event::Started);
            play(&mut world, &steps);
            world.log
        };
        prop_assert_eq!(play_once(), play_once());
    }

}

proptest! {
    // Each of these plays a long time.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn requests_are_bounded_whatever_the_server_answers_and_however_many_triggers_come(
        seed in any::<u64>(),
        every in 10_u64..400,
        latency in 0_u64..300,
    ) {
        let mut world = World::new(seed);
        world.server.chaos = true;
        world.server.latency = latency;
        world.feed(Event::Started);
        for scope in &SCOPES[..3] {
            world.feed(Event::Activated(Scope::from(*scope)));
        }
        let mut id = 0;
        while world.now < 75_000 {
            let now = world.now;
            world.run_until(now + every);
            id += 1;
            let scope = SCOPES[usize::try_from(id % 3).unwrap()];
            match id % 7 {
                0 => world.feed(Event::SyncNow { id, scopes: vec![] }),
                1 => world.feed(Event::Visible(id % 2 == 0)),
                2 => world.feed(Event::Online(id % 3 != 0)),
                3 => world.feed(Event::Resumed),
                4 => world.feed(Event::Poked(Scope::from(scope))),
                _ => world.enqueue(scope),
            }
        }
        // One every half second, and a few more where halving a batch is free.
        let pushes = most_in_a_minute(&world.vain_pushes);
        prop_assert!(pushes <= 150, "{} vain pushes in a minute", pushes);
        for pulls in world.vain_pulls.values() {
            let pulls = most_in_a_minute(pulls);
            prop_assert!(pulls <= 121, "{} vain pulls of a scope in a minute", pulls);
        }
        for pulls in world.pulls.values() {
            let pulls = most_in_a_minute(pulls);
            prop_assert!(pulls <= 241, "{} pulls of a scope in a minute", pulls);
        }
    }

    #[test]
    fn without_triggers_a_dead_server_is_asked_ever_more_rarely(
        seed in any::<u64>(),
        kind in prop_oneof![
            Just(TransportErrorKind::Network),
            Just(TransportErrorKind::Timeout),
            Just(TransportErrorKind::Unavailable),
            Just(TransportErrorKind::Foreign),
            Just(TransportErrorKind::BadRequest),
            Just(TransportErrorKind::Malformed),
        ],
    ) {
        let mut world = World::with_outbox(seed, &["a", "a", "b", "c"]);
        world.feed(Event::Activated(Scope::from("a")));
        world.server.down = Some(kind);
        world.run_until(1_800_000);
        let late = |moments: &[u64]| moments.iter().filter(|at| **at > 600_000).count();
        let pushes = late(&world.vain_pushes);
        let pulls = late(&world.vain_pulls[&Scope::from("a")]);
        // Twenty minutes, at a backoff of half a minute on average; a refusal costs each scope two requests.
        prop_assert!(pushes <= 320, "{} pushes", pushes);
        prop_assert!(pulls <= 70, "{} pulls", pulls);
        prop_assert_eq!(world.pending(), vec![1, 2, 3, 4]);
    }
}
