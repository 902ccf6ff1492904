//! Pages, cursors, compaction and epochs.

mod common;

use std::collections::BTreeSet;

use common::*;
use sync_core::model::{ChangeOp, Cursor, Scope, Version};
use sync_server::{
    Limits, ServerErrorKind,
    log::{Backup, MemoryLog},
};

const DAY: i64 = 24 * 60 * 60;

#[test]
fn pages_bring_every_record_once_and_end() {
    on_every_log(async |w| {
        for n in 0..25 {
            w.apply("ann", &w.create(&format!("r{n}"), "1")).await;
        }
        let mut cursor = None;
        let mut seen = Vec::new();
        let mut throughs = Vec::new();
        loop {
            let page = w.pull(cursor.as_ref(), 10).await;
            seen.extend(page.changes.iter().map(|c| c.seq.unwrap()));
            throughs.push(page.through.unwrap());
            assert_ne!(Some(&page.next), cursor.as_ref());
            cursor = Some(page.next);
            if !page.has_more {
                break;
            }
        }
        assert_eq!(seen, (1..=25).collect::<Vec<_>>());
        assert_eq!(throughs, [10, 20, 25]);
        let page = w.pull(cursor.as_ref(), 10).await;
        assert!(page.changes.is_empty() && !page.has_more);
        assert_eq!(
            Some(page.next),
            cursor,
            "a drained log gives the same cursor again"
        );
    });
}

#[test]
fn a_page_carries_the_newest_change_of_a_record_and_the_position_scanned() {
    on_every_log(async |w| {
        let mut version = w.apply("ann", &w.create("a", "0")).await;
        for n in 1..5 {
            version = w
                .apply("ann", &w.update("a", &n.to_string()).on(&version))
                .await;
        }
        let page = w.pull(None, 10).await;
        assert_eq!(page.changes.len(), 1);
        assert_eq!(page.changes[0].seq, Some(5));
        assert_eq!(page.through, Some(5));
        assert_eq!(page.epoch, Some(version.epoch));
        assert_eq!(page.verdict_retention.unwrap().as_secs(), 90 * 24 * 60 * 60);
    });
}

#[test]
fn a_page_is_bounded_in_bytes_and_holds_at_least_one_change() {
    on_every_log(async |mut w| {
        w.server = w.server.with_limits(Limits {
            page_bytes: 100,
            ..Limits::default()
        });
        let large = "x".repeat(60);
        let huge = "x".repeat(500);
        for (id, payload) in [("a", &large), ("b", &large), ("c", &huge), ("d", &large)] {
            w.apply("ann", &w.create(id, payload)).await;
        }
        let mut cursor = None;
        for (through, has_more) in [(1, true), (2, true), (3, true), (4, false)] {
            let page = w.pull(cursor.as_ref(), 100).await;
            assert_eq!((page.through, page.has_more), (Some(through), has_more));
            cursor = Some(page.next);
        }
    });
}

#[test]
fn a_limit_is_kept_between_one_and_the_servers_own() {
    on_every_log(async |mut w| {
        w.server = w.server.with_limits(Limits {
            page: 3,
            ..Limits::default()
        });
        for n in 0..5 {
            w.apply("ann", &w.create(&n.to_string(), "1")).await;
        }
        assert_eq!(w.pull(None, 0).await.changes.len(), 1);
        assert_eq!(w.pull(None, u32::MAX).await.changes.len(), 3);
    });
}

#[test]
fn a_record_that_is_edited_during_a_scan_comes_again_at_its_end() {
    on_every_log(async |w| {
        for id in ["a", "b", "c"] {
            w.apply("ann", &w.create(id, "1")).await;
        }
        let first = w.pull(None, 1).await;
        let a = Version::new(first.epoch.clone().unwrap(), 1);
        let b = Version::new(first.epoch.clone().unwrap(), 2);
        w.apply("bob", &w.update("a", "2").on(&a)).await;
        w.apply("bob", &w.delete("b").on(&b)).await;
        let rest = w.pull(Some(&first.next), 100).await;
        let seen: Vec<_> = rest
            .changes
            .iter()
            .map(|c| {
                (
                    c.entity_id.as_str(),
                    c.seq.unwrap(),
                    c.op == ChangeOp::Remove,
                )
            })
            .collect();
        assert_eq!(seen, [("c", 3, false), ("a", 4, false), ("b", 5, true)]);
    });
}

