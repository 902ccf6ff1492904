//! A server without versions or idempotency: refusals of what was sent before are judged by the stored state.

use sync_core::{
    model::MutationId,
    store::{EntryKind, EntryState, FailReason, Settlement},
    transport::{ServerRecord, Verdict},
};

use crate::device::{Device, dialect, json};

fn exists() -> Verdict {
    Verdict::Rejected {
        reason: "exists".to_owned(),
    }
}

fn theirs(text: &str) -> Verdict {
    Verdict::Conflict {
        theirs: ServerRecord {
            payload: Some(json(text)),
            schema: sync_core::model::Schema(1),
            version: None,
        },
    }
}

/// A create whose first answer was lost, refused when it was sent again.
fn doubted_create() -> (Device, MutationId) {
    let mut device = Device::of(dialect());
    let create = device.create("a", "mine");
    device.send();
    device.send();
    let report = device.answer(create, exists());
    assert_eq!(report.doubted, [("baby".into(), create)]);
    (device, create)
}

fn judge(device: &mut Device) -> sync_core::store::SettleReport {
    let began = device.ask("baby").began;
    device.settle(vec![Settlement::Judge("baby".into(), began)])
}

#[test]
fn a_refusal_of_the_first_send_is_believed() {
    let mut device = Device::of(dialect());
    let create = device.create("a", "mine");
    device.send();
    let report = device.answer(create, exists());
    assert_eq!(report.failed, [(create, FailReason::Rejected)]);
}

#[test]
fn a_doubted_create_was_applied_if_its_record_was_pulled_since() {
    let (mut device, create) = doubted_create();
    // Somebody else has changed it already.
    device.page().put("a", "theirs", 1).bare().apply();
    assert_eq!(device.view("a").as_deref(), Some("mine"));
    let report = judge(&mut device);
    assert_eq!(report.applied, [create]);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
}

#[test]
fn a_doubted_create_that_no_pull_shows_was_refused() {
    let (mut device, create) = doubted_create();
    device.page().bare().apply();
    let report = judge(&mut device);
    assert_eq!(report.failed, [(create, FailReason::Rejected)]);
    assert_eq!(device.view("a").as_deref(), Some("mine"));
}

#[test]
fn a_doubt_is_judged_only_by_a_pull_that_began_after_it() {
    let mut device = Device::of(dialect());
    let create = device.create("a", "mine");
    device.send();
    device.send();
    let began = device.ask("baby").began;
    device.answer(create, exists());
    let report = device.settle(vec![Settlement::Judge("baby".into(), began)]);
    assert!(report.failed.is_empty());
    assert_eq!(device.states("a"), [EntryKind::Pending]);
}

#[test]
fn a_repeated_refusal_does_not_put_the_judgement_off() {
    let (mut device, create) = doubted_create();
    let began = device.ask("baby").began;
    assert!(device.answer(create, exists()).doubted.is_empty());
    let report = device.settle(vec![Settlement::Judge("baby".into(), began)]);
    assert_eq!(report.failed.len(), 1);
}

#[test]
fn a_doubted_entry_and_its_followers_wait_for_the_pull() {
    let (mut device, _) = doubted_create();
    device.update("a", "newer");
    let other = device.create("b", "free");
    let taken = device.take();
    assert!(taken.waiting.contains(&"baby".into()));
    assert_eq!(taken.entries.len(), 1);
    assert_eq!(taken.entries[0].entry.mutation.id, other);
}

#[test]
fn a_doubted_update_was_applied_if_the_stored_state_is_its_result_but_for_stamped_fields() {
    let mut device = Device::of(dialect());
    let record = |ml: u32, at: u32| format!(r#"{{"ml":{ml},"updatedAt":{at}}}"#);
    device.page().put("a", &record(1, 1), 1).bare().apply();
    let edit = device.update("a", &record(2, 2));
    device.send();
    device.send();
    device.answer(edit, theirs(&record(2, 7)));
    device.page().put("a", &record(2, 7), 1).bare().apply();
    assert_eq!(judge(&mut device).applied, [edit]);
    assert_eq!(device.view("a"), Some(record(2, 7)));
    assert!(device.conflicts().is_empty());
}

#[test]
fn a_doubted_conflict_that_the_stored_state_bears_out_is_a_conflict() {
    let mut device = Device::of(dialect());
    device.page().put("a", "one", 1).bare().apply();
    let edit = device.update("a", "mine");
    device.send();
    device.send();
    device.answer(edit, theirs("theirs"));
    assert!(device.conflicts().is_empty());
    device.page().put("a", "theirs", 1).bare().apply();
    assert_eq!(judge(&mut device).conflicts.len(), 1);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
}

#[test]
fn a_doubted_delete_was_applied_if_the_record_is_gone() {
    let mut device = Device::of(dialect());
    device.page().put("a", "one", 1).bare().apply();
    let delete = device.delete("a");
    device.send();
    device.send();
    device.answer(delete, exists());
    device.page().remove("a", 1).bare().apply();
    assert_eq!(judge(&mut device).applied, [delete]);
    assert_eq!(device.entries(), []);
}

#[test]
fn a_follower_goes_out_over_its_predecessors_result_and_over_nothing_else() {
    let mut device = Device::of(dialect());
    device.page().put("a", "one", 1).bare().apply();
    let first = device.update("a", r#"{"ml":2}"#);
    device.send();
    let follower = device.update("a", r#"{"ml":3}"#);
    device.applied_somewhere(first);
    assert!(device.take().waiting.contains(&"baby".into()));
    let stored = r#"{"ml":2,"updatedAt":9}"#;
    device.page().put("a", stored, 1).bare().apply();
    let taken = device.take().entries.remove(0);
    assert_eq!(taken.entry.mutation.id, follower);
    assert_eq!(taken.over, Some(json(stored)));
    // Another's change has come between: to go above its time would be to overwrite it unseen.
    device.page().put("a", r#"{"ml":7}"#, 1).bare().apply();
    assert_eq!(device.take().entries.remove(0).over, None);
}

#[test]
fn a_follower_goes_out_over_its_predecessors_result_after_a_resync_too() {
    let mut device = Device::of(dialect());
    device.page().put("a", "one", 1).bare().apply();
    let first = device.update("a", r#"{"ml":2}"#);
    device.send();
    device.update("a", r#"{"ml":3}"#);
    device.applied_somewhere(first);
    device.resync(false);
    let stored = r#"{"ml":2,"updatedAt":9}"#;
    device.page().put("a", stored, 1).bare().apply();
    device.sweep_all();
    assert_eq!(device.take().entries.remove(0).over, Some(json(stored)));
}

#[test]
fn what_is_sent_once_more_after_a_new_epoch_is_doubted_like_any_other() {
    let mut device = Device::of(dialect());
    let create = device.create("a", "mine");
    device.send();
    device.applied_somewhere(create);
    device.resync(true);
    device.page().bare().apply();
    assert_eq!(device.send(), [create]);
    device.answer(create, exists());
    let EntryState::Pending(pending) = device.entry(create).state else {
        panic!("it is pending");
    };
    assert!(pending.doubt.is_some());
}
