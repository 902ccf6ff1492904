//! The conflict rule: who wins, who is told, and what is no conflict at all.

#![allow(clippy::unwrap_used, reason = "a test's helper fails its test")]

mod common;

use std::{sync::Arc, time::Duration};

use common::*;
use sync_core::{
    model::{ChangeOp, Payload},
    transport::Verdict,
};
use sync_server::{
    access::Role,
    decide::{Concurrent, ConflictPolicy, Merge, Rules},
    log::Retention,
};

#[test]
fn an_edit_of_the_current_version_is_no_conflict_whatever_the_clocks_say() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let v2 = w
            .apply("bob", &w.update("a", "2").on(&v1).aged(9_999_999))
            .await;
        assert_eq!((v1.seq, v2.seq), (1, 2));
        assert_eq!(w.payload("a").await.as_deref(), Some("2"));
        assert!(w.state().await["a"].overwritten.is_empty());
    });
}

#[test]
fn two_offline_edits_of_one_client_do_not_conflict_with_each_other() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        // Both were made offline over what was pulled: the second names the first, and is based on the same version.
        let first = w.update("a", "2").on(&v1).aged(90);
        let second = w.update("a", "3").on(&v1).after(&first).aged(80);
        assert!(is_applied(&w.push_one("ann", &first).await));
        assert!(is_applied(&w.push_one("ann", &second).await));
        let third = w.update("a", "4").on(&v1).after(&second).aged(80);
        let fourth = w.delete("a").on(&v1).after(&third).aged(80);
        let fifth = w.create("a", "5").on(&v1).after(&fourth).aged(80);
        let answers = w.push("ann", &[&third, &fourth, &fifth]).await;
        assert!(answers.iter().all(is_applied), "{answers:?}");
        let state = w.state().await;
        assert_eq!(plain(state["a"].op.payload().unwrap()), "5");
        assert!(state["a"].overwritten.is_empty());
    });
}

#[test]
fn after_does_not_help_when_another_edit_came_between() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let first = w.update("a", "2").on(&v1).aged(50);
        let v2 = w.apply("ann", &first).await;
        w.apply("bob", &w.update("a", "bob").on(&v2)).await;
        let second = w.update("a", "3").on(&v1).after(&first).aged(40);
        let answer = w.push_one("ann", &second).await;
        assert_eq!(their_payload(&answer), Some("bob"));
    });
}

#[test]
fn naming_the_mutation_of_somebody_else_is_no_knowledge_of_it() {
    on_every_log(async |w| {
        let create = w.create("a", "1");
        w.apply("ann", &create).await;
        w.sleep(10);
        let stale = w.update("a", "2").after(&create).aged(10_000);
        assert_eq!(their_payload(&w.push_one("bob", &stale).await), Some("1"));
    });
}

#[test]
fn of_two_concurrent_edits_the_later_one_wins_however_late_it_arrives() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        // Bob edited 50 s ago and arrives first; Ann edited 20 s ago and arrives second.
        let bob = w.update("a", "bob").on(&v1).aged(50);
        w.apply("bob", &bob).await;
        let ann = w.update("a", "ann").on(&v1).aged(20);
        let v3 = w.apply("ann", &ann).await;
        let change = w.state().await.remove("a").unwrap();
        assert_eq!(plain(change.op.payload().unwrap()), "ann");
        // Bob had been told that his edit was applied: the winner's change tells him otherwise.
        let [mark] = change.overwritten.as_slice() else {
            panic!("one mark: {:?}", change.overwritten)
        };
        assert_eq!(mark.mutation_id, bob.id());
        assert_eq!(mark.account.as_str(), "bob");
        assert_eq!(plain(mark.payload.as_ref().unwrap()), "bob");
        assert_eq!(mark.by, v3.seq);
    });
}

#[test]
fn the_earlier_of_two_concurrent_edits_gets_a_conflict_with_the_current_record() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let v2 = w.apply("bob", &w.update("a", "bob").on(&v1).aged(20)).await;
        let answer = w
            .push_one("ann", &w.update("a", "ann").on(&v1).aged(50))
            .await;
        assert_eq!(their_payload(&answer), Some("bob"));
        assert_eq!(theirs(&answer).version.as_ref(), Some(&v2));
        assert_eq!(w.payload("a").await.as_deref(), Some("bob"));
    });
}

#[test]
fn on_a_tie_the_first_arrival_stays() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("a", "bob").on(&v1).aged(20)).await;
        let answer = w
            .push_one("ann", &w.update("a", "ann").on(&v1).aged(20))
            .await;
        assert_eq!(their_payload(&answer), Some("bob"));
    });
}

