//! What a refusal means: guarantee 9.

use super::*;

const FORBIDDEN: TransportErrorKind = TransportErrorKind::Forbidden;

fn never_pulled() -> PullEnd {
    PullEnd::Failed {
        kind: FORBIDDEN,
        retry_after: None,
        had_access: false,
    }
}

fn purge_ended(scope: &str, purged: bool) -> Event {
    Event::PurgeEnded {
        scope: Scope::from(scope),
        purged,
    }
}

#[test]
fn a_scope_is_purged_when_two_of_its_pulls_are_refused_five_seconds_apart() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.after(5_000, Event::Timer);
    rig.pull_ends("b", PullEnd::Drained);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), none());
    assert_eq!(rig.pass(4_999), none(), "one refusal proves nothing");
    assert_eq!(rig.pass(1), ["pull a", "pull b"]);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), ["purge a"]);
    assert_eq!(rig.feed(Event::Poked(Scope::from("a"))), none());
    assert_eq!(rig.feed(purge_ended("a", true)), ["push"]);
}

#[test]
fn a_refused_scope_that_is_not_active_is_asked_about_again() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Poked(Scope::from("a")));
    assert_eq!(rig.pull_fails("a", FORBIDDEN), none());
    assert_eq!(rig.wait(), Some(5_000));
    assert_eq!(rig.pass(5_000), ["pull a"]);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), ["purge a"]);
}

#[test]
fn refusals_that_are_too_close_together_are_one() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", FORBIDDEN);
    rig.feed(Event::Poked(Scope::from("a")));
    assert_eq!(rig.pass(1_000), ["pull a"]);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), none());
    assert_eq!(rig.pass(4_000), ["pull a"]);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), ["purge a"]);
}

#[test]
fn a_success_in_between_resets_the_evidence() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", FORBIDDEN);
    assert_eq!(rig.pass(5_000), ["pull a"]);
    rig.pull_ends("a", PullEnd::Drained);
    assert_eq!(rig.pass(5_000), ["pull a"]);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), none());
}

#[test]
fn other_failures_in_between_neither_count_nor_reset() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", FORBIDDEN);
    assert_eq!(rig.pass(5_000), ["pull a"]);
    assert_eq!(rig.pull_fails("a", TransportErrorKind::Foreign), none());
    rig.pass(rig.wait().unwrap());
    assert_eq!(rig.pull_fails("a", FORBIDDEN), ["purge a"]);
}

#[test]
fn a_proxys_refusals_are_no_evidence() {
    let mut rig = Rig::settled(&["a"]);
    for _ in 0..20 {
        rig.pass(rig.wait().unwrap().max(5_000));
        assert_eq!(rig.pull_fails("a", TransportErrorKind::Foreign), none());
    }
}

#[test]
fn a_scope_that_was_never_pulled_is_not_purged() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Activated(Scope::from("new")));
    for _ in 0..20 {
        assert_eq!(rig.pull_ends("new", never_pulled()), none());
        assert!(rig.wait().unwrap() <= 60_000, "it goes on asking");
        rig.pass(rig.wait().unwrap());
    }
}

#[test]
fn a_refused_scope_that_is_neither_active_nor_known_is_let_be() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Poked(Scope::from("new")));
    assert_eq!(rig.pull_ends("new", never_pulled()), none());
    assert_eq!(rig.deadline(), None);
}

#[test]
fn a_refused_push_asks_for_a_pull_and_holds_its_scope_meanwhile() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, Event::Enqueued);
    let batch = [sent(1, "a"), sent(2, "b")];
    let end = answered_each(
        &batch,
        &[(id(1), Outcome::Forbidden), (id(2), Outcome::Rejected)],
    );
    assert_eq!(rig.push_ends(end), ["push not a", "pull a"]);
}

#[test]
fn where_the_pull_succeeds_the_refused_mutation_fails_and_its_scope_goes_on() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, Event::Enqueued);
    rig.push_ends(answered(&[sent(1, "a")], Outcome::Forbidden));
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["forbidden a: 1"]);
    assert_eq!(rig.pass(500), ["push"]);
    assert_eq!(rig.push_nothing(), none());
    assert_eq!(rig.wait(), Some(4_500));
}

#[test]
fn a_pull_that_began_before_the_refusal_does_not_judge_it() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.feed(Event::Enqueued);
    rig.push_ends(answered(&[sent(1, "a")], Outcome::Forbidden));
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), none());
    assert_eq!(rig.pass(250), ["pull a"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["forbidden a: 1"]);
}

