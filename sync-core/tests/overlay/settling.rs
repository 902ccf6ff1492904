//! Rules 3, 4, 5, 7, 9 and 10: what answers do, and when an acknowledged mutation leaves.

use std::sync::Arc;

use sync_core::{
    error::StoreErrorKind,
    model::{Op, Version},
    policy::{Choice, NoUpgrade},
    store::{
        ChangeApplier, EntryKind, EntryState, FailReason, Fence, Marks, Outbox, Pick, Resolution,
        SettleRequest, Settlement, TakeRequest,
    },
    transport::Verdict,
};

use crate::device::{Always, Device, json, now};

#[test]
fn an_applied_mutation_is_durable_outside_the_outbox_until_a_pull_shows_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    assert_eq!(device.applied(edit, 5).applied, [edit]);
    assert_eq!(device.counts().pending, 0);
    assert_eq!(device.counts().acknowledged, 1);
    assert_eq!(device.marks("a"), Marks::ACKNOWLEDGED);
    device.page().put("a", "two", 5).made_by(edit).apply();
    assert_eq!(device.entries(), []);
    assert_eq!(device.marks("a"), Marks::default());
}

#[test]
fn an_answer_writes_no_base() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    device.conflict(first, "theirs", 6);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    // The record still says which pull it comes from.
    assert_eq!(device.row("a").unwrap().seq, Some(3));
}

#[test]
fn the_record_that_an_answer_carries_takes_the_place_of_the_mutation() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "mine");
    device.send();
    device.merged(edit, "ours", 5);
    assert_eq!(device.view("a").as_deref(), Some("ours"));
    // What was sent is kept beside it.
    assert_eq!(device.entry(edit).mutation.op, Op::Update(json("mine")));
    device.page().put("b", "other", 4).apply();
    assert_eq!(device.view("a").as_deref(), Some("ours"));
}

#[test]
fn an_acknowledged_mutation_leaves_with_those_before_it_when_a_later_change_of_its_record_comes() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    device.send();
    device.applied(first, 5);
    device.applied(second, 6);
    device.page().put("a", "theirs", 9).more().apply();
    assert_eq!(device.entries(), []);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
}

#[test]
fn an_acknowledged_mutation_leaves_when_a_drained_pull_has_scanned_past_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.delete("a");
    device.send();
    device.applied(edit, 5);
    device.page().through(7).more().apply();
    assert_eq!(device.states("a"), [EntryKind::Acknowledged]);
    device.page().through(7).apply();
    assert_eq!(device.entries(), []);
}

#[test]
fn a_drained_pull_that_ends_before_its_version_leaves_an_acknowledged_mutation() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    device.applied(edit, 5);
    // A replica behind the primary.
    device.page().through(4).apply();
    assert_eq!(device.view("a").as_deref(), Some("two"));
}

#[test]
fn an_answer_that_comes_after_its_change_was_pulled_leaves_nothing_behind() {
    let mut device = Device::with(&[("a", "one", 3), ("b", "one", 2)], 3);
    let (a, b) = (device.update("a", "two"), device.update("b", "two"));
    device.send();
    // Another's change has superseded the own one, so that no id shows up.
    device.page().put("a", "theirs", 6).through(8).apply();
    device.applied(a, 5);
    device.applied(b, 7);
    assert_eq!(device.entries(), []);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
}

#[test]
fn an_own_mutation_in_a_page_is_settled_by_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    let applied = device.page().put("a", "two", 5).made_by(edit).apply();
    assert_eq!(applied.confirmed, [edit]);
    assert_eq!(device.entries(), []);
    assert_eq!(device.view("a").as_deref(), Some("two"));
    // Its answer comes late.
    assert!(device.applied(edit, 5).applied.is_empty());
    assert_eq!(device.entries(), []);
}

#[test]
fn an_own_mutation_that_a_page_says_was_overwritten_is_settled_by_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    let page = device.page().put("a", "theirs", 6);
    let applied = page.overwrote(edit, "me", 6).apply();
    assert_eq!(applied.confirmed, [edit]);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert_eq!(device.conflicts()[0].resolution, Resolution::Overwritten);
}

#[test]
fn an_own_mutation_in_a_page_settles_those_of_its_record_before_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    let second = device.update("a", "three");
    device.send();
    let third = device.update("a", "four");
    device.page().put("a", "three", 6).made_by(second).apply();
    assert_eq!(device.view("a").as_deref(), Some("four"));
    let left: Vec<_> = device.entries().iter().map(|e| e.mutation.id).collect();
    assert_eq!(left, [third], "{first} and {second} are settled");
}

