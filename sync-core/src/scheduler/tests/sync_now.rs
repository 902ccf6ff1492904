//! Manual syncs and their reports.

use super::*;

fn sync(id: u64, scopes: &[&str]) -> Event {
    Event::SyncNow {
        id,
        scopes: scopes.iter().map(|scope| Scope::from(*scope)).collect(),
    }
}

#[test]
fn a_manual_sync_reports_when_its_flush_and_all_its_pulls_are_over() {
    let mut rig = Rig::settled(&["a", "b"]);
    assert_eq!(rig.after(1_000, sync(7, &[])), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a", "pull b"]);
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), none());
    assert_eq!(
        rig.pull_fails("b", TransportErrorKind::Timeout),
        [r#"report 7: Answered {("a"): Synced, ("b"): Failed(Timeout)}"#]
    );
}

#[test]
fn a_pull_that_began_before_the_flush_was_over_does_not_count() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, Event::Poked(Scope::from("a")));
    rig.after(300, sync(7, &["a"]));
    assert_eq!(rig.push_nothing(), none());
    assert_eq!(rig.pull_ends("a", PullEnd::Drained), ["pull a"]);
    assert_eq!(
        rig.pull_ends("a", PullEnd::Drained),
        [r#"report 7: Answered {("a"): Synced}"#]
    );
}

#[test]
fn a_failed_flush_is_reported_and_does_not_keep_the_pulls_from_coming() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, sync(7, &[]));
    assert_eq!(
        rig.push_fails(TransportErrorKind::Unavailable, &[sent(1, "a")]),
        ["pull a"]
    );
    assert_eq!(
        rig.pull_ends("a", PullEnd::Drained),
        [r#"report 7: Failed(Unavailable) {("a"): Synced}"#]
    );
}

#[test]
fn a_flush_that_hangs_is_reported_as_unfinished() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, sync(7, &[]));
    assert_eq!(rig.pass(2_000), ["pull a"]);
    assert_eq!(
        rig.pull_ends("a", PullEnd::Drained),
        [r#"report 7: Unfinished {("a"): Synced}"#]
    );
}

#[test]
fn a_manual_sync_of_nothing_reports_after_the_flush() {
    let mut rig = Rig::settled(&[]);
    assert_eq!(rig.feed(sync(7, &[])), ["push"]);
    assert_eq!(rig.push_nothing(), ["report 7: Answered {}"]);
}

#[test]
fn what_cannot_be_attempted_is_reported_at_once_with_the_reason() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Online(false));
    assert_eq!(
        rig.feed(sync(1, &[])),
        [r#"report 1: NotAttempted(Offline) {("a"): NotAttempted(Offline)}"#]
    );
    let mut rig = Rig::new();
    assert_eq!(
        rig.feed(sync(2, &["b"])),
        [r#"report 2: NotAttempted(NotLeading) {("b"): NotAttempted(NotLeading)}"#]
    );
    let mut rig = Rig::settled(&[]);
    rig.feed(Event::Poked(Scope::from("a")));
    rig.pull_fails("a", TransportErrorKind::OtherAccount);
    assert_eq!(
        rig.feed(sync(3, &[])),
        ["report 3: NotAttempted(Paused(OtherAccount)) {}"]
    );
}

#[test]
fn a_manual_sync_is_over_when_the_network_goes() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.after(1_000, sync(7, &[]));
    rig.push_nothing();
    rig.pull_ends("a", PullEnd::Drained);
    assert_eq!(
        rig.feed(Event::Online(false)),
        [r#"report 7: Answered {("a"): Synced, ("b"): NotAttempted(Offline)}"#]
    );
}

#[test]
fn a_manual_sync_is_over_when_the_lead_is_lost() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, sync(7, &[]));
    assert_eq!(
        rig.feed(Event::Stopped),
        [r#"report 7: NotAttempted(NotLeading) {("a"): NotAttempted(NotLeading)}"#]
    );
}

#[test]
fn a_manual_sync_is_over_when_the_engine_pauses() {
    let mut rig = Rig::settled(&["a"]);
    rig.after(1_000, sync(7, &[]));
    assert_eq!(
        rig.push_fails(TransportErrorKind::Unauthorized, &[sent(1, "a")]),
        [
            "pause AuthRequired",
            r#"report 7: Failed(Unauthorized) {("a"): NotAttempted(Paused(AuthRequired))}"#
        ]
    );
}

#[test]
fn a_manual_sync_resets_the_backoffs_of_pushes_and_of_the_scopes_that_it_names() {
    let mut rig = Rig::settled(&["a", "b"]);
    rig.feed(Event::Visible(false));
    for _ in 0..10 {
        rig.feed(Event::Enqueued);
        rig.feed(Event::Poked(Scope::from("a")));
        rig.feed(Event::Poked(Scope::from("b")));
        let wait = rig.wait().unwrap_or(0);
        rig.pass(wait);
        if rig.push.is_some() {
            rig.push_fails(TransportErrorKind::Network, &[sent(1, "a")]);
        }
        for scope in ["a", "b"] {
            if rig.pulls.contains_key(&Scope::from(scope)) {
                rig.pull_fails(scope, TransportErrorKind::Network);
            }
        }
    }
    rig.now += 500;
    assert_eq!(rig.feed(Event::Timer), none(), "all are backing off");
    assert_eq!(rig.feed(sync(7, &["a"])), ["push"]);
    assert_eq!(rig.push_nothing(), ["pull a"]);
}

#[test]
fn a_manual_sync_does_not_override_the_servers_retry_after() {
    let mut rig = Rig::settled(&["a"]);
    rig.feed(Event::Poked(Scope::from("a")));
    rig.pass(250);
    let end = PullEnd::Failed {
        kind: TransportErrorKind::Unavailable,
        retry_after: Some(seconds(60)),
        had_access: true,
    };
    rig.pull_ends("a", end);
    assert_eq!(rig.after(1_000, sync(7, &["a"])), ["push"]);
    assert_eq!(
        rig.push_nothing(),
        [r#"report 7: Answered {("a"): Failed(Unavailable)}"#]
    );
}

#[test]
fn a_flood_of_manual_syncs_against_a_dead_server_makes_two_requests_of_a_kind_a_second() {
    let mut rig = Rig::settled(&["a"]);
    let (mut pushes, mut pulls) = (0, 0);
    for id in 0..10_000 {
        let mut actions = rig.pass(1);
        actions.extend(rig.feed(sync(id, &["a"])));
        while rig.push.is_some() || !rig.pulls.is_empty() {
            if rig.push.is_some() {
                pushes += 1;
                rig.push_fails(TransportErrorKind::Network, &[sent(1, "a")]);
            }
            if !rig.pulls.is_empty() {
                pulls += 1;
                rig.pull_fails("a", TransportErrorKind::Network);
            }
        }
    }
    assert!((19..=21).contains(&pushes), "{pushes} pushes in 10 s");
    assert!((19..=21).contains(&pulls), "{pulls} pulls in 10 s");
}