#[test]
fn a_device_with_a_far_future_clock_locks_nothing() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(10);
        // Only ages cross the wire, and the youngest edit is one made now.
        w.apply("bob", &w.update("a", "bob").on(&v1).aged(0)).await;
        w.sleep(1);
        w.apply("ann", &w.update("a", "ann").on(&v1).aged(0)).await;
        assert_eq!(w.payload("a").await.as_deref(), Some("ann"));
    });
}

#[test]
fn an_edit_is_never_older_than_what_it_was_based_on() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1").aged(500)).await;
        w.sleep(5);
        // Bob had never pulled, and edited 20 s before the first version was made.
        w.apply("bob", &w.update("a", "bob").aged(25)).await;
        w.sleep(5);
        // Ann says 40 s before it, and had seen it: her edit is at least as young as that version.
        let ann = w.update("a", "ann").on(&v1).aged(50);
        assert!(is_applied(&w.push_one("ann", &ann).await));
    });
}

#[test]
fn an_edit_over_an_unknown_version_is_as_old_as_it_says() {
    on_every_log(async |w| {
        w.apply("ann", &w.create("a", "1").aged(10)).await;
        w.sleep(100);
        let older = w.update("a", "bob").aged(111);
        assert_eq!(their_payload(&w.push_one("bob", &older).await), Some("1"));
        let later = w.update("a", "bob").aged(109);
        assert!(is_applied(&w.push_one("bob", &later).await));
    });
}

#[test]
fn the_edit_time_of_a_record_never_falls_below_its_predecessors() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let first = w.update("a", "2").on(&v1).aged(10);
        w.apply("ann", &first).await;
        // Sent with an age that makes it older than the edit it follows, as after a step of the device's clock.
        let second = w.update("a", "3").on(&v1).after(&first).aged(90);
        w.apply("ann", &second).await;
        let between = w.update("a", "bob").on(&v1).aged(50);
        assert_eq!(their_payload(&w.push_one("bob", &between).await), Some("3"));
    });
}

#[test]
fn the_mark_of_an_overwritten_edit_is_carried_on_by_what_supersedes_it() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let bob = w.update("a", "bob").on(&v1).aged(50);
        w.apply("bob", &bob).await;
        let v3 = w.apply("ann", &w.update("a", "ann").on(&v1).aged(20)).await;
        let v4 = w.apply("ann", &w.update("a", "4").on(&v3)).await;
        w.apply("ann", &w.delete("a").on(&v4)).await;
        let change = w.state().await.remove("a").unwrap();
        assert_eq!(change.op, ChangeOp::Remove);
        assert_eq!(change.overwritten.len(), 1);
        assert_eq!(change.overwritten[0].mutation_id, bob.id());
        assert_eq!(change.overwritten[0].by, v3.seq);
    });
}

#[test]
fn the_marks_of_a_record_are_bounded_in_number_and_in_time() {
    on_every_log(async |w| {
        let day = Duration::from_secs(24 * 60 * 60);
        let w = w.with_rules(Rules {
            retention: Retention::new(day, day),
            ..Rules::default()
        });
        w.apply("ann", &w.create("a", "0")).await;
        let mut edits = Vec::new();
        for n in 1..40 {
            w.sleep(10);
            edits.push(w.update("a", &n.to_string()));
            w.apply("bob", edits.last().unwrap()).await;
        }
        let change = w.state().await.remove("a").unwrap();
        let marked: Vec<_> = change.overwritten.iter().map(|m| m.mutation_id).collect();
        let newest: Vec<_> = edits[22..38].iter().map(Edit::id).collect();
        assert_eq!(marked, newest);

        w.sleep(2 * 24 * 60 * 60);
        let version = sync_core::model::Version::new(
            w.pull(None, 1).await.epoch.unwrap(),
            change.seq.unwrap(),
        );
        w.apply("ann", &w.update("a", "last").on(&version)).await;
        assert!(w.state().await["a"].overwritten.is_empty());
    });
}

#[test]
fn compaction_drops_the_marks_that_are_older_than_the_retention() {
    on_every_log(async |w| {
        w.apply("ann", &w.create("a", "1")).await;
        w.sleep(10);
        w.apply("bob", &w.update("a", "2")).await;
        assert_eq!(w.state().await["a"].overwritten.len(), 1);
        w.sleep(91 * 24 * 60 * 60);
        w.server.compact().await.unwrap();
        let change = w.state().await.remove("a").unwrap();
        assert_eq!(plain(change.op.payload().unwrap()), "2");
        assert!(change.overwritten.is_empty());
    });
}

