//! Narrowing down to the mutation at fault, and blaming nobody without proof.

use super::{world::World, *};

use TransportErrorKind as Kind;

fn world(outbox: &[&str], poison: &[u128], kind: Kind) -> World {
    let mut world = World::new(3);
    world.server.poison = poison.iter().map(|number| (*number, kind)).collect();
    world.feed(Event::Started);
    for scope in outbox {
        world.enqueue(scope);
    }
    world
}

fn set_aside(world: &World) -> Vec<u128> {
    world.set_aside.iter().map(|(number, _)| *number).collect()
}

#[test]
fn what_follows_a_proof_in_its_scope_is_sent_though_the_scope_was_put_off() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.feed(Event::Enqueued);
    let (of_a, of_b) = ([sent(1, "a"), sent(2, "a"), sent(3, "a")], [sent(4, "b")]);
    rig.push_fails(Kind::BadRequest, &[&of_a[..], &of_b].concat());
    assert_eq!(rig.pass(500), ["push only a"]);
    let put_off = Outcome::Retry {
        after: None,
        resync: false,
    };
    let outcomes = [
        (id(1), Outcome::Settled),
        (id(2), put_off),
        (id(3), put_off),
    ];
    let end = answered_each(&of_a, &outcomes);
    assert_eq!(rig.push_ends(end), ["push not a not b"]);
    assert_eq!(rig.push_nothing(), ["push only b"]);
    assert_eq!(rig.pass(3_000), none());
    assert_eq!(rig.push_fails(Kind::BadRequest, &of_b), none());
    assert_eq!(rig.pass(500), ["push not b max 1"], "the proof");
    let end = answered(&of_a[1..2], Outcome::Settled);
    assert_eq!(rig.push_ends(end), ["push not b"], "the third of a");
}

#[test]
fn a_refused_batch_is_narrowed_down_to_scopes_and_then_to_single_mutations() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.feed(Event::Enqueued);
    let batch = [sent(1, "a"), sent(2, "b"), sent(3, "b")];
    assert_eq!(rig.push_fails(Kind::BadRequest, &batch), none());
    assert_eq!(rig.pass(500), ["push only a"]);
    let end = answered(&batch[..1], Outcome::Settled);
    assert_eq!(rig.push_ends(end), ["push not b"], "a is cleared");
    assert_eq!(rig.push_nothing(), ["push only b"]);
    assert_eq!(rig.push_fails(Kind::BadRequest, &batch[1..]), none());
    assert_eq!(rig.pass(500), ["push only b max 1"]);
    let end = answered(&batch[1..2], Outcome::Settled);
    assert_eq!(rig.push_ends(end), ["push only b max 2"]);
    assert_eq!(rig.push_fails(Kind::BadRequest, &batch[2..]), none());
    assert_eq!(rig.pass(500), ["push not b max 1"], "the proof comes next");
}

#[test]
fn a_batch_refused_for_lack_of_access_is_narrowed_down_and_then_a_pull_decides() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Enqueued);
    let batch = [sent(1, "a"), sent(2, "a")];
    assert_eq!(rig.push_fails(Kind::Forbidden, &batch), none());
    assert_eq!(rig.pass(500), ["push only a max 1"]);
    assert_eq!(rig.push_fails(Kind::Forbidden, &batch[..1]), ["pull a"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["forbidden a: 1"]);
    assert_eq!(rig.pass(500), ["push not a"]);
    assert_eq!(rig.push_nothing(), ["push only a max 1"], "a goes on");
}

#[test]
fn an_outage_narrows_down_only_when_the_same_batch_has_failed_three_times() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let batch = [sent(1, "a"), sent(2, "b")];
    for _ in 0..2 {
        assert_eq!(rig.push_fails(Kind::Unavailable, &batch), none());
        assert_eq!(rig.pass(60_000), ["push"]);
    }
    rig.push_fails(Kind::Unavailable, &batch);
    assert_eq!(rig.pass(60_000), ["push only a"]);
}

#[test]
fn a_lost_network_never_narrows_down() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    for _ in 0..30 {
        rig.push_fails(Kind::Network, &[sent(1, "a"), sent(2, "b")]);
        assert_eq!(rig.pass(60_000), ["push"]);
    }
}

