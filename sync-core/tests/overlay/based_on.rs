//! Rule 1: what a mutation was based on is fixed when it is enqueued.

use sync_core::{
    model::{MutationId, Op, Payload, Version},
    store::Enqueued,
};

use crate::device::{Device, json, queued};

fn version(seq: u64) -> Option<Version> {
    Some(Version::new("e1", seq))
}

fn based(device: &Device, id: MutationId) -> (Option<Version>, Option<MutationId>) {
    let mutation = device.entry(id).mutation;
    (mutation.base_version, mutation.after)
}

#[test]
fn an_edit_of_a_pulled_record_is_based_on_its_version() {
    let mut device = Device::with(&[("a", "one", 3)], 8);
    let edit = device.update("a", "two");
    assert_eq!(based(&device, edit), (version(3), None));
}

#[test]
fn an_edit_of_an_absent_record_is_based_on_the_position_of_its_scope() {
    let mut device = Device::with(&[("a", "one", 3)], 8);
    let create = device.create("b", "new");
    assert_eq!(based(&device, create), (version(8), None));
    let never_pulled = device.create("toy/b", "new");
    assert_eq!(based(&device, never_pulled), (None, None));
}

#[test]
fn an_absent_record_keeps_the_position_while_the_same_history_is_pulled_anew() {
    let mut device = Device::with(&[("a", "one", 3)], 8);
    device.resync(false);
    device.page().put("a", "one", 3).more().apply();
    let create = device.create("b", "new");
    assert_eq!(based(&device, create), (version(8), None));
}

#[test]
fn an_edit_over_a_pending_one_shares_its_base_and_comes_after_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    device.page().put("a", "theirs", 4).apply();
    let second = device.update("a", "three");
    assert_eq!(based(&device, second), (version(3), Some(first)));
}

#[test]
fn an_edit_over_an_acknowledged_one_is_based_on_the_version_of_the_answer() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    device.applied(first, 5);
    let second = device.update("a", "three");
    assert_eq!(based(&device, second), (version(5), Some(first)));
}

#[test]
fn an_edit_over_a_record_that_an_answer_carried_is_based_on_that_record() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 4)], 4);
    let lost = device.update("a", "mine");
    let merged = device.update("b", "mine");
    device.send();
    device.conflict(lost, "theirs", 6);
    device.merged(merged, "ours", 7);
    let over_theirs = device.update("a", "again");
    let over_merged = device.update("b", "again");
    assert_eq!(based(&device, over_theirs), (version(6), None));
    // The merged mutation is in the view, so that a server of another epoch can tell the chain by it.
    assert_eq!(based(&device, over_merged), (version(7), Some(merged)));
}

#[test]
fn no_later_pull_changes_what_an_edit_was_based_on() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    device.page().put("a", "theirs", 9).apply();
    device.page().put("a", "theirs again", 12).apply();
    assert_eq!(based(&device, first), (version(3), None));
    assert_eq!(based(&device, second), (version(3), Some(first)));
}

#[test]
fn an_edit_that_expects_another_view_is_refused_and_leaves_no_trace() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let read = device.row("a").unwrap().payload;
    device.page().put("a", "theirs", 4).apply();
    let refused = device.edit_expecting("a", Op::Update(json("two")), Some(read));
    assert!(refused.is_err());
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert_eq!(device.entries(), []);

    let read = device.row("a").unwrap().payload;
    let made = device.edit_expecting("a", Op::Update(json("two")), Some(read));
    assert!(matches!(made, Ok(Enqueued::Queued(_))));
}

#[test]
fn an_edit_that_expects_the_same_json_in_another_spelling_is_made() {
    let mut device = Device::new();
    let created = Payload::parse(r#"{"ml":120.0,"side":"left"}"#).unwrap();
    device.edit("a", Op::Create(created));

    // What a store reads back that keeps records as parsed JSON.
    let read = Payload::parse(r#"{"side":"left","ml":120}"#).unwrap();
    let made = device.edit_expecting("a", Op::Update(json("two")), Some(read));
    assert!(matches!(made, Ok(Enqueued::Queued(_))));
}

#[test]
fn ids_ascend_while_the_clock_steps_back() {
    let mut device = Device::new();
    let first = device.create("a", "one");
    device.now = 0;
    let second = queued(device.edit("b", Op::Create(json("two"))));
    assert!(first < second);
}
