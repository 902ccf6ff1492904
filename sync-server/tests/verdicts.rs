//! Verdicts: repeats, followers, and what one mutation does to the others of its batch.

mod common;

use std::sync::Arc;

use common::*;
use sync_core::{
    model::{Account, Cursor, Op, RecordKey, Scope, Version},
    transport::Verdict,
};
use sync_server::{access::Role, decide::Validate};

/// Rejects payloads that say so.
#[derive(Debug)]
struct NothingBad;

impl Validate for NothingBad {
    fn validate(&self, _: &Account, _: &RecordKey, op: &Op) -> Result<(), String> {
        match op.payload() {
            Some(payload) if payload.as_str().contains("bad") => Err("it is bad".to_owned()),
            _ => Ok(()),
        }
    }
}

fn strict(mut w: World) -> World {
    w.server = w.server.with_validation(Arc::new(NothingBad));
    w
}

#[test]
fn a_mutation_sent_again_is_applied_once_and_answered_the_same() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        let first = w.push_one("ann", &create).await;
        w.sleep(60);
        assert_eq!(w.push_one("ann", &create).await, first);
        let twice = w.push("ann", &[&create, &create]).await;
        assert_eq!(twice, [first.clone(), first]);
        assert_eq!(w.pull(None, 10).await.through, Some(1));
    });
}

#[test]
fn a_repeat_is_answered_the_same_after_others_have_gone_on() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        let v1 = w.apply("ann", &create).await;
        w.apply("bob", &w.delete("a").on(&v1)).await;
        // It neither brings the record back nor counts as a second create.
        assert_eq!(w.apply("ann", &create).await, v1);
        assert_eq!(w.payload("a").await, None);
    });
}

#[test]
fn a_conflict_sent_again_is_a_conflict_with_the_record_as_it_is_now() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let v2 = w.apply("bob", &w.update("a", "2").on(&v1)).await;
        let lost = w.update("a", "ann").on(&v1).aged(50);
        assert_eq!(their_payload(&w.push_one("ann", &lost).await), Some("2"));
        let v3 = w.apply("bob", &w.update("a", "3").on(&v2)).await;
        let again = w.push_one("ann", &lost).await;
        assert_eq!(their_payload(&again), Some("3"));
        assert_eq!(theirs(&again).version.as_ref(), Some(&v3));
    });
}

#[test]
fn a_cursor_that_is_of_no_use_is_told_before_a_stored_verdict() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        let applied = w.push_one("ann", &create).await;
        let answers = w.push_from("ann", &Cursor::from("stale"), &[&create]).await;
        assert_eq!(answers, [RESYNC]);
        // After the resync it is known again.
        let good = w.pull(None, 10).await.next;
        assert_eq!(w.push_from("ann", &good, &[&create]).await, [applied]);
    });
}

#[test]
fn a_repeat_is_answered_before_access_is_looked_at() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        let applied = w.push_one("bob", &create).await;
        w.members.revoke(&Scope::from(S), &Account::from("bob"));
        // What was applied is applied; a new one is not.
        assert_eq!(w.push_one("bob", &create).await, applied);
        assert_eq!(
            w.push_one("bob", &w.create("b", "1")).await,
            Verdict::Forbidden
        );
    });
}

#[test]
fn a_repeat_shows_the_record_only_to_who_may_read_it() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("ann", &w.update("a", "2").on(&v1)).await;
        let lost = w.update("a", "bob").on(&v1).aged(50);
        assert_eq!(their_payload(&w.push_one("bob", &lost).await), Some("2"));
        w.members.revoke(&Scope::from(S), &Account::from("bob"));
        assert_eq!(w.push_one("bob", &lost).await, Verdict::Forbidden);
        w.members.grant(S, "bob", Role::Viewer);
        assert_eq!(their_payload(&w.push_one("bob", &lost).await), Some("2"));
    });
}

#[test]
fn a_forbidden_mutation_stays_forbidden_and_a_new_one_is_looked_at_anew() {
    on_every_log(async |w| {
        w.members.grant(S, "vic", Role::Viewer);
        let create = w.create("a", "1");
        assert_eq!(w.push_one("vic", &create).await, Verdict::Forbidden);
        w.members.grant(S, "vic", Role::Editor);
        assert_eq!(w.push_one("vic", &create).await, Verdict::Forbidden);
        assert_eq!(w.payload("a").await, None);
        w.apply("vic", &w.create("a", "1")).await;
    });
}

#[test]
fn a_rejection_is_final() {
    on_every_log(async |mut w| {
        w = strict(w);
        let bad = w.create("a", "bad");
        let answer = w.push_one("ann", &bad).await;
        let reason = "it is bad".to_owned();
        assert_eq!(answer, Verdict::Rejected { reason });
        let lenient = Arc::new(sync_server::decide::AnyMutation);
        w.server = w.server.with_validation(lenient);
        assert_eq!(w.push_one("ann", &bad).await, answer);
    });
}

#[test]
fn an_id_that_comes_again_with_other_content_is_refused() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        w.apply("ann", &create).await;
        for other in [
            w.create("a", "2").with_id(create.id()),
            w.create("b", "1").with_id(create.id()),
            w.update("a", "1").with_id(create.id()),
            w.create("a", "1").scope("other").with_id(create.id()),
        ] {
            assert!(is_rejected(&w.push_one("ann", &other).await));
        }
        assert_eq!(w.payload("a").await.as_deref(), Some("1"));
        assert!(is_applied(&w.push_one("ann", &create).await));
    });
}