#[test]
fn a_cursor_older_than_a_removed_tombstone_is_expired_and_never_an_empty_page() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let behind = w.pull(None, 10).await.next;
        w.apply("ann", &w.delete("a").on(&v1)).await;
        let seen = w.pull(None, 10).await.next;
        w.sleep(91 * DAY);
        assert_eq!(
            w.pull(Some(&behind), 10).await.changes.len(),
            1,
            "not yet compacted"
        );
        assert_eq!(w.server.compact().await.unwrap().tombstones, 1);
        assert_eq!(
            w.refused("ann", &behind).await,
            ServerErrorKind::CursorExpired
        );
        // Whoever has seen the delete goes on, and whoever begins anew sees nothing of it.
        assert!(w.pull(Some(&seen), 10).await.changes.is_empty());
        assert!(w.pull(None, 10).await.changes.is_empty());
    });
}

#[test]
fn compaction_keeps_young_tombstones_and_all_records() {
    on_every_log(async |w| {
        w.apply("ann", &w.create("old", "1")).await;
        let v2 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(91 * DAY);
        w.apply("ann", &w.delete("a").on(&v2)).await;
        assert_eq!(w.server.compact().await.unwrap().tombstones, 0);
        let state = w.state().await;
        assert_eq!(state["a"].op, ChangeOp::Remove);
        assert_eq!(plain(state["old"].op.payload().unwrap()), "1");
    });
}

#[test]
fn a_first_sync_of_any_length_does_not_expire_under_compaction() {
    on_every_log(async |w| {
        for n in 0..30 {
            w.apply("ann", &w.create(&format!("r{n:02}"), "1")).await;
        }
        let epoch = w.pull(None, 1).await.epoch.unwrap();
        for seq in 11..=20 {
            let id = format!("r{:02}", seq - 1);
            let version = Version::new(epoch.clone(), seq);
            w.apply("ann", &w.delete(&id).on(&version)).await;
        }
        // The scan begins, and what was deleted before it is compacted away while it is under way.
        let mut page = w.pull(None, 3).await;
        w.sleep(91 * DAY);
        assert_eq!(w.server.compact().await.unwrap().tombstones, 10);
        let mut seen: BTreeSet<_> = BTreeSet::new();
        loop {
            seen.extend(page.changes.iter().map(|c| c.entity_id.as_str().to_owned()));
            if !page.has_more {
                break;
            }
            page = w.pull(Some(&page.next), 3).await;
        }
        assert_eq!(seen.len(), 20);
        // And so for one that begins after the compaction.
        let mut page = w.pull(None, 3).await;
        while page.has_more {
            page = w.pull(Some(&page.next), 3).await;
        }
    });
}

#[test]
fn a_scan_that_missed_a_delete_which_is_compacted_does_expire() {
    on_every_log(async |w| {
        for id in ["a", "b", "c", "d"] {
            w.apply("ann", &w.create(id, "1")).await;
        }
        let first = w.pull(None, 2).await;
        let a = Version::new(first.epoch.clone().unwrap(), 1);
        // This one has been brought to the client, and its delete comes after the scan began.
        w.apply("bob", &w.delete("a").on(&a)).await;
        w.sleep(91 * DAY);
        w.server.compact().await.unwrap();
        assert_eq!(
            w.refused("ann", &first.next).await,
            ServerErrorKind::CursorExpired
        );
    });
}

#[test]
fn a_push_from_an_expired_cursor_has_its_scope_resynced_and_the_others_go_on() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let behind = w.pull(None, 10).await.next;
        w.apply("ann", &w.delete("a").on(&v1)).await;
        w.sleep(91 * DAY);
        w.server.compact().await.unwrap();
        let cursors = vec![(Scope::from(S), Some(behind)), (Scope::from("other"), None)];
        // Without the check, this create would bring back what its author has not seen deleted.
        let stale = w.create("a", "2").on(&v1);
        let (other, next) = (w.create("b", "1").scope("other"), w.create("c", "1"));
        let answers = w.push_at("ann", cursors, &[&stale, &other, &next]).await;
        assert_eq!(answers[0], RESYNC);
        assert!(is_applied(&answers[1]));
        assert_eq!(answers[2], RESYNC);
        assert!(w.state().await.is_empty());
        // `retry` is not final: after the resync the same mutation is decided.
        let now = w.pull(None, 10).await.next;
        let again = w.push_from("ann", &now, &[&next]).await;
        assert!(is_applied(&again[0]));
    });
}

#[test]
fn a_cursor_that_is_none_of_ours_is_expired() {
    on_every_log(async |w| {
        w.apply("ann", &w.create("a", "1")).await;
        for text in ["", "garbage", "17", "1.0..", "1.1..another-epoch"] {
            let cursor = Cursor::from(text);
            assert_eq!(
                w.refused("ann", &cursor).await,
                ServerErrorKind::CursorExpired
            );
            let answers = w.push_from("ann", &cursor, &[&w.create("b", "1")]).await;
            assert_eq!(answers, [RESYNC]);
        }
    });
}

