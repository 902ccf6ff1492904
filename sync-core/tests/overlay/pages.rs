//! Guarantees 6, 7 and 10 as far as a store keeps them: pages, cursors, generations, and what is told once.

use sync_core::{
    model::{Account, MutationId, RecordKey, Schema},
    store::{ApplyOutcome, ChangeApplier, Conflicts, CursorStore, ListRequest, Records, Revoked},
    time::Timestamp,
};

use crate::device::{Device, now};

fn stranger(random: u128) -> MutationId {
    MutationId::following(None, Timestamp::from_millis(5), random)
}

fn told(device: &Device) -> Vec<MutationId> {
    let conflicts = device.conflicts();
    now(device
        .store
        .acknowledge_conflicts(conflicts.iter().map(|c| c.mutation_id).collect()))
    .unwrap();
    conflicts.iter().map(|c| c.mutation_id).collect()
}

#[test]
fn records_and_cursor_move_together() {
    let mut device = Device::new();
    let (asked, page) = device.page().put("a", "one", 3).parts();
    let next = page.next.clone();
    device.apply(asked, page).unwrap();
    assert_eq!(device.view("a").as_deref(), Some("one"));
    assert_eq!(device.scope().cursor, Some(next));
    assert!(device.scope().pulled);
}

#[test]
fn a_repeated_page_is_stale() {
    let mut device = Device::new();
    let (asked, page) = device.page().put("a", "one", 3).parts();
    device.apply(asked.clone(), page.clone()).unwrap();
    device.page().put("a", "two", 4).apply();
    assert_eq!(device.apply(asked, page).unwrap(), ApplyOutcome::Stale);
    assert_eq!(device.view("a").as_deref(), Some("two"));
}

#[test]
fn a_push_answer_moves_no_cursor() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let before = device.scope();
    let edit = device.update("a", "two");
    device.send();
    device.applied(edit, 50);
    assert_eq!(device.scope(), before);
}

#[test]
fn the_position_does_not_step_back_when_an_older_page_has_the_same_cursor() {
    let mut device = Device::with(&[("a", "one", 3)], 9);
    let cursor = device.scope().cursor.unwrap();
    let (asked, mut page) = device.page().through(5).parts();
    page.next = cursor;
    device.apply(asked, page).unwrap();
    assert_eq!(device.scope().through, Some(9));
    assert_eq!(device.scope().drained, Some(9));
}

#[test]
fn a_page_that_was_asked_for_before_a_resync_or_a_purge_is_stale() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let (asked, page) = device.page().put("a", "two", 4).parts();
    device.resync(false);
    assert_eq!(device.apply(asked, page).unwrap(), ApplyOutcome::Stale);

    let (asked, page) = device.page().put("a", "two", 4).parts();
    let at = Timestamp::from_millis(1);
    now(device.store.purge("baby".into(), at, device.fence)).unwrap();
    assert_eq!(device.apply(asked, page).unwrap(), ApplyOutcome::Stale);
    assert_eq!(device.view("a"), None);
}

#[test]
fn a_page_that_was_asked_for_before_a_wipe_is_void_even_where_nothing_was_kept() {
    let mut device = Device::new();
    let (asked, page) = device.page().put("a", "theirs", 4).parts();
    now(device.store.wipe(false)).unwrap();
    now(device.store.bind(Account::from("another"))).unwrap();
    assert!(device.apply(asked.clone(), page.clone()).is_err());
    device.fence = now(device.store.lead("another".into())).unwrap();
    assert_eq!(device.apply(asked, page).unwrap(), ApplyOutcome::Stale);
    assert_eq!(device.view("a"), None);
}

#[test]
fn a_page_of_another_epoch_changes_nothing() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let before = device.scope();
    let page = device.page().put("a", "restored", 2).epoch("e2");
    assert_eq!(page.outcome(), ApplyOutcome::OtherEpoch);
    assert_eq!(device.view("a").as_deref(), Some("one"));
    assert_eq!(device.scope(), before);
}

