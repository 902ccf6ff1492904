//! A scope pulled anew beside the live data: only bases change, and it goes on where it was.

use sync_core::{
    model::{Generation, Scope, Version},
    store::{ApplyOutcome, CursorStore, EntryKind, EntryState, Marks},
    transport::Verdict,
};

use crate::device::{Device, now};

#[test]
fn the_live_records_stay_while_a_scope_is_pulled_anew() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 4)], 4);
    device.resync(false);
    assert_eq!(device.scope().generation, Generation(2));
    assert_eq!(device.ask("baby").from, None);
    device.page().put("b", "two", 9).more().apply();
    assert_eq!(device.view("a").as_deref(), Some("one"));
    assert_eq!(device.view("b").as_deref(), Some("two"));
    assert!(device.page().through(9).apply().sweep);
    assert_eq!(device.view("a").as_deref(), Some("one"));
    device.sweep_all();
    assert_eq!(device.view("a"), None);
    assert_eq!(device.view("b").as_deref(), Some("two"));
    assert_eq!(device.scope().resync, None);
}

#[test]
fn a_sweep_goes_on_where_it_stopped() {
    let records: Vec<(String, u64)> = (1..=10).map(|n| (format!("r{n:02}"), n)).collect();
    let records: Vec<_> = records.iter().map(|(id, n)| (&**id, "one", *n)).collect();
    let mut device = Device::with(&records, 10);
    device.resync(false);
    device.page().put("r05", "one", 5).through(10).apply();
    let mut steps = 0;
    while !device.sweep(3) {
        steps += 1;
        assert!(steps < 10, "the sweep does not move on");
        let resync = device.scope().resync.unwrap();
        assert!(resync.swept.is_some(), "a killed app knows where it was");
    }
    assert_eq!(steps, 4);
    assert_eq!(device.view("r05").as_deref(), Some("one"));
    assert_eq!(device.view("r06"), None);
    assert!(device.sweep(3), "a further step is harmless");
}

#[test]
fn a_sweep_before_the_pull_has_drained_removes_nothing() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resync(false);
    device.page().put("b", "one", 4).more().apply();
    assert!(device.sweep(100));
    assert_eq!(device.view("a").as_deref(), Some("one"));
    assert!(device.scope().resync.is_some());
}

#[test]
fn edits_survive_a_resync_over_the_new_state() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 4), ("c", "one", 5)], 5);
    let failed = device.update("a", "failed");
    device.send();
    device.rejected(failed);
    device.update("b", "pending");
    device.delete("c");
    device.resync(false);
    device.page().put("b", "new", 8).put("c", "new", 9).apply();
    device.sweep_all();
    assert_eq!(device.view("a").as_deref(), Some("failed"));
    assert!(
        device
            .marks("a")
            .contains(Marks::FAILED.with(Marks::REVIVED))
    );
    assert_eq!(device.view("b").as_deref(), Some("pending"));
    assert_eq!(device.view("c"), None);
    device.discard("a");
    assert_eq!(device.view("a"), None, "the server no longer has it");
}

#[test]
fn a_record_whose_edits_are_discarded_behind_the_sweep_does_not_stay() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 4)], 4);
    let edit = device.update("a", "mine");
    device.send();
    device.rejected(edit);
    device.resync(false);
    device.page().through(9).apply();
    assert!(!device.sweep(1), "the sweep is past the record");
    device.discard("a");
    device.sweep_all();
    assert_eq!(device.view("a"), None);
    assert_eq!(device.view("b"), None);
}

#[test]
fn a_record_that_is_edited_before_the_sweep_and_discarded_behind_it_does_not_stay() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 4)], 4);
    device.resync(false);
    device.page().through(9).apply();
    let edit = device.update("a", "mine");
    // The edit was made from what was on the screen.
    let base = device.entry(edit).mutation.base_version;
    assert_eq!(base, Some(Version::new("e1", 3)));
    device.send();
    assert!(!device.sweep(1));
    device.rejected(edit);
    device.discard("a");
    device.sweep_all();
    assert_eq!(device.view("a"), None);
}

#[test]
fn a_record_that_is_edited_and_discarded_before_the_sweep_is_still_removed() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resync(false);
    device.page().through(9).apply();
    let edit = device.update("a", "mine");
    device.send();
    device.rejected(edit);
    device.discard("a");
    assert_eq!(device.view("a"), None);
    device.sweep_all();
    assert_eq!(device.view("a"), None);
}

#[test]
fn on_a_new_epoch_acknowledged_edits_go_back_to_their_old_place_marked_as_sent() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    device.applied(first, 9);
    let second = device.create("b", "later");
    let page = device.page().put("a", "one", 3).epoch("e2");
    assert_eq!(page.outcome(), ApplyOutcome::OtherEpoch);
    device.resync(true);
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert_eq!(device.counts().acknowledged, 0);
    let EntryState::Pending(pending) = device.entry(first).state else {
        panic!("it is in the outbox");
    };
    assert!(pending.sent_at.is_some());
    device.page().put("a", "one", 3).epoch("e2").apply();
    assert_eq!(device.send(), [first, second]);
    device.sweep_all();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert_eq!(device.scope().epoch().unwrap().as_str(), "e2");
}