#[test]
fn a_new_epoch_ends_all_cursors_and_keeps_the_versions_before_it() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let old = w.pull(None, 10).await;
        w.server.new_epoch().await.unwrap();
        w.server.new_epoch().await.unwrap();
        assert_eq!(
            w.refused("ann", &old.next).await,
            ServerErrorKind::CursorExpired
        );
        let new = w.pull(None, 10).await;
        assert_ne!(new.epoch, old.epoch);
        assert_eq!(new.changes, old.changes, "the numbers are the same");
        // An edit of the old version knows the record as it is.
        w.sleep(10);
        let v2 = w
            .apply("bob", &w.update("a", "2").on(&v1).aged(9_999))
            .await;
        assert_eq!(Some(v2.epoch), new.epoch);
    });
}

/// A log in memory of which a backup was taken at version 2, and which went on to version 3.
async fn restored(restore: impl FnOnce(&MemoryLog, &Backup)) -> (World, Version, Cursor) {
    let log = MemoryLog::new();
    let w = World::new(std::sync::Arc::new(log.clone()));
    let v1 = w.apply("ann", &w.create("a", "1")).await;
    let v2 = w.apply("ann", &w.update("a", "2").on(&v1)).await;
    let backup = log.backup();
    w.sleep(60);
    let v3 = w.apply("ann", &w.update("a", "lost").on(&v2)).await;
    let cursor = w.pull(None, 10).await.next;
    w.sleep(60);
    restore(&log, &backup);
    (w, v3, cursor)
}

#[test]
fn after_a_restore_with_its_new_epoch_lost_versions_count_for_nothing() {
    futures::executor::block_on(async {
        let (w, v3, cursor) = restored(MemoryLog::restore).await;
        w.server.new_epoch().await.unwrap();
        assert_eq!(
            w.refused("ann", &cursor).await,
            ServerErrorKind::CursorExpired
        );
        // Another change takes the number that was lost; an edit over the lost one has not seen it.
        let epoch = w.pull(None, 10).await.epoch.unwrap();
        w.apply("bob", &w.update("a", "bob").on(&Version::new(epoch, 2)))
            .await;
        let ann = w.update("a", "ann").on(&v3).aged(30);
        assert_eq!(their_payload(&w.push_one("ann", &ann).await), Some("bob"));
        let shared = Version { seq: 2, ..v3 };
        let late = w.update("a", "late").on(&shared).aged(30);
        assert_eq!(their_payload(&w.push_one("ann", &late).await), Some("bob"));
    });
}

#[test]
fn a_pull_from_beyond_the_head_begins_a_new_epoch() {
    futures::executor::block_on(async {
        let (w, v3, cursor) = restored(MemoryLog::restore).await;
        assert_eq!(
            w.refused("ann", &cursor).await,
            ServerErrorKind::CursorExpired
        );
        let page = w.pull(None, 10).await;
        assert_ne!(page.epoch, Some(v3.epoch));
        assert_eq!(
            w.refused("ann", &cursor).await,
            ServerErrorKind::CursorExpired
        );
        assert_eq!(
            w.pull(None, 10).await.epoch,
            page.epoch,
            "one epoch, not one a pull"
        );
    });
}

#[test]
fn a_push_from_beyond_the_head_begins_a_new_epoch() {
    futures::executor::block_on(async {
        let (w, v3, cursor) = restored(MemoryLog::restore).await;
        let edit = w.update("a", "ann").on(&v3);
        let answers = w.push_from("ann", &cursor, &[&edit, &edit]).await;
        assert_eq!(answers, [RESYNC, RESYNC]);
        let page = w.pull(None, 10).await;
        assert_ne!(page.epoch, Some(v3.epoch));
        assert_eq!(page.through, Some(2), "nothing was applied");
    });
}

#[test]
fn a_scope_that_may_be_read_has_an_epoch_before_its_first_change() {
    on_every_log(async |w| {
        w.members
            .grant("new", "ann", sync_server::access::Role::Owner);
        let first = w.try_pull("ann", "new", None, 10).await.unwrap();
        assert_eq!((first.through, first.has_more), (Some(0), false));
        let v1 = w.apply("ann", &w.create("a", "1").scope("new")).await;
        assert_eq!(Some(&v1.epoch), first.epoch.as_ref());
        let next = w
            .try_pull("ann", "new", Some(&first.next), 10)
            .await
            .unwrap();
        assert_eq!(next.changes.len(), 1);
    });
}

#[test]
fn the_times_of_a_scopes_changes_do_not_step_back_with_the_servers_clock() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let made = async || w.log.scope(S.into()).await.unwrap().unwrap().made;
        let first = made().await;
        w.sleep(-1_000);
        w.apply("ann", &w.update("a", "2").on(&v1)).await;
        assert_eq!(made().await, first);
    });
}