#[test]
fn an_update_of_a_record_that_is_gone_is_a_conflict_with_a_delete() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(10);
        let v2 = w.apply("bob", &w.delete("a").on(&v1).aged(5)).await;
        w.sleep(10);
        // Later than the delete, and never a create all the same.
        let late = w.push_one("ann", &w.update("a", "2").on(&v1)).await;
        assert_eq!(their_payload(&late), None);
        assert_eq!(theirs(&late).version.as_ref(), Some(&v2));
        assert_eq!(w.payload("a").await, None);
        // One that was never there is gone as well.
        let never = w.push_one("ann", &w.update("never", "1")).await;
        assert_eq!(their_payload(&never), None);
    });
}

#[test]
fn a_create_of_a_record_whose_delete_it_had_seen_is_no_conflict() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let v2 = w.apply("bob", &w.delete("a").on(&v1)).await;
        assert!(is_applied(
            &w.push_one("ann", &w.create("a", "2").on(&v2).aged(9_999))
                .await
        ));
        assert_eq!(w.payload("a").await.as_deref(), Some("2"));
    });
}

#[test]
fn a_deleted_record_does_not_come_back_by_an_older_create() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.delete("a").on(&v1).aged(10)).await;
        let create = w.create("a", "2").on(&v1).aged(50);
        assert_eq!(their_payload(&w.push_one("ann", &create).await), None);
        assert_eq!(w.payload("a").await, None);
    });
}

#[test]
fn a_later_create_wins_over_a_delete_that_it_had_not_seen() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let delete = w.delete("a").on(&v1).aged(50);
        w.apply("bob", &delete).await;
        w.apply("ann", &w.create("a", "2").on(&v1).aged(10)).await;
        let change = w.state().await.remove("a").unwrap();
        assert_eq!(plain(change.op.payload().unwrap()), "2");
        assert_eq!(change.overwritten[0].mutation_id, delete.id());
        assert_eq!(change.overwritten[0].payload, None);
    });
}

#[test]
fn an_earlier_delete_loses_to_a_later_edit() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("a", "2").on(&v1).aged(10)).await;
        let delete = w.delete("a").on(&v1).aged(50);
        assert_eq!(their_payload(&w.push_one("ann", &delete).await), Some("2"));
    });
}

#[test]
fn a_delete_of_what_is_not_there_is_applied_and_appends_nothing() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let v2 = w.apply("ann", &w.delete("a").on(&v1)).await;
        let again = w.apply("bob", &w.delete("a").on(&v1)).await;
        let never = w.apply("bob", &w.delete("never")).await;
        assert_eq!((&again, &never), (&v2, &v2), "the scope's head");
        assert_eq!(w.pull(None, 10).await.through, Some(2));
    });
}

#[test]
fn what_follows_a_delete_that_found_its_work_done_is_no_conflict() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.delete("a").on(&v1).aged(1)).await;
        let delete = w.delete("a").on(&v1).aged(80);
        let create = w.create("a", "2").on(&v1).after(&delete).aged(70);
        let answers = w.push("ann", &[&delete, &create]).await;
        assert!(answers.iter().all(is_applied), "{answers:?}");
        assert_eq!(w.payload("a").await.as_deref(), Some("2"));
    });
}

#[test]
fn where_the_first_wins_a_concurrent_edit_never_overwrites() {
    on_every_log(async |w| {
        let w = w.with_rules(Rules {
            conflicts: ConflictPolicy::FirstWins,
            ..Rules::default()
        });
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("a", "bob").on(&v1).aged(50)).await;
        let ann = w.update("a", "ann").on(&v1).aged(1);
        assert_eq!(their_payload(&w.push_one("ann", &ann).await), Some("bob"));
    });
}

/// Puts both edits into a list.
#[derive(Debug)]
struct Both;

impl Merge for Both {
    fn merge(&self, edits: &Concurrent<'_>) -> Option<Payload> {
        let (current, incoming) = (edits.current.as_str(), edits.incoming.as_str());
        Some(Payload::parse(format!("[{current},{incoming}]")).unwrap())
    }
}

fn merging(w: World) -> World {
    w.members.grant(S, "cyd", Role::Editor);
    w.members.grant(S, "dan", Role::Editor);
    w.with_rules(Rules {
        conflicts: ConflictPolicy::Merge(Arc::new(Both)),
        ..Rules::default()
    })
}

