//! Guarantees 1 to 3 and rule 8: what goes out, in which order, and how often.

use std::sync::Arc;

use sync_core::{
    model::{EntityType, Op, Payload, Schema},
    ordered::OrderedSet,
    policy::Upgrade,
    store::{EntryState, FailReason, Outbox, Pick, Settlement, TakeRequest},
    time::Timestamp,
    transport::ServerTraits,
};

use crate::device::{DAY, Device, json, now};

#[test]
fn mutations_go_out_in_the_order_in_which_they_were_enqueued() {
    let mut device = Device::new();
    let first = device.create("b", "one");
    let second = device.create("toy/a", "two");
    let third = device.create("a", "three");
    device.now = 0;
    let fourth = device.create("toy/b", "four");
    assert_eq!(device.send(), [first, second, third, fourth]);
}

#[test]
fn what_was_taken_is_taken_again_until_it_is_settled() {
    let mut device = Device::new();
    let ids = [device.create("a", "one"), device.create("b", "two")];
    assert_eq!(device.send(), ids);
    assert_eq!(device.send(), ids);
    device.applied(ids[0], 1);
    assert_eq!(device.send(), ids[1..]);
}

#[test]
fn a_batch_is_bounded_by_count_and_bytes_and_holds_at_least_one() {
    let mut device = Device::new();
    for id in ["a", "b", "c"] {
        device.create(id, "12345678");
    }
    let any = Pick::default;
    assert_eq!(device.take_with(any(), 2, u64::MAX).entries.len(), 2);
    assert_eq!(device.take_with(any(), 9, 20).entries.len(), 2);
    assert_eq!(device.take_with(any(), 9, 1).entries.len(), 1);
}

#[test]
fn a_large_mutation_is_not_overtaken_by_a_small_one() {
    let mut device = Device::new();
    let first = device.create("a", "12345678");
    device.create("b", "a much larger payload than the first");
    device.create("c", "1");
    let taken = device.take_with(Pick::default(), 9, 15);
    let ids: Vec<_> = taken.entries.iter().map(|t| t.entry.mutation.id).collect();
    assert_eq!(ids, [first]);
}

#[test]
fn a_held_scope_waits_and_the_others_go() {
    let mut device = Device::new();
    device.create("a", "one");
    let other = device.create("toy/a", "two");
    let hold = OrderedSet::from(["baby".into()]);
    let pick = Pick {
        hold,
        ..Pick::default()
    };
    let taken = device.take_with(pick, 9, u64::MAX);
    assert_eq!(taken.entries[0].entry.mutation.id, other);
    assert_eq!(taken.entries.len(), 1);
    let only = Some("toy".into());
    let pick = Pick {
        only,
        ..Pick::default()
    };
    assert_eq!(device.take_with(pick, 9, u64::MAX).entries.len(), 1);
}