#[test]
fn a_scope_that_the_server_asks_to_come_back_for_ever_holds_up_no_other() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let (of_a, of_b) = ([sent(1, "a"), sent(2, "a")], [sent(3, "b")]);
    let busy = |sent: &[Sent]| PushEnd::Refused {
        sent: sent.to_vec(),
        kind: Kind::Unavailable,
        retry_after: Some(seconds(9)),
    };
    let both = [&of_a[..], &of_b].concat();
    for _ in 0..2 {
        rig.push_ends(busy(&both));
        assert_eq!(rig.pass(8_999), none(), "as it was asked");
        assert_eq!(rig.pass(3_000), ["push"]);
    }
    rig.push_ends(busy(&both));
    assert_eq!(rig.pass(8_999), none());
    assert_eq!(rig.pass(5_000), ["push only a"]);
    rig.push_ends(busy(&of_a));
    assert_eq!(rig.pass(8_999), none(), "nothing has gone through yet");
    assert_eq!(rig.pass(10_000), ["push not a not b"]);
    assert_eq!(rig.push_nothing(), ["push only b"]);
    let end = answered(&of_b, Outcome::Settled);
    assert_eq!(rig.push_ends(end), ["push not a"]);
    assert_eq!(rig.push_nothing(), ["push only a"], "with all that it has");
    // From now on it is about this scope alone, as long as it takes.
    for number in 4..40 {
        rig.push_ends(busy(&of_a));
        assert_eq!(rig.feed(Event::Enqueued), none());
        assert_eq!(rig.pass(500), ["push not a"], "b does not wait");
        rig.push_ends(answered(&[sent(number, "b")], Outcome::Settled));
        rig.push_nothing();
        assert_eq!(rig.pass(7_000), none(), "as it was asked");
        assert_eq!(rig.pass(61_000), ["push only a"]);
    }
    let end = answered(&of_a, Outcome::Settled);
    assert_eq!(
        rig.push_ends(end),
        ["push"],
        "it goes with the others again"
    );
}

#[test]
fn what_the_server_has_asked_of_a_scope_outlives_the_lead() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let (of_a, of_b) = ([sent(1, "a")], [sent(2, "b")]);
    rig.push_fails(Kind::BadRequest, &[&of_b[..], &of_a].concat());
    assert_eq!(rig.pass(500), ["push only a"]);
    rig.push_fails(Kind::BadRequest, &of_a);
    assert_eq!(rig.pass(500), ["push not a max 1"]);
    rig.push_ends(answered(&of_b, Outcome::Settled));
    while rig.push.is_some() {
        rig.push_nothing();
    }
    assert_eq!(rig.pass(6_000), ["push only a max 1"]);
    rig.push_ends(PushEnd::Refused {
        sent: of_a.to_vec(),
        kind: Kind::Unavailable,
        retry_after: Some(seconds(60)),
    });
    rig.feed(Event::Stopped);
    rig.feed(Event::Started);
    assert_eq!(rig.pass(2_000), ["push not a"]);
    rig.push_nothing();
    assert_eq!(rig.pass(57_000), none());
    assert_eq!(rig.pass(5_000), ["push"]);
}

#[test]
fn a_probe_that_is_asked_to_come_back_proves_nothing_and_is_not_repeated_before() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let (of_a, of_b) = ([sent(1, "a")], [sent(2, "b")]);
    rig.push_fails(Kind::BadRequest, &of_a);
    assert_eq!(rig.pass(500), ["push not a max 1"]);
    rig.push_ends(PushEnd::Refused {
        sent: of_b.to_vec(),
        kind: Kind::Unavailable,
        retry_after: Some(seconds(60)),
    });
    assert_eq!(rig.pass(59_000), none(), "nothing has gone through yet");
    assert_eq!(rig.pass(3_000), ["push only a max 1"]);
    rig.push_fails(Kind::BadRequest, &of_a);
    assert_eq!(
        rig.pass(500),
        ["push not a max 1"],
        "the proof is sought again"
    );
}

#[test]
fn a_poison_mutation_is_set_aside_after_three_spaced_attempts_and_everything_else_goes_through() {
    for kind in [Kind::BadRequest, Kind::Unavailable] {
        let outbox = ["a", "b", "a", "b", "c", "b", "a", "c", "c", "b"];
        let mut world = world(&outbox, &[4], kind);
        world.run_until(120_000);
        // What follows the poison in its scope serves as proof for the next attempts.
        assert_eq!(set_aside(&world), [4], "{kind:?}");
        assert_eq!(world.pending(), [] as [u128; 0], "{kind:?}");
        assert!(world.set_aside[0].1 >= 10_000, "{kind:?}: spaced");
    }
}

#[test]
fn a_poison_mutation_holds_only_its_own_scope() {
    let mut world = world(&["a", "a", "b"], &[1], Kind::BadRequest);
    world.run_until(4_000);
    assert_eq!(world.pending(), [1, 2]);
    world.enqueue("c");
    world.run_until(4_000 + 1_100);
    assert_eq!(world.pending(), [1, 2], "c is not held up");
}

#[test]
fn another_scopes_head_is_the_proof_where_there_is_one() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    rig.push_fails(Kind::BadRequest, &[sent(1, "a")]);
    assert_eq!(rig.pass(500), ["push not a max 1"]);
    // It was refused, and so is a suspect itself; nobody is blamed.
    rig.push_fails(Kind::BadRequest, &[sent(2, "b")]);
    assert_eq!(rig.pass(500), ["push not a not b max 1"]);
    assert_eq!(rig.push_nothing(), ["push only b skip 2 max 1"]);
}