#[test]
fn a_merge_takes_both_edits_in_and_the_answer_carries_the_record() {
    on_every_log(async |w| {
        let w = merging(w);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("a", "2").on(&v1).aged(5)).await;
        let ann = w.update("a", "3").on(&v1).aged(50);
        let answer = w.push_one("ann", &ann).await;
        let Verdict::Applied {
            version,
            record: Some(record),
        } = &answer
        else {
            panic!("applied with the record: {answer:?}")
        };
        assert_eq!(record.payload.as_ref().unwrap().as_str(), "[2,3]");
        assert_eq!(&record.version, version);
        assert_eq!(w.payload("a").await.as_deref(), Some("[2,3]"));
        assert_eq!(w.push_one("ann", &ann).await, answer, "sent again");
    });
}

#[test]
fn an_edit_after_one_that_was_merged_was_not_made_over_the_merged_record() {
    on_every_log(async |w| {
        let w = merging(w);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("a", "2").on(&v1).aged(5)).await;
        let first = w.update("a", "3").on(&v1).aged(50);
        let second = w.update("a", "4").on(&v1).after(&first).aged(40);
        w.push("ann", &[&first, &second]).await;
        // Had the second been taken as made over [2,3], Bob's 2 would be lost.
        assert_eq!(w.payload("a").await.as_deref(), Some("[[2,3],4]"));
    });
}

#[test]
fn whoever_overwrites_a_merge_overwrites_all_that_it_holds() {
    on_every_log(async |w| {
        let w = merging(w);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let bob = w.update("a", "2").on(&v1).aged(60);
        w.apply("bob", &bob).await;
        let cyd = w.update("a", "3").on(&v1).aged(50);
        w.apply("cyd", &cyd).await;
        let dan = w.update("a", "4").on(&v1).aged(40);
        w.apply("dan", &dan).await;
        // Ann has seen none of the three, and a delete is not merged.
        let gone = w.apply("ann", &w.delete("a").on(&v1).aged(5)).await;
        let change = w.state().await.remove("a").unwrap();
        let told: Vec<_> = change
            .overwritten
            .iter()
            .map(|mark| mark.mutation_id)
            .collect();
        assert_eq!(told, [bob.id(), cyd.id(), dan.id()]);
        for mark in &change.overwritten {
            assert_eq!(mark.payload.as_ref().unwrap().as_str(), "[[2,3],4]");
            assert_eq!(mark.by, gone.seq);
        }
    });
}

#[test]
fn of_what_a_merge_holds_nobody_is_told_whose_edit_the_winner_had_seen_or_built_upon() {
    on_every_log(async |w| {
        let w = merging(w);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        let v2 = w.apply("bob", &w.update("a", "2").on(&v1).aged(60)).await;
        let cyd = w.update("a", "3").on(&v1).aged(50);
        w.apply("cyd", &cyd).await;
        let dan = w.update("a", "4").on(&v1).aged(40);
        w.apply("dan", &dan).await;
        // Cyd has pulled what Bob wrote, and goes on from her own edit.
        let delete = w.delete("a").on(&v2).after(&cyd).aged(5);
        w.apply("cyd", &delete).await;
        let told = w.state().await.remove("a").unwrap().overwritten;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].mutation_id, dan.id());

        // Who has seen the merge overwrites nobody.
        let v1 = w.apply("ann", &w.create("b", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("b", "2").on(&v1).aged(60)).await;
        let v3 = w.apply("cyd", &w.update("b", "3").on(&v1).aged(50)).await;
        w.apply("ann", &w.delete("b").on(&v3)).await;
        assert!(w.state().await["b"].overwritten.is_empty());
    });
}

#[test]
fn a_delete_is_not_merged() {
    on_every_log(async |w| {
        let w = merging(w);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(100);
        w.apply("bob", &w.update("a", "2").on(&v1).aged(50)).await;
        assert!(is_applied(
            &w.push_one("ann", &w.delete("a").on(&v1).aged(5)).await
        ));
        assert_eq!(w.payload("a").await, None);
    });
}

#[test]
fn records_of_one_id_in_two_scopes_are_two_records() {
    on_every_log(async |w| {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.apply("ann", &w.create("a", "moved").scope("other")).await;
        w.apply("ann", &w.delete("a").on(&v1)).await;
        assert_eq!(w.payload("a").await, None);
        let other = w.try_pull("ann", "other", None, 10).await.unwrap();
        assert_eq!(plain(other.changes[0].op.payload().unwrap()), "moved");
        assert_eq!(
            other.changes[0].seq,
            Some(1),
            "each scope has its own sequence"
        );
    });
}
