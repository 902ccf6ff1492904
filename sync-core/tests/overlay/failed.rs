//! Rule 6, and guarantee 4: a refusal never removes what the user wrote.

use sync_core::{
    model::{MutationId, Op, Version},
    store::{EntryKind, EntryState, FailReason, Marks},
    transport::Verdict,
};

use crate::device::{Device, json};

fn reason(device: &Device, id: MutationId) -> FailReason {
    match device.entry(id).state {
        EntryState::Failed(failed) => failed.reason,
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn a_refused_create_stays_in_the_view_marked() {
    let mut device = Device::new();
    let edit = device.create("a", "mine");
    device.send();
    device.rejected(edit);
    assert_eq!(device.view("a").as_deref(), Some("mine"));
    assert_eq!(device.marks("a"), Marks::FAILED);
    assert!(device.send().is_empty());
    device.page().put("a", "theirs", 4).apply();
    assert_eq!(device.view("a").as_deref(), Some("mine"));
}

#[test]
fn the_followers_of_a_refused_mutation_are_set_aside_with_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    let other = device.update("b", "free");
    device.answer(first, Verdict::Forbidden);
    assert_eq!(reason(&device, first), FailReason::Forbidden);
    assert_eq!(reason(&device, second), FailReason::Predecessor);
    assert_eq!(device.send(), [other]);
}

#[test]
fn failed_entries_are_retried_together_as_one_new_mutation() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    device.update("a", "three");
    device.rejected(first);
    device.page().put("a", "theirs", 8).apply();
    let queued = device.create("b", "earlier in the queue");
    let again = device.retry("a").unwrap();
    assert_eq!(device.states("a"), [EntryKind::Pending]);
    let mutation = device.entry(again).mutation;
    assert_eq!(mutation.op, Op::Update(json("three")));
    assert_eq!(mutation.base_version, Some(Version::new("e1", 3)));
    assert_eq!(device.send(), [queued, again]);
    assert_eq!(device.retry("a"), None);
}

#[test]
fn a_new_edit_takes_the_failed_ones_up() {
    let mut device = Device::new();
    let create = device.create("a", "one");
    device.send();
    device.rejected(create);
    let edit = device.update("a", "two");
    assert_ne!(create, edit);
    assert_eq!(device.entry(edit).mutation.op, Op::Create(json("two")));
    assert_eq!(device.states("a"), [EntryKind::Pending]);
}

#[test]
fn a_retried_edit_still_comes_after_the_own_edit_that_was_applied() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    device.applied(first, 5);
    device.send();
    device.rejected(second);
    let again = device.retry("a").unwrap();
    assert_eq!(device.entry(again).mutation.after, Some(first));
}

#[test]
fn after_discarding_the_view_is_as_if_the_edits_had_never_been() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let (a, b) = (device.update("a", "two"), device.create("b", "new"));
    device.send();
    device.update("a", "three");
    device.rejected(a);
    device.rejected(b);
    assert_eq!(device.discard("a").len(), 2);
    assert_eq!(device.discard("b").len(), 1);
    assert_eq!(device.view("a").as_deref(), Some("one"));
    assert_eq!(device.marks("a"), Marks::default());
    assert_eq!(device.view("b"), None);
    assert_eq!(device.entries(), []);
}

#[test]
fn a_failed_delete_stays_listed_with_the_state_beneath_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let delete = device.delete("a");
    device.send();
    assert_eq!(device.view("a"), None);
    device.rejected(delete);
    assert_eq!(device.view("a").as_deref(), Some("one"));
    assert_eq!(device.marks("a"), Marks::FAILED);
    device.page().put("a", "theirs", 4).apply();
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    let again = device.retry("a").unwrap();
    assert_eq!(device.entry(again).mutation.op, Op::Delete);
    assert_eq!(device.view("a"), None);
}

#[test]
fn an_edit_over_a_failed_delete_replaces_what_is_beneath_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let delete = device.delete("a");
    device.send();
    device.rejected(delete);
    let edit = device.create("a", "two");
    assert_eq!(device.entry(edit).mutation.op, Op::Update(json("two")));
}

#[test]
fn a_failed_mutation_that_a_page_shows_was_applied_after_all() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    device.update("a", "three");
    device.set_aside(first, FailReason::Poison);
    let applied = device.page().put("a", "two", 5).made_by(first).apply();
    assert_eq!(applied.confirmed, [first]);
    // What followed it was never sent, and is for the app to retry: it comes after the one that was applied.
    assert_eq!(device.view("a").as_deref(), Some("three"));
    let again = device.retry("a").unwrap();
    assert_eq!(device.entry(again).mutation.after, Some(first));
}

#[test]
fn a_pulled_change_does_not_overwrite_a_pending_edit() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.update("a", "mine");
    device.page().put("a", "theirs", 4).apply();
    assert_eq!(device.view("a").as_deref(), Some("mine"));
    device.page().remove("a", 5).apply();
    assert_eq!(device.view("a").as_deref(), Some("mine"));
}
