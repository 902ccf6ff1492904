//! Guarantee 5: once applied, a mutation's state is never replaced by an older one, on any page boundary.

use sync_core::store::Marks;

use crate::device::{Device, dialect};

#[test]
fn an_applied_edit_does_not_flicker_while_its_pull_is_on_the_way() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    device.applied(edit, 9);
    for page in 4..8 {
        device.page().put("b", "other", page).more().apply();
        assert_eq!(device.view("a").as_deref(), Some("two"));
    }
    device.page().put("a", "theirs", 8).more().apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    device.page().put("a", "two", 9).made_by(edit).apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert_eq!(device.marks("a"), Marks::default());
}

#[test]
fn the_echo_of_an_edit_does_not_hide_its_follower() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    device.page().put("a", "two", 5).made_by(first).apply();
    assert_eq!(device.view("a").as_deref(), Some("three"));
    device.send();
    device.applied(second, 6);
    assert_eq!(device.view("a").as_deref(), Some("three"));
    device.page().put("b", "other", 7).more().apply();
    assert_eq!(device.view("a").as_deref(), Some("three"));
}

#[test]
fn the_echo_of_an_acknowledged_edit_does_not_hide_a_later_acknowledged_one() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    device.send();
    device.applied(first, 5);
    device.applied(second, 6);
    device
        .page()
        .put("a", "two", 5)
        .made_by(first)
        .more()
        .apply();
    assert_eq!(device.view("a").as_deref(), Some("three"));
    assert_eq!(device.entries().len(), 1);
}

#[test]
fn the_echo_of_a_merged_edit_does_not_hide_the_newer_record_that_its_answer_carried() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "mine");
    device.send();
    device.merged_before(edit, 5, ("theirs", 9));
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    // These pages were read before the answer was given.
    device
        .page()
        .put("a", "ours", 5)
        .made_by(edit)
        .more()
        .apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    let page = device.page().put("a", "others", 7);
    page.overwrote(edit, "me", 7).more().apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    device.page().put("a", "theirs", 9).apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert_eq!(device.entries(), []);
}

#[test]
fn an_edit_whose_answer_is_missing_does_not_cover_a_later_one_that_was_applied() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    device.send();
    // The answer names only the second.
    device.applied(second, 6);
    assert_eq!(device.view("a").as_deref(), Some("three"));
    // Another's change supersedes both: the server has decided the first before the second.
    let applied = device.page().put("a", "theirs", 8).apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert_eq!(applied.confirmed, [first]);
    assert_eq!(device.entries(), []);
}

#[test]
fn an_applied_delete_does_not_flicker_and_the_record_does_not_come_back() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    let delete = device.delete("a");
    device.send();
    device.applied(edit, 5);
    device.applied(delete, 6);
    device
        .page()
        .put("a", "two", 5)
        .made_by(edit)
        .more()
        .apply();
    assert_eq!(device.view("a"), None);
    device.page().remove("a", 6).made_by(delete).apply();
    assert_eq!(device.view("a"), None);
    assert_eq!(device.entries(), []);
}

#[test]
fn a_lost_conflict_shows_the_record_of_the_answer_until_a_pull_brings_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "mine");
    device.send();
    device.conflict(edit, "theirs", 8);
    device.page().put("a", "between", 5).more().apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    device.page().put("a", "theirs", 8).apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert_eq!(device.entries(), []);
}

#[test]
fn without_versions_an_edit_stays_until_a_pull_that_began_after_its_answer_has_drained() {
    let mut device = Device::of(dialect());
    device.page().put("a", "one", 1).bare().apply();
    let edit = device.update("a", "two");
    device.send();
    let began_before = device.ask("baby");
    device.applied_somewhere(edit);
    device.page_for(began_before).bare().apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    let began_after = device.ask("baby");
    device.page_for(began_after.clone()).bare().more().apply();
    assert_eq!(device.marks("a"), Marks::ACKNOWLEDGED);
    let next = sync_core::model::Cursor::from("cursor 3");
    let asked = crate::device::Asked {
        from: Some(next),
        ..began_after
    };
    device.page_for(asked).put("a", "two", 1).bare().apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert_eq!(device.entries(), []);
}

#[test]
fn a_resync_that_ends_before_an_applied_edit_does_not_hide_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.page().put("b", "one", 9).more().apply();
    let edit = device.update("a", "two");
    device.send();
    device.applied(edit, 8);
    device.resync(false);
    // A replica that is behind answers: what was scanned before the resync does not count.
    device.page().put("a", "one", 3).through(7).apply();
    device.sweep_all();
    assert_eq!(device.view("a").as_deref(), Some("two"));
}

#[test]
fn an_applied_edit_does_not_flicker_while_its_scope_is_resynced() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 4)], 4);
    let edit = device.update("a", "two");
    device.send();
    device.applied(edit, 9);
    device.resync(false);
    assert_eq!(device.view("a").as_deref(), Some("two"));
    device.page().put("b", "one", 4).more().apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    // The scan ends before the edit: it stays, though nothing else of the record has come.
    device.page().put("c", "one", 7).apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    device.sweep_all();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    device.page().put("a", "two", 9).made_by(edit).apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert_eq!(device.entries(), []);
}
