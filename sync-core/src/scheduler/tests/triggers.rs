//! The trigger table, one test a cell, and how triggers coalesce.

use super::*;

fn scope(name: &str) -> Scope {
    Scope::from(name)
}

#[test]
fn an_enqueued_mutation_is_pushed_at_once() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.after(100, Event::Enqueued), ["push"]);
}

#[test]
fn an_enqueued_mutation_causes_no_pull_of_an_active_scope() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(100, Event::Enqueued);
    assert_eq!(
        rig.push_ends(answered(&[sent(1, "a")], Outcome::Settled)),
        ["push"]
    );
    assert_eq!(rig.push_nothing(), none());
    assert_eq!(
        rig.deadline(),
        Some(105_000),
        "the poll timer is all there is"
    );
}

#[test]
fn the_poll_timer_pushes_nothing_and_pulls_the_active_scopes() {
    let mut rig = Rig::settled(&["a", "b"]);
    assert_eq!(rig.wait(), Some(5_000));
    assert_eq!(rig.after(5_000, Event::Timer), ["pull a", "pull b"]);
}

#[test]
fn polling_goes_on_every_five_seconds_without_any_other_event() {
    let mut rig = Rig::settled(&["a"]);
    for _ in 0..3 {
        assert_eq!(rig.pass(5_000), ["pull a"]);
        assert_eq!(rig.pull_ends("a", PullEnd::Drained), none());
    }
}

#[test]
fn becoming_visible_flushes() {
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Visible(false));
    assert_eq!(rig.after(100, Event::Visible(true)), ["push"]);
}

#[test]
fn becoming_visible_pulls_the_active_scopes_that_are_stale() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.feed(Event::Visible(false));
    rig.after(2_000, Event::Poked(scope("b")));
    rig.pull_ends("b", PullEnd::Drained);
    assert_eq!(rig.after(501, Event::Visible(true)), ["push", "pull a"]);
}

#[test]
fn becoming_visible_does_not_pull_what_is_not_older_than_half_the_interval() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Visible(false));
    assert_eq!(rig.after(2_500, Event::Visible(true)), ["push"]);
}

#[test]
fn being_visible_already_is_no_trigger() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.after(4_000, Event::Visible(true)), none());
}

#[test]
fn the_network_coming_back_flushes_and_pulls_after_the_flush() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Online(false));
    assert_eq!(rig.after(60_000, Event::Online(true)), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a"]);
}

#[test]
fn pulls_after_a_flush_begin_when_its_first_round_ends_badly() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Online(false));
    rig.after(60_000, Event::Online(true));
    assert_eq!(
        rig.push_fails(TransportErrorKind::Unavailable, &[sent(1, "a")]),
        ["pull a"]
    );
}

#[test]
fn pulls_after_a_flush_begin_after_two_seconds_at_the_latest() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Online(false));
    rig.after(60_000, Event::Online(true));
    assert_eq!(rig.wait(), Some(2_000));
    assert_eq!(rig.pass(2_000), ["pull a"]);
}

#[test]
fn a_first_round_that_began_before_the_trigger_does_not_count() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, Event::Enqueued);
    rig.feed(Event::Online(false));
    assert_eq!(rig.after(10, Event::Online(true)), none());
    assert_eq!(rig.push_nothing(), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a"]);
}

#[test]
fn the_start_flushes_and_pulls_the_active_scopes_after_the_initial_delay() {
    let mut rig = Rig::new();
    rig.feed(Event::Activated(scope("a")));
    assert_eq!(rig.feed(Event::Started), none());
    assert_eq!(rig.wait(), Some(1_000));
    assert_eq!(rig.after(999, Event::Timer), none());
    assert_eq!(rig.after(1, Event::Timer), ["push", "pull a"]);
}

#[test]
fn a_poke_from_before_the_start_does_not_wait_for_the_initial_delay() {
    let mut rig = Rig::new();
    rig.feed(Event::Activated(scope("a")));
    rig.feed(Event::Poked(scope("b")));
    assert_eq!(rig.feed(Event::Started), ["pull b"]);
    assert_eq!(rig.after(1_000, Event::Timer), ["push", "pull a"]);
}

#[test]
fn activating_a_scope_pushes_nothing_and_pulls_that_scope() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.after(100, Event::Activated(scope("b"))), ["pull b"]);
}

#[test]
fn a_scope_activated_during_the_initial_delay_is_pulled_at_once_and_only_once() {
    let mut rig = Rig::new();
    rig.feed(Event::Started);
    assert_eq!(rig.after(10, Event::Activated(scope("a"))), ["pull a"]);
    rig.pull_ends("a", PullEnd::Drained);
    assert_eq!(rig.pass(2_000), ["push"]);
}

#[test]
fn a_mutation_enqueued_during_the_initial_delay_is_pushed_at_once() {
    let mut rig = Rig::new();
    rig.feed(Event::Started);
    assert_eq!(rig.after(10, Event::Enqueued), ["push"]);
    rig.push_nothing();
    assert_eq!(rig.pass(60_000), none());
}