#[test]
fn what_has_an_unknown_outcome_keeps_its_id_and_its_content() {
    let mut device = Device::new();
    let edit = device.create("a", "one");
    let first = device.take().entries.remove(0).entry.mutation;
    let (after, resync) = (None, false);
    device.answer(edit, Verdict::Retry { after, resync });
    assert_eq!(device.take().entries.remove(0).entry.mutation, first);
}

#[test]
fn mine_again_is_a_new_mutation_at_the_end_of_the_queue_over_the_answer() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resolve = Arc::new(Always(Choice::Mine));
    let edit = device.update("a", "mine");
    let other = device.create("b", "other");
    device.take_with(Pick::default(), 1, u64::MAX);
    let report = device.conflict(edit, "theirs", 6);
    assert_eq!(report.conflicts[0].resolution, Resolution::Mine);
    assert_eq!(device.view("a").as_deref(), Some("mine"));
    let sent = device.take().entries;
    assert_eq!(sent[0].entry.mutation.id, other);
    let again = &sent[1].entry;
    assert_ne!(again.mutation.id, edit);
    assert_eq!(again.mutation.base_version, Some(Version::new("e1", 6)));
    assert_eq!(again.again, 1);
}

#[test]
fn mine_again_brings_a_deleted_record_back_by_a_create() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resolve = Arc::new(Always(Choice::Mine));
    let edit = device.update("a", "mine");
    device.send();
    device.conflict(edit, None, 6);
    let again = device.take().entries.remove(0).entry.mutation;
    assert_eq!(again.op, Op::Create(json("mine")));
}

#[test]
fn mine_again_is_skipped_when_the_record_was_edited_since() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resolve = Arc::new(Always(Choice::Mine));
    let first = device.update("a", "mine");
    device.send();
    let second = device.update("a", "newer");
    let report = device.conflict(first, "theirs", 6);
    assert_eq!(report.conflicts[0].resolution, Resolution::Theirs);
    assert_eq!(device.view("a").as_deref(), Some("newer"));
    assert_eq!(device.send(), [second]);
}

#[test]
fn mine_again_is_skipped_when_a_later_edit_was_applied() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resolve = Arc::new(Always(Choice::Mine));
    let first = device.update("a", "mine");
    device.send();
    let second = device.update("a", "newer");
    device.send();
    // The answer for the first was lost; repeated, it is a conflict with what the second has made.
    device.applied(second, 7);
    device.conflict(first, "newer", 7);
    assert_eq!(device.counts().pending, 0);
    assert_eq!(device.view("a").as_deref(), Some("newer"));
}

#[test]
fn mine_is_put_again_a_bounded_number_of_times() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resolve = Arc::new(Always(Choice::Mine));
    device.update("a", "mine");
    let mut sends = 0;
    for _ in 0..10 {
        for id in device.send() {
            sends += 1;
            device.conflict(id, "theirs", 6 + sends);
        }
    }
    assert_eq!(sends, 4);
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert_eq!(device.conflicts().len(), 4);
}

#[test]
fn a_merge_is_put_in_the_place_of_both() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.resolve = Arc::new(Always(Choice::Merged(json("both"))));
    let edit = device.update("a", "mine");
    device.send();
    device.conflict(edit, "theirs", 6);
    assert_eq!(device.view("a").as_deref(), Some("both"));
    let conflict = device.conflicts().remove(0);
    assert_eq!(conflict.resolution, Resolution::Merged);
    let sides = (conflict.base, conflict.mine, conflict.theirs);
    let all = ["one", "mine", "theirs"].map(|text| Some(json(text)));
    assert_eq!(<[_; 3]>::from(sides), all);
}

#[test]
fn what_was_not_applied_hands_its_base_to_its_follower() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "mine");
    device.send();
    let second = device.update("a", "newer");
    let third = {
        device.send();
        device.update("a", "newest")
    };
    device.conflict(first, "theirs", 6);
    let follower = device.entry(second).mutation;
    assert_eq!(follower.base_version, Some(Version::new("e1", 3)));
    assert_eq!(follower.after, None);
    assert_eq!(device.entry(third).mutation.after, Some(second));
}

#[test]
fn settling_touches_only_what_is_in_the_outbox() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let (a, b) = (device.update("a", "two"), device.create("b", "new"));
    device.send();
    device.applied(a, 5);
    device.rejected(b);
    let before = device.entries();
    for id in [a, b] {
        device.rejected(id);
        device.conflict(id, "theirs", 9);
        device.applied(id, 9);
        device.set_aside(id, FailReason::Poison);
    }
    assert_eq!(device.entries(), before);
    assert_eq!(device.conflicts(), []);
}