#[test]
fn a_mutation_that_was_refused_in_passing_clears_itself_from_behind_a_poison_one() {
    for kind in [Kind::BadRequest, Kind::Unavailable] {
        let mut world = world(&["a", "a", "a"], &[1, 2, 3], kind);
        world.run_until(120_000);
        // All of them are suspects now, and nothing else is left that could prove anything.
        assert_eq!(set_aside(&world), [] as [u128; 0], "{kind:?}");
        world.server.poison.remove(&3);
        world.run_until(1_200_000);
        assert!(!world.pending().contains(&3), "{kind:?}");
    }
}

#[test]
fn a_server_that_refuses_everything_blames_nobody() {
    for kind in [Kind::BadRequest, Kind::Unavailable] {
        let mut world = World::with_outbox(3, &["a", "a", "b", "b", "c"]);
        world.server.down = Some(kind);
        world.run_until(3_600_000);
        assert_eq!(set_aside(&world), [] as [u128; 0]);
        world.server.down = None;
        world.run_until(3_800_000);
        assert_eq!(
            world.pending(),
            [] as [u128; 0],
            "and it recovers by itself"
        );
        assert_eq!(set_aside(&world), [] as [u128; 0]);
    }
}

#[test]
fn one_mutation_that_is_refused_and_has_no_other_beside_it_is_not_blamed() {
    let mut world = world(&["a"], &[1], Kind::BadRequest);
    world.run_until(3_600_000);
    assert_eq!(world.pending(), [1]);
    world.enqueue("a");
    world.run_until(3_800_000);
    assert_eq!(set_aside(&world), [1], "another one has gone through since");
    assert_eq!(world.pending(), [] as [u128; 0]);
}

#[test]
fn an_attempt_that_fails_for_want_of_a_server_needs_a_proof_of_its_own() {
    let mut world = world(&["a", "b"], &[1], Kind::Unavailable);
    world.run_until(600_000);
    // b was the proof for the first attempt; nothing has gone through after the others.
    assert_eq!(world.pending(), [1]);
    assert_eq!(set_aside(&world), [] as [u128; 0]);
}

#[test]
fn networks_timeouts_and_foreign_answers_are_never_attempts() {
    for kind in [Kind::Network, Kind::Timeout, Kind::Foreign, Kind::Malformed] {
        let mut world = world(&["a", "b", "a", "c"], &[1], kind);
        world.run_until(600_000);
        world.enqueue("b");
        world.run_until(1_200_000);
        assert_eq!(set_aside(&world), [] as [u128; 0], "{kind:?}");
    }
}

#[test]
fn a_mutation_that_no_answer_can_get_past_holds_only_its_scope_too() {
    for kind in [Kind::Timeout, Kind::Foreign, Kind::Malformed] {
        let mut world = world(&["a", "b", "a", "c"], &[1], kind);
        world.run_until(120_000);
        assert_eq!(world.pending(), [1, 3], "{kind:?}");
    }
}

#[test]
fn several_poison_mutations_are_set_aside_in_their_order() {
    let mut world = world(&["a", "a", "a", "a", "b"], &[1, 2], Kind::BadRequest);
    world.run_until(600_000);
    assert_eq!(set_aside(&world), [1, 2]);
    assert_eq!(world.pending(), [] as [u128; 0]);
}

#[test]
fn a_poison_mutation_deep_in_the_queue_is_found_in_few_requests() {
    let outbox = ["a"; 100];
    let mut world = world(&outbox, &[70], Kind::BadRequest);
    world.run_until(600_000);
    assert_eq!(set_aside(&world), [70]);
    assert_eq!(world.pending(), [] as [u128; 0]);
    let requests = world
        .log
        .iter()
        .filter(|(_, text)| text.starts_with("push"))
        .count();
    assert!(requests < 60, "{requests}");
}

#[test]
fn a_suspect_that_was_discarded_meanwhile_is_forgotten() {
    let mut world = world(&["a", "a", "a"], &[1], Kind::BadRequest);
    world.run_until(3_000);
    world.outbox.retain(|sent| number(sent.id) != 1);
    world.run_until(60_000);
    assert_eq!(set_aside(&world), [] as [u128; 0]);
    assert_eq!(world.pending(), [] as [u128; 0]);
    assert_eq!(world.scheduler.state().held, []);
}

#[test]
fn the_order_within_a_scope_is_kept_but_for_the_proof() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Enqueued);
    rig.push_fails(Kind::BadRequest, &[sent(1, "a"), sent(2, "a")]);
    assert_eq!(rig.pass(500), ["push only a max 1"]);
    rig.push_fails(Kind::BadRequest, &[sent(1, "a")]);
    assert_eq!(rig.pass(500), ["push not a max 1"]);
    assert_eq!(rig.push_nothing(), ["push only a skip 1 max 1"]);
    let end = answered(&[sent(2, "a")], Outcome::Settled);
    assert_eq!(rig.push_ends(end), ["push not a"]);
    assert_eq!(rig.push_nothing(), none());
    assert_eq!(rig.scheduler.state().held, [Scope::from("a")]);
}
