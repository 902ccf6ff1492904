//! The failure table, a test a row and more; how retries are armed.

use super::*;
use crate::model::MutationId;

use TransportErrorKind as Kind;

const TRANSIENT: [Kind; 5] = [
    Kind::Network,
    Kind::Timeout,
    Kind::Unavailable,
    Kind::Foreign,
    Kind::Malformed,
];

#[test]
fn a_transient_failure_of_a_push_arms_its_own_retry() {
    for kind in TRANSIENT {
        let mut rig = Rig::settled(&[]);
        rig.feed(Event::Enqueued);
        assert_eq!(rig.push_fails(kind, &[sent(1, "a")]), none());
        let wait = rig.wait().expect("a retry is armed");
        assert!((500..=1_000).contains(&wait), "{kind:?}: {wait} ms");
        assert_eq!(rig.pass(wait), ["push"]);
    }
}

#[test]
fn a_transient_failure_of_a_pull_arms_its_own_retry() {
    for kind in TRANSIENT {
        for active in [true, false] {
            let mut rig = Rig::settled(if active { &["a"] } else { &[] });
            rig.after(1_000, Event::Poked(Scope::from("a")));
            assert_eq!(rig.pull_fails("a", kind), none());
            let wait = rig.wait().expect("a retry is armed");
            assert!((500..=1_000).contains(&wait), "{kind:?}: {wait} ms");
            assert_eq!(rig.pass(wait), ["pull a"]);
        }
    }
}

#[test]
fn a_failure_of_the_store_is_retried_and_nobodys_fault() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    rig.feed(Event::Poked(Scope::from("a")));
    for _ in 0..20 {
        assert_eq!(rig.push_ends(PushEnd::Local), none());
        assert_eq!(rig.pull_ends("a", PullEnd::Local), none());
        let mut actions = rig.pass(60_000);
        actions.sort();
        assert_eq!(actions, ["pull a", "push"]);
    }
    assert_eq!(rig.push_nothing(), none());
}

#[test]
fn the_servers_retry_after_wins() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Enqueued);
    rig.push_ends(PushEnd::Refused {
        sent: vec![sent(1, "a")],
        kind: Kind::Unavailable,
        retry_after: Some(seconds(30)),
    });
    rig.feed(Event::Deactivated(Scope::from("a")));
    let wait = rig.wait().unwrap();
    assert!((30_000..=31_000).contains(&wait));
    rig.feed(Event::Enqueued);
    assert_eq!(rig.wait(), Some(wait));
}

#[test]
fn a_failing_push_holds_no_pull_back_and_a_failing_scope_no_other() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.feed(Event::Enqueued);
    rig.push_ends(PushEnd::Refused {
        sent: vec![sent(1, "a")],
        kind: Kind::Unavailable,
        retry_after: Some(seconds(600)),
    });
    assert_eq!(rig.pass(5_000), ["pull a", "pull b"]);
    let end = PullEnd::Failed {
        kind: Kind::Unavailable,
        retry_after: Some(seconds(600)),
        had_access: true,
    };
    rig.pull_ends("a", end);
    rig.pull_ends("b", PullEnd::Drained);
    assert_eq!(rig.pass(5_000), ["pull b"]);
}

#[test]
fn what_is_enqueued_during_a_backoff_does_not_cut_it_short() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    for _ in 0..6 {
        rig.push_fails(Kind::Network, &[sent(1, "a")]);
        let wait = rig.wait().unwrap();
        assert_eq!(rig.feed(Event::Enqueued), none());
        assert_eq!(rig.wait(), Some(wait));
        assert_eq!(rig.pass(wait), ["push"]);
    }
}

#[test]
fn a_reconnect_resets_the_backoffs() {
    let mut rig = Rig::settled(&["a"]);
    rig.pass(5_000);
    for _ in 0..10 {
        rig.feed(Event::Enqueued);
        rig.pass(60_000);
        rig.push_fails(Kind::Network, &[sent(1, "a")]);
        rig.pull_fails("a", Kind::Network);
    }
    rig.feed(Event::Online(false));
    assert_eq!(rig.after(500, Event::Online(true)), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a"]);
}

#[test]
fn a_retry_that_fails_while_hidden_goes_on_if_a_trigger_asked_for_it() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Visible(false));
    rig.after(1_000, Event::Poked(Scope::from("a")));
    rig.pull_fails("a", Kind::Network);
    let wait = rig.wait().unwrap();
    assert_eq!(rig.pass(wait), ["pull a"]);
}

#[test]
fn a_poll_that_fails_in_an_app_hidden_meanwhile_is_not_tried_again() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.feed(Event::Visible(false));
    rig.pull_fails("a", Kind::Network);
    assert_eq!(rig.deadline(), None);
}