#[test]
fn an_answer_for_what_was_never_sent_is_ignored() {
    let mut device = Device::new();
    let edit = device.create("a", "one");
    device.applied(edit, 5);
    device.rejected(edit);
    assert_eq!(device.states("a"), [EntryKind::Pending]);
}

#[test]
fn what_an_answer_says_about_verdicts_is_kept_with_its_scope() {
    let mut device = Device::new();
    let edit = device.create("a", "one");
    device.send();
    let hour = std::time::Duration::from_secs(3600);
    let stamp = device.stamp();
    let verdict = Verdict::Retry {
        after: None,
        resync: false,
    };
    let settled = now(device.store.settle(SettleRequest {
        fence: device.fence,
        stamp,
        settlements: vec![Settlement::Answer(edit, verdict)],
        resolve: Arc::clone(&device.resolve),
        traits: device.traits.clone(),
        max_again: 0,
        verdict_retention: Some(hour),
    }));
    assert!(settled.is_ok());
    let (row, _) = now(sync_core::store::CursorStore::scope(
        &device.store,
        "baby".into(),
    ))
    .unwrap();
    assert_eq!(row.verdict_retention, Some(hour));
}

#[test]
fn an_older_leader_neither_takes_nor_settles_nor_applies() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    device.send();
    let (asked, page) = device.page().put("a", "theirs", 4).parts();
    now(sync_core::store::CursorStore::lead(
        &device.store,
        "me".into(),
    ))
    .unwrap();
    assert_eq!(
        device.apply(asked, page).unwrap_err(),
        StoreErrorKind::Fenced
    );
    let stamp = device.stamp();
    let settled = now(device.store.settle(SettleRequest {
        fence: device.fence,
        stamp,
        settlements: vec![Settlement::SetAside(
            edit,
            FailReason::Poison,
            String::new(),
        )],
        resolve: Arc::clone(&device.resolve),
        traits: device.traits.clone(),
        max_again: 0,
        verdict_retention: None,
    }));
    assert_eq!(*settled.unwrap_err().kind(), StoreErrorKind::Fenced);
    let store = device.store.clone();
    let old = device.fence;
    let taken = now(store.take(TakeRequest {
        fence: old,
        now: stamp.now,
        pick: Pick::default(),
        max_count: 1,
        max_bytes: 1,
        traits: device.traits.clone(),
        upgrade: Arc::new(NoUpgrade),
    }));
    assert_eq!(*taken.unwrap_err().kind(), StoreErrorKind::Fenced);
    for fenced in [
        now(store.resync("baby".into(), false, old)).err(),
        now(store.sweep("baby".into(), 1, old)).err(),
        now(store.purge("baby".into(), stamp.now, old)).err(),
    ] {
        assert_eq!(*fenced.unwrap().kind(), StoreErrorKind::Fenced);
    }
    device.fence = Fence(old.0 + 1);
    assert_eq!(device.view("a").as_deref(), Some("two"));
    assert_eq!(device.send(), [edit]);
}

#[test]
fn every_call_that_changes_a_view_says_so() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "mine");
    let follower = {
        device.send();
        device.update("a", "newer")
    };
    device.send();
    let touches = |touched: &sync_core::store::Touched| touched.0.contains_key(&"baby".into());
    // The view stays as it is; that the record is in conflict is news all the same.
    device.page().put("a", "theirs", 6).apply();
    let report = device.conflict(edit, "theirs", 6);
    assert_eq!(device.view("a").as_deref(), Some("newer"));
    assert!(touches(&report.touched));
    assert!(touches(&device.rejected(follower).touched));
    let stamp = device.stamp();
    let key = crate::device::key("a");
    assert!(touches(
        &now(device.store.retry(key.clone(), stamp)).unwrap().1
    ));
    let again = device.send().remove(0);
    device.rejected(again);
    assert!(touches(&now(device.store.discard(key)).unwrap().1));
    assert_eq!(device.view("a").as_deref(), Some("theirs"));
    assert!(touches(&device.page().put("a", "newer", 8).apply().touched));
    let at = stamp.now;
    let purged = now(device.store.purge("baby".into(), at, device.fence)).unwrap();
    assert!(touches(&purged.touched));
    assert_eq!(device.view("a"), None);
}

#[test]
fn the_first_send_is_remembered() {
    let mut device = Device::new();
    let edit = device.create("a", "one");
    device.send();
    let first = device.now;
    device.now += 50;
    device.send();
    let EntryState::Pending(pending) = device.entry(edit).state else {
        panic!("it is pending");
    };
    assert_eq!(pending.sent_at.unwrap().as_millis(), first);
    assert_eq!(pending.sends, 2);
}