#[test]
fn what_is_left_out_holds_its_record_up_and_nothing_else_and_only_while_it_is_there() {
    let mut device = Device::new();
    let first = device.create("a", "one");
    let other = device.create("b", "two");
    device.take_with(Pick::default(), 1, u64::MAX);
    let second = device.update("a", "three");
    let without_first = |device: &mut Device| {
        let pick = Pick {
            skip: OrderedSet::from([first]),
            ..Pick::default()
        };
        let taken = device.take_with(pick, 9, u64::MAX).entries;
        let ids = taken.iter().map(|taken| taken.entry.mutation.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(without_first(&mut device), [other]);
    device.applied(first, 1);
    let mut left = vec![other, second];
    left.sort();
    assert_eq!(
        without_first(&mut device),
        left,
        "the first has been settled"
    );
}

#[test]
fn a_server_that_processes_a_whole_batch_gets_one_mutation_a_record() {
    let mut device = Device::of(ServerTraits {
        ordered: false,
        ..ServerTraits::default()
    });
    let first = device.create("a", "one");
    let other = device.create("b", "two");
    let second = device.update("a", "three");
    assert_eq!(device.send(), [first, other]);
    device.applied(first, 1);
    device.applied(other, 2);
    assert_eq!(device.send(), [second]);
}

#[test]
fn a_batch_names_the_cursor_of_each_of_its_scopes() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.update("a", "two");
    device.create("toy/a", "new");
    let cursors = device.take().cursors;
    let cursor = device.scope().cursor;
    assert!(cursor.is_some());
    assert_eq!(cursors, [("baby".into(), cursor), ("toy".into(), None)]);
}

#[test]
fn a_mutation_whose_verdict_is_forgotten_is_not_sent_again() {
    let mut device = Device::new();
    let old = device.create("a", "one");
    device.send();
    let behind = device.create("b", "two");
    device.now += 31 * DAY;
    let elsewhere = device.create("toy/a", "three");
    let taken = device.take();
    assert_eq!(taken.forgotten, [("baby".into(), old)]);
    assert_eq!(taken.entries[0].entry.mutation.id, elsewhere);
    assert_eq!(taken.entries.len(), 1);
    // The scope was pulled to its end, and nothing of it was seen.
    device.page().apply();
    let report = device.settle(vec![Settlement::Forgotten(old)]);
    assert_eq!(report.failed, [(old, FailReason::OutcomeUnknown)]);
    assert_eq!(device.view("a").as_deref(), Some("one"));
    assert_eq!(device.send(), [behind, elsewhere]);
}

#[test]
fn a_forgotten_mutation_that_the_pull_shows_is_settled_by_it() {
    let mut device = Device::new();
    let old = device.create("a", "one");
    device.send();
    device.now += 31 * DAY;
    assert_eq!(device.take().forgotten.len(), 1);
    device.page().put("a", "one", 4).made_by(old).apply();
    let report = device.settle(vec![Settlement::Forgotten(old)]);
    assert!(report.failed.is_empty());
    assert_eq!(device.entries(), []);
}

#[test]
fn the_server_says_how_long_it_remembers() {
    let mut device = Device::new();
    let (asked, mut page) = device.page().parts();
    page.verdict_retention = Some(std::time::Duration::from_secs(60));
    device.apply(asked, page).unwrap();
    device.create("a", "one");
    device.send();
    device.now += 60_000;
    assert!(device.take().forgotten.is_empty());
    device.now += 1;
    assert_eq!(device.take().forgotten.len(), 1);
}

#[derive(Debug)]
struct ToSchema2;

impl Upgrade for ToSchema2 {
    fn upgrade(
        &self,
        _: &EntityType,
        schema: Schema,
        _: &Payload,
    ) -> Result<Option<(Payload, Schema)>, String> {
        Ok((schema < Schema(2)).then(|| (json("upgraded"), Schema(2))))
    }
}

#[test]
fn a_payload_is_brought_up_to_date_before_its_first_send_and_never_after() {
    let mut device = Device::new();
    let sent = device.create("a", "old");
    device.send();
    let fresh = device.create("b", "old");
    let taken = now(device.store.take(TakeRequest {
        fence: device.fence,
        now: Timestamp::from_millis(device.now),
        pick: Pick::default(),
        max_count: 9,
        max_bytes: 999,
        traits: ServerTraits::default(),
        upgrade: Arc::new(ToSchema2),
    }))
    .unwrap();
    let mutation = |at: usize| taken.entries[at].entry.mutation.clone();
    assert_eq!(
        (mutation(0).id, mutation(0).op),
        (sent, Op::Create(json("old")))
    );
    assert_eq!(
        (mutation(1).id, mutation(1).op),
        (fresh, Op::Create(json("upgraded")))
    );
    assert_eq!(device.view("b").as_deref(), Some("upgraded"));
    assert!(!taken.touched.is_empty());
}

#[test]
fn a_scope_waits_until_its_resync_has_shown_which_epoch_the_server_is_in() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let first = device.update("a", "two");
    device.send();
    device.applied(first, 9);
    let second = device.update("a", "three");
    // The cursor has expired, for the server was restored; nothing says so yet.
    device.resync(false);
    let taken = device.take();
    assert!(taken.entries.is_empty());
    assert!(taken.waiting.contains(&"baby".into()));
    device.page().epoch("e2").outcome();
    device.resync(true);
    assert!(device.take().entries.is_empty());
    device.page().put("a", "one", 3).epoch("e2").more().apply();
    assert_eq!(device.send(), [first, second]);
}

#[test]
fn an_entry_that_waits_for_a_pull_holds_an_ordered_scope() {
    let mut device = Device::of(ServerTraits {
        idempotent: false,
        ..ServerTraits::default()
    });
    let first = device.create("a", "one");
    device.send();
    let follower = device.update("a", "two");
    let later = device.create("b", "refers to a");
    device.applied(first, 4);
    let taken = device.take();
    assert!(taken.entries.is_empty());
    assert!(taken.waiting.contains(&"baby".into()));
    device.page().put("a", "one", 4).apply();
    assert_eq!(device.send(), [follower, later]);
    assert!(matches!(
        device.entry(later).state,
        EntryState::Pending(pending) if pending.sends == 1
    ));
}