#[test]
fn a_refused_token_pauses_pushes_and_pulls_until_the_app_supplies_another() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.after(5_000, Event::Timer);
    rig.feed(Event::Enqueued);
    assert_eq!(
        rig.pull_fails("a", Kind::Unauthorized),
        ["pause AuthRequired"]
    );
    assert_eq!(rig.pull_fails("b", Kind::Unauthorized), none());
    assert_eq!(rig.push_fails(Kind::Unauthorized, &[sent(1, "a")]), none());
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig.after(60_000, Event::Enqueued), none());
    assert_eq!(rig.feed(Event::Online(false)), none());
    assert_eq!(rig.feed(Event::Online(true)), none());
    assert_eq!(rig.after(60_000, Event::Resumed), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a", "pull b"]);
}

#[test]
fn a_token_refused_to_a_request_from_before_the_login_does_not_pause_again() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", Kind::Unauthorized);
    rig.after(1_000, Event::Resumed);
    assert_eq!(rig.pull_fails("b", Kind::Unauthorized), none());
    assert_eq!(rig.push_nothing(), ["pull a", "pull b"]);
}

#[test]
fn another_account_pauses_and_purges_nothing() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Enqueued);
    assert_eq!(
        rig.push_fails(Kind::OtherAccount, &[sent(1, "a")]),
        ["pause OtherAccount"]
    );
    assert_eq!(rig.deadline(), None);
}

#[test]
fn an_expired_cursor_that_the_driver_could_not_deal_with_is_retried() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Poked(Scope::from("a")));
    rig.pull_fails("a", Kind::CursorExpired);
    assert!(rig.wait().unwrap() <= 1_000);
}

#[test]
fn a_push_refused_for_an_expired_cursor_goes_on_after_a_pull() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    assert_eq!(
        rig.push_fails(Kind::CursorExpired, &[sent(1, "a")]),
        ["pull a"]
    );
    rig.pull_ends("a", PullEnd::Drained);
    assert_eq!(rig.pass(500), ["push not a"].map(|_| "push"));
}

#[test]
fn a_batch_that_is_too_large_is_halved_at_once_and_the_limit_grows_back() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Enqueued);
    let batch: Vec<_> = (0..100).map(|number| sent(number, "a")).collect();
    assert_eq!(rig.push_fails(Kind::TooLarge, &batch), ["push max 50"]);
    assert_eq!(
        rig.push_fails(Kind::TooLarge, &batch[..50]),
        ["push max 25"]
    );
    for _ in 0..7 {
        let end = answered(&batch[..25], Outcome::Settled);
        assert_eq!(rig.push_ends(end), ["push max 25"]);
    }
    let end = answered(&batch[..25], Outcome::Settled);
    assert_eq!(rig.push_ends(end), ["push max 50"]);
}

#[test]
fn halving_starts_from_what_was_sent_and_halves_the_bytes_too() {
    let mut scheduler = Scheduler::new(Settings::default(), 1);
    let at = Time::from_millis(0);
    let plan = |scheduler: &mut Scheduler| match scheduler.poll_action() {
        Some(Action::Push(plan)) => plan,
        other => panic!("{other:?}"),
    };
    scheduler.handle(at, Event::Started);
    scheduler.handle(at, Event::Enqueued);
    let first = plan(&mut scheduler);
    let batch: Vec<_> = (0..10).map(|number| sent(number, "a")).collect();
    let (ticket, end) = (first.ticket, refused(Kind::TooLarge, &batch));
    scheduler.handle(at, Event::PushEnded { ticket, end });
    let second = plan(&mut scheduler);
    assert_eq!((first.max_count, second.max_count), (100, 5));
    assert_eq!((first.max_bytes, second.max_bytes), (524_288, 262_144));
}

#[test]
fn a_single_mutation_that_is_too_large_is_set_aside_and_the_others_go_on() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Enqueued);
    assert_eq!(
        rig.push_fails(Kind::TooLarge, &[sent(1, "a")]),
        ["set aside 1: TooLarge"]
    );
    assert_eq!(rig.pass(1_000), ["push"]);
}

#[test]
fn a_server_that_finds_everything_too_large_does_not_empty_the_outbox_in_a_moment() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let mut set_aside = 0;
    let end = rig.now + 60_000;
    while rig.now < end {
        if rig.push.is_some() {
            set_aside += 1;
            rig.push_fails(Kind::TooLarge, &[sent(set_aside, "a")]);
        }
        rig.pass(100);
    }
    assert!(set_aside < 15, "{set_aside} in a minute");
}

#[test]
fn a_timeout_makes_the_next_batch_smaller() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let batch: Vec<_> = (0..100).map(|number| sent(number, "a")).collect();
    rig.push_fails(Kind::Timeout, &batch);
    assert_eq!(rig.pass(1_000), ["push max 50"]);
}