#[test]
fn a_poke_pushes_nothing_and_pulls_that_scope() {
    let mut rig = Rig::settled(&["a", "b"]);
    assert_eq!(rig.after(1_000, Event::Poked(scope("b"))), ["pull b"]);
}

#[test]
fn a_poke_pulls_a_scope_that_is_not_active_once() {
    let mut rig = Rig::settled(&[]);
    assert_eq!(rig.after(1_000, Event::Poked(scope("b"))), ["pull b"]);
    rig.pull_ends("b", PullEnd::Drained);
    assert_eq!(rig.deadline(), None);
}

#[test]
fn a_manual_sync_flushes_and_then_pulls_the_scopes_that_it_names_active_or_not() {
    let mut rig = Rig::settled(&["a"]);
    let scopes = vec![scope("c"), scope("b")];
    assert_eq!(rig.after(1_000, Event::SyncNow { id: 7, scopes }), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull b", "pull c"]);
}

#[test]
fn a_manual_sync_that_names_no_scope_pulls_the_active_ones() {
    let mut rig = Rig::settled(&["a", "b"]);
    let scopes = Vec::new();
    rig.after(1_000, Event::SyncNow { id: 7, scopes });
    assert_eq!(rig.push_nothing(), ["pull a", "pull b"]);
}

#[test]
fn a_flush_goes_on_round_after_round_until_there_is_nothing_to_take() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.after(100, Event::Enqueued), ["push"]);
    for number in 1..4 {
        let batch = [sent(number, "a")];
        assert_eq!(rig.push_ends(answered(&batch, Outcome::Settled)), ["push"]);
    }
    assert_eq!(rig.push_nothing(), none());
    assert_eq!(rig.wait(), Some(4_900));
}

#[test]
fn triggers_that_arrive_during_a_push_make_one_more() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(100, Event::Enqueued);
    assert_eq!(rig.after(10, Event::Enqueued), none());
    assert_eq!(rig.after(10, Event::Enqueued), none());
    assert_eq!(rig.push_nothing(), ["push"]);
    assert_eq!(rig.push_nothing(), none());
}

#[test]
fn triggers_that_arrive_during_a_pull_make_one_more() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.after(1_000, Event::Poked(scope("a"))), ["pull a"]);
    assert_eq!(rig.after(300, Event::Poked(scope("a"))), none());
    assert_eq!(rig.after(1, Event::Poked(scope("a"))), none());
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["pull a"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), none());
    assert_eq!(rig.wait(), Some(5_000));
}

#[test]
fn a_flood_of_pokes_costs_four_pulls_a_second() {
    let mut rig = Rig::settled(&["a"]);
    let mut pulls = 0;
    for _ in 0..10_000 {
        let mut actions = rig.pass(1);
        actions.extend(rig.feed(Event::Poked(scope("a"))));
        for _ in actions {
            pulls += 1;
            assert_eq!(rig.pull_ends("a", PullEnd::Drained), none());
        }
    }
    assert_eq!(pulls, 40);
}

#[test]
fn at_most_four_scopes_are_pulled_at_a_time() {
    let mut rig = Rig::settled(&["a", "b", "c", "d", "e", "f"]);
    assert_eq!(
        rig.after(5_000, Event::Timer),
        ["pull a", "pull b", "pull c", "pull d"]
    );
    assert_eq!(rig.deadline(), None, "no timer could do anything");
    assert_eq!(rig.pull_ends("c", PullEnd::Drained), ["pull e"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["pull f"]);
}

#[test]
fn hidden_apps_do_not_poll_but_push_and_hear_pokes() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.feed(Event::Visible(false)), none());
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig.after(600_000, Event::Enqueued), ["push"]);
    assert_eq!(rig.after(1, Event::Poked(scope("a"))), ["pull a"]);
}

#[test]
fn hidden_apps_poll_where_asked_to() {
    let settings = Settings {
        poll_hidden: true,
        ..Settings::default()
    };
    let mut rig = Rig::settled_with(settings, &["a"]);
    rig.feed(Event::Visible(false));
    assert_eq!(rig.after(5_000, Event::Timer), ["pull a"]);
}

#[test]
fn polling_can_be_turned_off() {
    let settings = Settings {
        poll_interval: Duration::MAX,
        ..Settings::default()
    };
    let rig = Rig::settled_with(settings, &["a"]);
    assert_eq!(rig.deadline(), None);
}

#[test]
fn offline_nothing_is_attempted_and_no_timer_armed() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.feed(Event::Online(false)), none());
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig.after(10_000, Event::Enqueued), none());
    assert_eq!(rig.feed(Event::Poked(scope("b"))), none());
    assert_eq!(rig.feed(Event::Activated(scope("c"))), none());
    assert_eq!(rig.feed(Event::Timer), none());
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig.feed(Event::Online(true)), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a", "pull b", "pull c"]);
}