#[test]
fn an_id_of_another_account_is_refused() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        w.apply("ann", &create).await;
        assert!(is_rejected(&w.push_one("bob", &create).await));
    });
}

#[test]
fn a_base_version_that_a_client_has_rewritten_does_not_make_it_another_mutation() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        let v1 = w.apply("ann", &create).await;
        assert_eq!(w.apply("ann", &create.clone().on(&v1)).await, v1);
    });
}

#[test]
fn a_follower_of_a_rejected_mutation_in_the_batch_is_rejected_unprocessed() {
    on_every_log(async |w| {
        let w = strict(w);
        let bad = w.create("a", "bad");
        let follower = w.update("a", "2").after(&bad);
        let stranger = w.create("a", "3");
        let other = w.create("b", "4");
        let answers = w.push("ann", &[&bad, &follower, &stranger, &other]).await;
        assert!(answers[..3].iter().all(is_rejected), "{answers:?}");
        assert!(
            is_applied(&answers[3]),
            "one bad mutation spoils no other record"
        );
        assert_eq!(w.payload("a").await, None);
    });
}

#[test]
fn a_follower_of_a_rejected_mutation_in_a_later_batch_is_rejected_unprocessed() {
    on_every_log(async |w| {
        let w = strict(w);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let bad = w.update("a", "bad").on(&v1);
        w.push_one("ann", &bad).await;
        let follower = w.update("a", "2").on(&v1).after(&bad);
        assert!(is_rejected(&w.push_one("ann", &follower).await));
        let followers_follower = w.update("a", "3").on(&v1).after(&follower);
        assert!(is_rejected(&w.push_one("ann", &followers_follower).await));
        // One that does not build on it goes its way.
        assert!(is_applied(
            &w.push_one("ann", &w.update("a", "4").on(&v1)).await
        ));
    });
}

#[test]
fn a_follower_of_a_repeated_rejection_is_rejected_too() {
    on_every_log(async |w| {
        let w = strict(w);
        let bad = w.create("a", "bad");
        w.push_one("ann", &bad).await;
        let answers = w.push("ann", &[&bad, &w.create("a", "2")]).await;
        assert!(answers.iter().all(is_rejected));
    });
}

#[test]
fn after_names_nothing_across_records_and_accounts() {
    on_every_log(async |w| {
        let w = strict(w);
        let bad = w.create("a", "bad");
        w.push_one("ann", &bad).await;
        assert!(is_applied(
            &w.push_one("ann", &w.create("b", "1").after(&bad)).await
        ));
        assert!(is_applied(
            &w.push_one("bob", &w.create("a", "1").after(&bad)).await
        ));
    });
}

#[test]
fn a_mutation_whose_predecessor_lost_is_judged_on_its_own() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("a", "bob").on(&v1).aged(50)).await;
        let first = w.update("a", "2").on(&v1).aged(70);
        let second = w.update("a", "3").on(&v1).after(&first).aged(20);
        let answers = w.push("ann", &[&first, &second]).await;
        assert_eq!(their_payload(&answers[0]), Some("bob"));
        assert!(is_applied(&answers[1]));
    });
}

#[test]
fn a_payload_that_is_too_large_is_rejected_alone() {
    on_every_log(async |mut w| {
        let limits = sync_server::Limits {
            payload_bytes: 10,
            ..Default::default()
        };
        w.server = w.server.with_limits(limits);
        let answers = w
            .push(
                "ann",
                &[&w.create("a", "far too large"), &w.create("b", "1")],
            )
            .await;
        assert!(is_rejected(&answers[0]));
        assert!(is_applied(&answers[1]));
    });
}

#[test]
fn verdicts_are_kept_at_least_as_long_as_tombstones() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        let v1 = w.apply("ann", &create).await;
        w.sleep(60);
        w.apply("bob", &w.delete("a").on(&v1)).await;
        let day = 24 * 60 * 60;
        w.sleep(89 * day);
        w.server.compact().await.unwrap();
        assert_eq!(w.apply("ann", &create).await, v1, "still a repeat");
        w.sleep(day);
        // The verdict has gone, and the tombstone, made a minute later, has not: no create gets past it.
        let compacted = w.server.compact().await.unwrap();
        assert_eq!((compacted.verdicts, compacted.tombstones), (1, 0));
        let aged = create.aged(90 * 24 * 60 * 60);
        assert_eq!(their_payload(&w.push_one("ann", &aged).await), None);
        assert_eq!(w.payload("a").await, None);
    });
}

#[test]
fn a_retention_of_verdicts_below_that_of_tombstones_is_raised() {
    use std::time::Duration;
    let (short, long) = (Duration::from_secs(1), Duration::from_secs(2));
    let retention = sync_server::log::Retention::new(long, short);
    assert_eq!(retention.verdicts(), long);
}

#[test]
fn the_version_of_a_repeat_is_one_of_the_epoch_that_reigns_now() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        let v1 = w.apply("ann", &create).await;
        w.server.new_epoch().await.unwrap();
        let epoch = w.pull(None, 1).await.epoch.unwrap();
        assert_ne!(epoch, v1.epoch);
        assert_eq!(w.apply("ann", &create).await, Version { epoch, seq: 1 });
    });
}