#[test]
fn a_change_of_an_unknown_type_is_kept() {
    let mut device = Device::new();
    let (asked, mut page) = device.page().put("a", "one", 3).parts();
    page.changes[0].entity_type = "from_the_future".into();
    page.changes[0].schema = Schema(7);
    device.apply(asked, page).unwrap();
    let key = RecordKey::new("baby", "from_the_future", "a");
    let row = now(device.store.get(key)).unwrap().unwrap();
    assert_eq!(row.schema, Schema(7));
    assert_eq!(now(device.store.count("baby".into(), None)).unwrap(), 1);
}

#[test]
fn records_are_listed_by_scope_and_type_in_the_order_of_their_ids() {
    let mut device = Device::new();
    let page = device.page().put("c", "3", 1).put("a", "1", 2);
    page.put("b", "2", 3).apply();
    device.create("toy/a", "elsewhere");
    let list = |after: Option<&str>, limit| {
        let request = ListRequest {
            scope: "baby".into(),
            entity_type: "log".into(),
            after: after.map(Into::into),
            limit,
        };
        let rows = now(device.store.list(request)).unwrap();
        let ids: Vec<_> = rows.into_iter().map(|r| r.key.entity_id).collect();
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(list(None, None), ["a", "b", "c"]);
    assert_eq!(list(Some("a"), Some(1)), ["b"]);
    assert!(list(Some("c"), None).is_empty());
}

#[test]
fn a_first_sync_tells_of_no_overwritten_edit() {
    let mut device = Device::new();
    let page = device.page().put("a", "theirs", 4).more();
    page.overwrote(stranger(1), "me", 4).apply();
    let page = device.page().put("b", "theirs", 6);
    page.overwrote(stranger(2), "me", 6).apply();
    assert_eq!(device.conflicts(), []);
}

#[test]
fn an_own_edit_that_was_overwritten_before_the_first_pull_is_told() {
    let mut device = Device::new();
    let answered = device.create("a", "mine");
    device.send();
    device.applied(answered, 3);
    let unanswered = device.create("b", "mine");
    device.send();
    let page = device.page().put("a", "theirs", 5);
    let page = page.overwrote(answered, "me", 5).put("b", "theirs", 6);
    page.overwrote(unanswered, "me", 6).apply();
    assert_eq!(told(&device), [answered, unanswered]);
}

#[test]
fn an_own_edit_that_is_overwritten_between_two_pages_of_the_first_pull_is_told() {
    let mut device = Device::new();
    let (seen, heard) = (device.create("a", "mine"), device.create("b", "mine"));
    device.send();
    device.applied(seen, 3);
    // Its change comes with the first page, and the answer after that.
    let page = device.page().put("a", "mine", 3).made_by(seen);
    page.put("b", "mine", 4).more().apply();
    device.applied(heard, 4);
    assert!(device.entries().is_empty());
    let page = device.page().put("a", "theirs", 5);
    let page = page.overwrote(seen, "me", 5).put("b", "theirs", 6);
    page.overwrote(heard, "me", 6).apply();
    assert_eq!(told(&device), [seen, heard]);
    assert!(device.scope().left_since.is_empty());
}

#[test]
fn an_overwritten_edit_is_told_once_and_only_to_its_author() {
    let mut device = Device::with(&[], 3);
    let page = device.page().put("a", "theirs", 5);
    let page = page.overwrote(stranger(1), "me", 5);
    page.overwrote(stranger(2), "another", 5).apply();
    assert_eq!(told(&device), [stranger(1)]);
    // What supersedes the winner carries the mark on.
    let page = device.page().put("a", "newer", 7);
    page.overwrote(stranger(1), "me", 5).apply();
    assert!(told(&device).is_empty());
}

#[test]
fn an_overwritten_edit_whose_winner_was_superseded_is_told_by_what_came_after() {
    let mut device = Device::with(&[], 3);
    let page = device.page().put("a", "newer", 7);
    page.overwrote(stranger(1), "me", 5).apply();
    assert_eq!(told(&device), [stranger(1)]);
}

#[test]
fn an_overwritten_edit_is_told_though_an_earlier_page_has_passed_its_winner() {
    let mut device = Device::with(&[], 3);
    device.page().put("b", "other", 6).more().apply();
    let page = device.page().put("a", "newer", 7);
    page.overwrote(stranger(1), "me", 5).apply();
    assert_eq!(told(&device), [stranger(1)]);
}

#[test]
fn an_overwritten_edit_whose_record_comes_twice_in_one_pull_is_told_once() {
    let mut device = Device::with(&[], 3);
    let page = device.page().put("a", "theirs", 5).more();
    page.overwrote(stranger(1), "me", 5).apply();
    assert_eq!(told(&device), [stranger(1)]);
    let page = device.page().put("a", "newer", 7);
    page.overwrote(stranger(1), "me", 5).apply();
    assert!(told(&device).is_empty());
    assert!(device.scope().told_since.is_empty());
}

#[test]
fn a_resync_tells_nothing_twice_and_what_is_new_once() {
    let mut device = Device::with(&[], 3);
    let page = device.page().put("a", "theirs", 5);
    page.overwrote(stranger(1), "me", 5).apply();
    assert_eq!(told(&device), [stranger(1)]);
    device.resync(false);
    let page = device.page().put("a", "theirs", 5).more();
    page.overwrote(stranger(1), "me", 5).apply();
    let page = device.page().put("b", "theirs", 8).more();
    page.overwrote(stranger(2), "me", 8).apply();
    assert_eq!(told(&device), [stranger(2)]);
    // The resync begins once more.
    device.resync(false);
    let page = device.page().put("a", "theirs", 5);
    let page = page.overwrote(stranger(1), "me", 5);
    let page = page.put("b", "theirs", 8);
    page.overwrote(stranger(2), "me", 8).apply();
    device.sweep_all();
    assert!(told(&device).is_empty());
}

#[test]
fn a_purge_hands_over_what_was_not_synced_and_a_wipe_waits_for_it() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let acknowledged = device.update("a", "two");
    let failed = device.create("b", "failed");
    device.send();
    let pending = device.update("a", "three");
    device.applied(acknowledged, 5);
    device.rejected(failed);
    let kept = device.create("toy/a", "elsewhere");
    let at = Timestamp::from_millis(7);
    let purged = now(device.store.purge("baby".into(), at, device.fence)).unwrap();
    assert_eq!(purged.revoked, 3);
    let ids = |revoked: Vec<Revoked>| revoked.iter().map(|r| r.mutation.id).collect::<Vec<_>>();
    let revoked = ids(now(device.store.revoked()).unwrap());
    assert_eq!(revoked, [acknowledged, failed, pending]);
    assert_eq!((device.view("a"), device.view("b")), (None, None));
    assert_eq!(device.send(), [kept]);
    assert_eq!(device.scope().cursor, None);
    assert!(!device.scope().pulled);

    device.applied(kept, 1);
    let asked = device.ask("toy");
    device.page_for(asked).put("toy/a", "elsewhere", 1).apply();
    assert!(now(device.store.wipe(false)).is_err());
    now(device.store.acknowledge_revoked(revoked)).unwrap();
    now(device.store.wipe(false)).unwrap();
}

#[test]
fn a_wipe_is_refused_while_anything_would_be_lost() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    let edit = device.update("a", "two");
    assert!(now(device.store.wipe(false)).is_err());
    device.send();
    device.conflict(edit, "theirs", 5);
    device.page().put("a", "theirs", 5).apply();
    assert_eq!(device.entries(), []);
    // Both sides of the conflict are only here.
    assert!(now(device.store.wipe(false)).is_err());
    assert_eq!(told(&device), [edit]);
    now(device.store.wipe(false)).unwrap();
    assert_eq!(device.view("a"), None);

    now(device.store.bind("another".into())).unwrap();
    assert!(now(device.store.lead("me".into())).is_err());
}

#[test]
fn a_forced_wipe_empties_everything_and_unbinds() {
    let mut device = Device::with(&[("a", "one", 3)], 3);
    device.update("a", "two");
    now(device.store.wipe(true)).unwrap();
    assert_eq!(device.entries(), []);
    assert_eq!(device.view("a"), None);
    assert!(
        device
            .edit_expecting("a", sync_core::model::Op::Delete, None)
            .is_err()
    );
    assert!(now(device.store.scopes()).unwrap().is_empty());
}