#[test]
fn a_start_without_network_waits_for_it() {
    let mut rig = Rig::new();
    rig.feed(Event::Online(false));
    rig.feed(Event::Activated(scope("a")));
    assert_eq!(rig.feed(Event::Started), none());
    assert_eq!(rig.deadline(), None);
    assert_eq!(rig.after(10_000, Event::Online(true)), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a"]);
}

#[test]
fn deactivated_scopes_are_not_polled() {
    let mut rig = Rig::settled(&["a", "b"]);
    assert_eq!(rig.feed(Event::Deactivated(scope("a"))), none());
    assert_eq!(rig.after(5_000, Event::Timer), ["pull b"]);
}

#[test]
fn a_burst_of_late_timers_makes_one_catch_up() {
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.after(600_000, Event::Timer), ["pull a"]);
    for _ in 0..50 {
        assert_eq!(rig.feed(Event::Timer), none());
    }
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), none());
    assert_eq!(rig.wait(), Some(5_000));
}

#[test]
fn a_push_applied_to_a_scope_that_is_not_active_is_followed_by_one_pull_of_it() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(100, Event::Enqueued);
    let batch = [sent(1, "a"), sent(2, "b"), sent(3, "b")];
    assert_eq!(rig.push_ends(answered(&batch, Outcome::Settled)), ["push"]);
    let batch = [sent(4, "b")];
    assert_eq!(rig.push_ends(answered(&batch, Outcome::Settled)), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull b"]);
    assert_eq!(rig.pull_ends("b", PullEnd::Drained), none());
}

#[test]
fn without_polling_a_push_to_an_active_scope_is_followed_by_a_pull_too() {
    let settings = Settings {
        poll_interval: Duration::MAX,
        ..Settings::default()
    };
    let mut rig = Rig::settled_with(settings, &["a"]);
    rig.after(1_000, Event::Enqueued);
    rig.push_ends(answered(&[sent(1, "a")], Outcome::Settled));
    assert_eq!(rig.push_nothing(), ["pull a"]);
}

#[test]
fn nothing_is_attempted_before_the_start_nor_after_a_stop() {
    let mut rig = Rig::new();
    assert_eq!(rig.feed(Event::Enqueued), none());
    assert_eq!(rig.feed(Event::Poked(scope("a"))), none());
    assert_eq!(rig.deadline(), None);
    let mut rig = Rig::settled(&["a"]);
    assert_eq!(rig.feed(Event::Stopped), none());
    assert_eq!(rig.after(9_000, Event::Enqueued), none());
    assert_eq!(rig.deadline(), None);
}

#[test]
fn a_new_lead_begins_like_a_start_and_ignores_the_completions_of_the_old_one() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(5_000, Event::Timer);
    rig.feed(Event::Enqueued);
    let (push, pull) = (rig.push.take().unwrap(), rig.pulls.remove(&scope("a")));
    rig.feed(Event::Stopped);
    assert_eq!(rig.feed(Event::Started), none());
    assert_eq!(rig.pass(1_000), ["push", "pull a"]);
    let late = Event::PushEnded {
        ticket: push,
        end: nothing(),
    };
    assert_eq!(rig.feed(late), none());
    let late = Event::PullEnded {
        ticket: pull.unwrap(),
        scope: scope("a"),
        end: PullEnd::Drained,
    };
    assert_eq!(rig.feed(late), none());
    let state = rig.scheduler.state();
    assert_eq!((state.pushing, state.pulling), (true, vec![scope("a")]));
}

#[test]
fn unknown_completions_are_ignored() {
    let mut rig = Rig::settled(&["a"]);
    let ticket = Ticket(4_711);
    let before = format!("{:?}", rig.scheduler);
    for event in [
        Event::PushEnded {
            ticket,
            end: nothing(),
        },
        Event::PullEnded {
            ticket,
            scope: scope("a"),
            end: PullEnd::Local,
        },
        Event::PullEnded {
            ticket,
            scope: scope("never heard of"),
            end: PullEnd::Drained,
        },
        Event::PurgeEnded {
            scope: scope("a"),
            purged: true,
        },
        Event::Deactivated(scope("never heard of")),
        Event::Resumed,
    ] {
        assert_eq!(rig.feed(event), none());
    }
    assert_eq!(format!("{:?}", rig.scheduler), before);
}

#[test]
fn the_state_tells_what_goes_on() {
    let mut rig = Rig::settled(&["a"]);
    let state = rig.scheduler.state();
    assert!(state.running && state.online && state.visible && state.idle);
    assert_eq!(state.next_pull, Some(Time::from_millis(105_000)));
    assert_eq!(state.next_push, None);
    rig.feed(Event::Enqueued);
    rig.push_fails(TransportErrorKind::Network, &[sent(1, "a")]);
    let state = rig.scheduler.state();
    assert!(!state.idle && !state.pushing);
    assert_eq!(
        (state.failed_pushes, state.next_push),
        (1, rig.scheduler.next_deadline())
    );
}
