//! Rule 2: edits merge only into the last entry of their scope, of the same record, that was never taken.

use sync_core::{
    model::{MutationId, Op},
    store::{Enqueued, Marks},
};

use crate::device::{Device, json};

fn op(device: &Device, id: MutationId) -> Op {
    device.entry(id).mutation.op
}

#[test]
fn a_second_edit_merges_into_the_unsent_first() {
    let mut device = Device::new();
    let create = device.create("a", "one");
    assert_eq!(device.update("a", "two"), create);
    assert_eq!(op(&device, create), Op::Create(json("two")));
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert_eq!(device.counts().pending, 1);
}

#[test]
fn a_sent_entry_is_never_merged_into() {
    let mut device = Device::new();
    let first = device.create("a", "one");
    device.send();
    let second = device.update("a", "two");
    assert_ne!(first, second);
    assert_eq!(op(&device, first), Op::Create(json("one")));
    assert_eq!(device.view("a").as_deref(), Some("two"));
}

#[test]
fn an_edit_is_never_merged_past_another_record() {
    let mut device = Device::new();
    let parent = device.create("parent", "one");
    let child = device.create("child", "of parent");
    let again = device.update("parent", "two");
    assert_eq!(device.send(), [parent, child, again]);
}

#[test]
fn edits_of_another_scope_do_not_keep_an_edit_from_merging() {
    let mut device = Device::new();
    let first = device.create("a", "one");
    device.create("toy/a", "elsewhere");
    assert_eq!(device.update("a", "two"), first);
}

#[test]
fn an_unsent_create_and_its_delete_leave_nothing() {
    let mut device = Device::new();
    device.create("a", "one");
    assert_eq!(device.edit("a", Op::Delete), Enqueued::Cancelled);
    assert_eq!(device.view("a"), None);
    assert_eq!(device.entries(), []);
}

#[test]
fn a_create_over_a_present_record_and_its_delete_stay_a_delete() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let create = device.create("a", "two");
    assert_eq!(device.delete("a"), create);
    assert_eq!(op(&device, create), Op::Delete);
    assert_eq!(device.view("a"), None);
}

#[test]
fn a_create_over_a_pending_delete_and_its_delete_stay_a_delete() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.delete("a");
    device.send();
    let create = device.create("a", "two");
    assert_eq!(device.delete("a"), create);
    assert_eq!(op(&device, create), Op::Delete);
}

#[test]
fn a_create_over_an_acknowledged_delete_and_its_delete_stay_a_delete() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let delete = device.delete("a");
    device.send();
    device.applied(delete, 5);
    let create = device.create("a", "two");
    assert_eq!(device.delete("a"), create);
    assert_eq!(op(&device, create), Op::Delete);
}

#[test]
fn a_create_over_own_edits_that_no_pull_has_shown_and_its_delete_stay_a_delete() {
    let mut device = Device::new();
    let first = device.create("a", "one");
    device.send();
    let delete = device.delete("a");
    device.send();
    // Nothing is pulled and nothing is seen, but the server has something to delete.
    for (id, seq) in [(first, 1), (delete, 2)] {
        let create = device.create("a", "two");
        assert_eq!(device.delete("a"), create);
        assert_eq!(op(&device, create), Op::Delete);
        device.send();
        device.applied(id, seq);
    }
}

#[test]
fn a_delete_over_a_failed_create_is_sent_for_the_server_may_hold_it() {
    let mut device = Device::new();
    let create = device.create("a", "one");
    device.send();
    device.set_aside(create, sync_core::store::FailReason::Poison);
    let delete = device.delete("a");
    assert_ne!(create, delete);
    assert_eq!(op(&device, delete), Op::Delete);
    assert_eq!(device.view("a"), None);
    assert_eq!(device.counts().pending, 1);
}

#[test]
fn a_delete_over_a_create_that_stands_for_a_failed_one_is_sent_too() {
    let mut device = Device::new();
    for id in ["a", "b"] {
        let create = device.create(id, "one");
        device.send();
        device.set_aside(create, sync_core::store::FailReason::Poison);
    }
    device.update("a", "two");
    let a = device.delete("a");
    let b = device.retry("b").unwrap();
    assert_eq!(device.delete("b"), b);
    assert_eq!([op(&device, a), op(&device, b)], [Op::Delete, Op::Delete]);
}

#[test]
fn an_unsent_delete_and_a_create_become_an_update_of_what_is_there() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let delete = device.delete("a");
    assert_eq!(device.create("a", "two"), delete);
    assert_eq!(op(&device, delete), Op::Update(json("two")));
    assert_eq!(device.entry(delete).mutation.base_version.unwrap().seq, 3);
}

#[test]
fn an_update_of_an_absent_record_creates_it_and_says_so() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.update("a", "two");
    device.send();
    device.page().remove("a", 4).apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert!(
        device
            .marks("a")
            .contains(Marks::PENDING.with(Marks::REVIVED))
    );
}

#[test]
fn a_delete_of_an_absent_record_shows_nothing() {
    let mut device = Device::new();
    device.delete("a");
    assert_eq!(device.view("a"), None);
    assert_eq!(device.counts().pending, 1);
}