#[test]
fn mutations_of_a_scope_that_was_never_pulled_fail_after_two_refusals_and_nothing_is_purged() {
    let mut rig = Rig::settled(&[]);
    rig.after(1_000, Event::Enqueued);
    let batch = [sent(1, "new"), sent(2, "new")];
    assert_eq!(
        rig.push_ends(answered(&batch, Outcome::Forbidden)),
        ["pull new"]
    );
    assert_eq!(rig.pull_ends("new", never_pulled()), none());
    assert_eq!(rig.pass(500), ["push not new"]);
    rig.push_nothing();
    assert_eq!(rig.wait(), Some(4_500));
    assert_eq!(rig.pass(4_500), ["pull new"]);
    let actions = rig.pull_ends("new", never_pulled());
    assert_eq!(actions, ["forbidden new: 1 2", "push"]);
}

#[test]
fn what_waits_for_a_pull_that_is_never_granted_is_sent_to_learn_what_becomes_of_it() {
    let mut rig = Rig::settled(&[]);
    rig.after(1_000, Event::Enqueued);
    let resync = Outcome::Retry {
        after: None,
        resync: true,
    };
    let end = answered(&[sent(1, "new")], resync);
    assert_eq!(rig.push_ends(end), ["pull new"]);
    assert_eq!(rig.pull_ends("new", never_pulled()), none());
    assert_eq!(rig.pass(500), ["push not new"]);
    rig.push_nothing();
    assert_eq!(rig.pass(4_500), ["pull new"]);
    assert_eq!(rig.pull_ends("new", never_pulled()), ["push"]);
}

#[test]
fn what_was_sent_too_long_ago_is_given_up_when_no_pull_is_ever_granted() {
    let mut rig = Rig::settled(&[]);
    rig.after(1_000, Event::Enqueued);
    let scope = Scope::from("new");
    let end = PushEnd::Nothing {
        waiting: Default::default(),
        forgotten: vec![(scope, id(1))],
    };
    assert_eq!(rig.push_ends(end), ["pull new"]);
    rig.pull_ends("new", never_pulled());
    assert_eq!(rig.pass(5_000), ["pull new"]);
    let actions = rig.pull_ends("new", never_pulled());
    assert_eq!(actions, ["forgotten new: 1", "push"]);
}

#[test]
fn after_a_purge_the_scope_is_held_no_more_and_an_active_one_is_still_asked_about() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", FORBIDDEN);
    rig.pass(5_000);
    rig.pull_fails("a", FORBIDDEN);
    rig.feed(Event::Enqueued);
    assert_eq!(rig.push_nothing(), none());
    assert_eq!(rig.feed(purge_ended("a", true)), ["push"]);
    rig.push_nothing();
    let wait = rig.wait().unwrap();
    assert_eq!(rig.pass(wait), ["pull a"], "access may be granted again");
}

#[test]
fn nothing_of_a_scope_is_pushed_while_it_is_being_purged() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", FORBIDDEN);
    rig.pass(5_000);
    rig.pull_fails("a", FORBIDDEN);
    assert_eq!(rig.after(100, Event::Enqueued), ["push not a"]);
}

#[test]
fn a_purge_that_the_store_could_not_do_is_tried_again_after_another_refusal() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Poked(Scope::from("a")));
    rig.pull_fails("a", FORBIDDEN);
    rig.pass(5_000);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), ["purge a"]);
    rig.feed(purge_ended("a", false));
    rig.push_nothing();
    let wait = rig.wait().unwrap();
    assert_eq!(rig.pass(wait), ["pull a"]);
    assert_eq!(rig.pull_fails("a", FORBIDDEN), ["purge a"]);
}

#[test]
fn a_refusal_from_before_a_new_login_is_no_evidence() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", FORBIDDEN);
    rig.pull_fails("b", TransportErrorKind::Unauthorized);
    rig.after(10_000, Event::Resumed);
    rig.push_nothing();
    assert_eq!(rig.pull_fails("a", FORBIDDEN), none());
}

#[test]
fn a_manual_sync_is_told_of_a_revocation() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.pull_fails("a", FORBIDDEN);
    let scopes = Vec::new();
    rig.after(4_990, Event::SyncNow { id: 1, scopes });
    rig.now += 10;
    rig.push_nothing();
    assert_eq!(
        rig.pull_fails("a", FORBIDDEN),
        ["purge a", r#"report 1: Answered {("a"): Revoked}"#]
    );
}