#[test]
fn a_scope_that_the_server_wants_later_is_held_and_the_others_go_on() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.feed(Event::Enqueued);
    let after = Some(seconds(3));
    let end = answered_each(
        &[sent(1, "a"), sent(2, "b")],
        &[
            (
                id(1),
                Outcome::Retry {
                    after,
                    resync: false,
                },
            ),
            (id(2), Outcome::Settled),
        ],
    );
    assert_eq!(rig.push_ends(end), ["push not a"]);
    assert_eq!(rig.push_nothing(), none());
    let wait = rig.wait().unwrap();
    assert!((3_000..=4_000).contains(&wait));
    assert_eq!(rig.after(100, Event::Enqueued), ["push not a"]);
    rig.push_nothing();
    assert_eq!(rig.pass(wait - 100), ["push"]);
    assert_eq!(rig.push_nothing(), none());
}

#[test]
fn a_mutation_without_an_answer_holds_its_scope_for_a_while() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.feed(Event::Enqueued);
    let batch = [sent(1, "a"), sent(2, "b")];
    let end = answered_each(&batch, &[(id(2), Outcome::Settled)]);
    assert_eq!(rig.push_ends(end), ["push not a"]);
    rig.push_nothing();
    let wait = rig.wait().unwrap();
    assert_eq!(rig.pass(wait), ["push"]);
}

#[test]
fn an_answer_that_answers_nothing_backs_off() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    assert_eq!(rig.push_ends(answered_each(&[sent(1, "a")], &[])), none());
    let wait = rig.wait().unwrap();
    assert!((500..=1_000).contains(&wait));
    assert_eq!(rig.pass(wait), ["push"]);
}

#[test]
fn a_retry_with_resync_waits_for_a_pull_even_of_a_scope_that_is_not_active() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let outcome = Outcome::Retry {
        after: None,
        resync: true,
    };
    assert_eq!(
        rig.push_ends(answered(&[sent(1, "a")], outcome)),
        ["pull a"]
    );
    assert_eq!(rig.pass(500), ["push not a"]);
    rig.push_nothing();
    rig.pull_fails("a", Kind::Network);
    let wait = rig.wait().unwrap();
    assert_eq!(rig.pass(wait), ["pull a"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["push"]);
}

#[test]
fn a_hold_that_ends_during_a_round_that_left_the_scope_out_makes_another_round() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let outcome = Outcome::Retry {
        after: Some(Duration::ZERO),
        resync: true,
    };
    rig.push_ends(answered(&[sent(1, "a")], outcome));
    assert_eq!(rig.pass(2_000), ["push not a"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), none());
    assert_eq!(rig.push_nothing(), ["push"]);
}

#[test]
fn a_doubted_answer_waits_for_a_pull() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    assert_eq!(
        rig.push_ends(answered(&[sent(1, "a")], Outcome::Doubted)),
        ["pull a"]
    );
    assert_eq!(rig.pass(500), ["push not a"], "the others go on");
    rig.push_nothing();
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["push"]);
}

#[test]
fn scopes_that_wait_for_a_pull_are_pulled_and_then_pushed() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let end = PushEnd::Nothing {
        waiting: [Scope::from("a")].into(),
        forgotten: Vec::new(),
    };
    assert_eq!(rig.push_ends(end), ["pull a"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["push"]);
    assert_eq!(rig.push_nothing(), none());
}

#[test]
fn what_the_server_has_forgotten_is_settled_after_a_pull_to_the_end() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let end = PushEnd::Nothing {
        waiting: Default::default(),
        forgotten: vec![(Scope::from("a"), id(3)), (Scope::from("a"), id(4))],
    };
    assert_eq!(rig.push_ends(end), ["pull a"]);
    assert_eq!(
        rig.pull_ends("a", PullEnd::Drained),
        ["forgotten a: 3 4", "push"]
    );
}

#[test]
fn a_scope_that_always_wants_a_pull_first_is_asked_ever_more_rarely() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    let mut requests = 0;
    let outcome = Outcome::Retry {
        after: None,
        resync: true,
    };
    let end = rig.now + 600_000;
    while rig.now < end {
        if rig.push.is_some() {
            // Only a round that may touch the scope is a request.
            if rig.scheduler.state().held.is_empty() {
                requests += 1;
                rig.push_ends(answered(&[sent(1, "a")], outcome));
            } else {
                rig.push_nothing();
            }
        }
        if !rig.pulls.is_empty() {
            rig.pull_ends("a", PullEnd::Drained);
        }
        rig.pass(50);
    }
    assert!((10..60).contains(&requests), "{requests} in ten minutes");
}

#[test]
fn failures_are_counted_for_the_status_until_a_push_is_answered() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Enqueued);
    for failures in 1..4 {
        rig.push_fails(Kind::Network, &[sent(1, "a")]);
        assert_eq!(rig.scheduler.state().failed_pushes, failures);
        rig.pass(60_000);
    }
    let ids: [MutationId; 1] = [id(1)];
    rig.push_ends(answered_each(
        &[sent(1, "a")],
        &ids.map(|id| (id, Outcome::Settled)),
    ));
    assert_eq!(rig.scheduler.state().failed_pushes, 0);
}