#[test]
fn what_was_accepted_before_the_first_pull_goes_back_when_that_shows_another_epoch() {
    for more in [false, true] {
        let mut device = Device::new();
        let edit = device.create("a", "one");
        device.send();
        device.applied(edit, 1);
        let page = device.page().put("b", "theirs", 1).epoch("e2");
        let page = if more { page.more() } else { page };
        assert_eq!(page.outcome(), ApplyOutcome::OtherEpoch);
        device.resync(true);
        assert_eq!(device.send(), [edit]);
        device.page().epoch("e2").apply();
        assert_eq!(device.view("a").as_deref(), Some("one"));
    }
}

#[test]
fn on_a_new_epoch_a_merged_edit_goes_back_as_it_was_sent() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "mine");
    device.send();
    device.merged(edit, "ours", 9);
    device.resync(true);
    assert_eq!(device.view("a").as_deref(), Some("mine"));
    device.page().epoch("e2").more().apply();
    assert_eq!(device.send(), [edit]);
}

#[test]
fn records_that_answers_carried_leave_when_the_resync_ends() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let lost = device.update("a", "mine");
    device.send();
    device.conflict(lost, "theirs", 9);
    device.resync(true);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert!(device.send().is_empty());
    device
        .page()
        .put("a", "restored", 2)
        .epoch("e2")
        .more()
        .apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    device.page().through(4).epoch("e2").apply();
    device.sweep_all();
    assert_eq!(device.view("a").as_deref(), Some("restored"));
    assert_eq!(device.entries(), []);
}

#[test]
fn an_edit_that_was_applied_in_the_new_epoch_outlives_the_resync_that_began_before() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resync(true);
    device.page().put("a", "one", 3).epoch("e2").more().apply();
    let asked = device.ask("baby");
    let edit = device.update("a", "two");
    device.send();
    let version = Some(Version::new("e2", 8));
    let record = None;
    device.answer(edit, Verdict::Applied { version, record });
    device.page_for(asked).epoch("e2").through(7).apply();
    device.sweep_all();
    assert_eq!(device.states("a"), [EntryKind::Acknowledged]);
    device.page().epoch("e2").through(8).apply();
    assert_eq!(device.entries(), []);
}

#[test]
fn an_answer_from_the_history_before_means_nothing_and_the_edit_goes_again() {
    for late in [false, true] {
        let mut device = Device::with(&[("a", "one", 3)], 3);
        let edit = device.update("a", "two");
        device.send();
        device.resync(true);
        if late {
            device.page().put("a", "one", 3).epoch("e2").apply();
        }
        let report = device.applied(edit, 4);
        assert_eq!(report.applied, []);
        assert_eq!(report.doubted, [(Scope::from("baby"), edit)]);
        if !late {
            device.page().put("a", "one", 3).epoch("e2").apply();
        }
        device.page().epoch("e2").apply();
        assert_eq!(device.view("a").as_deref(), Some("two"));
        assert_eq!(device.send(), [edit], "the server has forgotten it");
        let (version, record) = (Some(Version::new("e2", 4)), None);
        let report = device.answer(edit, Verdict::Applied { version, record });
        assert_eq!(report.applied, [edit]);
    }
}

#[test]
fn an_answer_of_a_history_that_is_not_known_yet_waits_for_the_pull_that_shows_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    let (version, record) = (Some(Version::new("e2", 4)), None);
    let report = device.answer(edit, Verdict::Applied { version, record });
    assert_eq!(report.doubted, [(Scope::from("baby"), edit)]);
    device.resync(true);
    let page = device.page().put("a", "two", 4).made_by(edit);
    assert_eq!(page.epoch("e2").apply().confirmed, [edit]);
    assert_eq!(device.entries(), []);
}

#[test]
fn a_second_new_epoch_in_the_middle_of_a_resync_is_noticed() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resync(true);
    device.page().put("a", "one", 3).epoch("e2").more().apply();
    // The cursor expires on the way; the history is still the second one.
    device.resync(false);
    let page = device.page().put("a", "one", 3).epoch("e3");
    assert_eq!(page.outcome(), ApplyOutcome::OtherEpoch);
    device.resync(true);
    device.page().put("a", "one", 3).epoch("e3").apply();
    device.sweep_all();
    assert_eq!(device.scope().epochs.len(), 1);
}

#[test]
fn a_new_epoch_is_still_expected_when_its_resync_begins_again_before_any_page() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resync(true);
    device.resync(false);
    device.page().put("a", "one", 3).epoch("e2").apply();
    device.sweep_all();
    assert_eq!(device.row("a").unwrap().seq, Some(3));
    let base = device.update("a", "two");
    let base = device.entry(base).mutation.base_version;
    assert_eq!(base, Some(Version::new("e2", 3)));
}

#[test]
fn while_two_epochs_are_about_each_record_has_the_version_of_its_own() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 4)], 4);
    device.resync(true);
    device.page().put("b", "two", 4).epoch("e2").more().apply();
    let (a, b) = (device.update("a", "x"), device.update("b", "x"));
    let base = |id| device.entry(id).mutation.base_version.unwrap();
    assert_eq!(base(a), Version::new("e1", 3));
    assert_eq!(base(b), Version::new("e2", 4));
}

#[test]
fn resyncs_of_other_scopes_leave_a_scope_alone() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let before = now(device.store.scope("toy".into())).unwrap().0;
    device.resync(true);
    assert_eq!(now(device.store.scope("toy".into())).unwrap().0, before);
}
