//! What only a log in a file can do wrong.

#![allow(clippy::unwrap_used, reason = "a test's helper fails its test")]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use common::*;
use futures::executor::block_on;
use sync_core::{
    error::StoreErrorKind,
    model::{Cursor, Payload},
    transport::Verdict,
};
use sync_server::{
    ServerErrorKind,
    access::Role,
    decide::{Concurrent, ConflictPolicy, Merge, Rules},
    log::{
        ChangeLog,
        sqlite::{Durability, SqliteLog},
    },
};

fn file() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log.sqlite");
    (directory, path)
}

fn world(path: &std::path::Path) -> World {
    World::new(Arc::new(
        SqliteLog::open_with(path, Durability::Normal).unwrap(),
    ))
}

#[test]
fn a_reopened_log_goes_on_where_it_was() {
    let (_directory, path) = file();
    block_on(async {
        let (create, v1, cursor) = {
            let w = world(&path);
            let create = w.create("a\u{0}b", r#"{"n":12345678901234567890123.10}"#);
            let v1 = w.apply("ann", &create).await;
            (create, v1, w.pull(None, 10).await.next)
        };
        let w = world(&path);
        assert_eq!(w.apply("ann", &create).await, v1, "verdicts are kept");
        assert_eq!(
            w.payload("a\u{0}b").await.as_deref(),
            Some(r#"{"n":12345678901234567890123.10}"#)
        );
        assert!(w.pull(Some(&cursor), 10).await.changes.is_empty());
        w.id();
        let v2 = w.apply("bob", &w.create("b", "1")).await;
        assert_eq!(v2.seq, 2);
        assert_eq!(w.pull(Some(&cursor), 10).await.changes.len(), 1);
    });
}

#[test]
fn writers_at_once_and_a_poller_see_every_change_in_order() {
    const WRITERS: usize = 4;
    const EACH: usize = 40;
    let (_directory, path) = file();
    // Two logs on one file, as two processes would have them.
    let worlds = [world(&path), world(&path)];
    let writing = AtomicBool::new(true);
    std::thread::scope(|threads| {
        let poller = threads.spawn(|| {
            let mut seen = Vec::new();
            let mut cursor: Option<Cursor> = None;
            loop {
                let last_round = !writing.load(Ordering::SeqCst);
                let page = block_on(worlds[0].pull(cursor.as_ref(), 7));
                seen.extend(page.changes.iter().map(|change| change.seq.unwrap()));
                cursor = Some(page.next);
                if last_round && !page.has_more {
                    return seen;
                }
            }
        });
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let w = worlds[writer % 2].clone();
                threads.spawn(move || {
                    for n in 0..EACH {
                        let id = uuid::Uuid::from_u128((writer * EACH + n) as u128 + 1);
                        let create = w.create(&format!("{writer}-{n}"), "1").with_id(id.into());
                        block_on(w.apply("ann", &create));
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        writing.store(false, Ordering::SeqCst);
        let seen = poller.join().unwrap();
        assert_eq!(seen, (1..=(WRITERS * EACH) as u64).collect::<Vec<_>>());
    });
}

#[test]
fn concurrent_repeats_of_one_mutation_apply_it_once() {
    let (_directory, path) = file();
    let worlds = [world(&path), world(&path)];
    let create = worlds[0].create("a", "1");
    std::thread::scope(|threads| {
        let pushes: Vec<_> = (0..8)
            .map(|n| {
                let (w, create) = (&worlds[n % 2], &create);
                threads.spawn(move || block_on(w.apply("ann", create)))
            })
            .collect();
        for push in pushes {
            assert_eq!(push.join().unwrap().seq, 1);
        }
    });
    assert_eq!(block_on(worlds[0].pull(None, 10)).through, Some(1));
}

#[test]
fn a_log_of_an_older_version_is_brought_up_to_date_and_keeps_its_records() {
    let (_directory, path) = file();
    let w = world(&path);
    let (first, second) = (w.create("a", "1"), w.create("b", "2"));
    block_on(w.apply("ann", &first));
    drop(w);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("alter table records drop column included; pragma user_version = 1;")
        .unwrap();
    drop(raw);
    let w = world(&path);
    block_on(w.apply("ann", &second));
    let state = block_on(w.state());
    assert_eq!(state.keys().collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn a_log_of_a_newer_version_is_refused() {
    let (_directory, path) = file();
    drop(SqliteLog::open(&path).unwrap());
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 1_000).unwrap();
    let error = SqliteLog::open(&path).unwrap_err();
    assert_eq!(error.kind(), &StoreErrorKind::NewerFormat);
}

#[test]
fn a_database_of_something_else_is_refused_and_left_alone() {
    let (_directory, path) = file();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch("create table notes (text); pragma user_version = 1;")
        .unwrap();
    let error = SqliteLog::open(&path).unwrap_err();
    assert_eq!(error.kind(), &StoreErrorKind::Invalid);
    let tables: i64 = raw
        .query_row("select count(*) from sqlite_schema", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1);
}

#[test]
fn a_mutation_that_cannot_be_stored_is_retried_with_the_rest_of_its_scope() {
    let (_directory, path) = file();
    let w = world(&path);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "create trigger refuse before insert on records when new.entity_id = 'bad'
         begin select raise(abort, 'no'); end",
    )
    .unwrap();
    block_on(async {
        let (before, bad, after) = (w.create("a", "1"), w.create("bad", "1"), w.create("b", "1"));
        let other = w.create("c", "1").scope("other");
        let batch = [&before, &bad, &after, &other];
        let answers = w.push("ann", &batch).await;
        assert!(is_applied(&answers[0]));
        assert_eq!(answers[1..3], [RETRY, RETRY]);
        assert!(is_applied(&answers[3]), "another scope goes on");
        assert_eq!(w.pull(None, 10).await.through, Some(1), "no number is lost");
        raw.execute_batch("drop trigger refuse").unwrap();
        let again = w.push("ann", &batch).await;
        assert!(
            again.iter().all(is_applied),
            "a retry is not final: {again:?}"
        );
        assert_eq!(again[0], answers[0]);
        assert_eq!(w.pull(None, 10).await.through, Some(3));
    });
}

#[test]
fn a_verdict_is_stored_with_what_it_decides_or_not_at_all() {
    let (_directory, path) = file();
    let w = world(&path);
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.execute_batch(
        "create trigger refuse before insert on verdicts begin select raise(abort, 'no'); end",
    )
    .unwrap();
    block_on(async {
        let create = w.create("a", "1");
        assert_eq!(w.push_one("ann", &create).await, RETRY);
        assert!(w.state().await.is_empty());
        raw.execute_batch("drop trigger refuse").unwrap();
        assert_eq!(w.apply("ann", &create).await.seq, 1);
    });
}

#[derive(Debug)]
struct Panics;

impl Merge for Panics {
    fn merge(&self, _: &Concurrent<'_>) -> Option<Payload> {
        panic!("the app's own code")
    }
}

#[test]
fn a_merge_that_panics_fails_its_request_and_no_other() {
    let (_directory, path) = file();
    let w = world(&path).with_rules(Rules {
        conflicts: ConflictPolicy::Merge(Arc::new(Panics)),
        ..Rules::default()
    });
    block_on(async {
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        w.sleep(10);
        w.apply("bob", &w.update("a", "2").on(&v1)).await;
        let contested = w.update("a", "3").on(&v1);
        let request = sync_core::transport::PushRequest {
            account: "ann".into(),
            cursors: Vec::new(),
            mutations: vec![w.create("b", "1").0, contested.0],
        };
        let error = w.server.push(&"ann".into(), request).await.unwrap_err();
        assert_eq!(error.kind(), ServerErrorKind::Failed);
        assert_eq!(
            w.pull(None, 10).await.through,
            Some(2),
            "nothing of the batch is left"
        );
        w.apply("ann", &w.create("c", "1")).await;
    });
}

#[test]
fn a_page_and_its_cursor_are_read_at_one_moment() {
    let (_directory, path) = file();
    let w = world(&path);
    let other = world(&path);
    let ids: Vec<_> = (0..200u128)
        .map(|n| uuid::Uuid::from_u128(1_000 + n))
        .collect();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for (n, id) in ids.iter().enumerate() {
                let create = other.create(&n.to_string(), "1").with_id((*id).into());
                block_on(other.apply("ann", &create));
            }
        });
        // Each page from the start holds all that its position says has been scanned.
        while !writer.is_finished() {
            let page = block_on(w.pull(None, 1_000));
            assert_eq!(page.changes.len() as u64, page.through.unwrap());
        }
    });
}

#[test]
fn a_log_on_the_callers_thread_does_the_same() {
    let (_directory, path) = file();
    let log = SqliteLog::open_inline(&path, Durability::Normal).unwrap();
    block_on(async {
        log.members().grant("s", "ann", Role::Owner).await.unwrap();
        let w = World::new(Arc::new(log) as Arc<dyn ChangeLog>);
        let v1 = w.apply("ann", &w.create("a", "1")).await;
        let answer = w.push_one("ann", &w.update("a", "2").on(&v1)).await;
        assert!(matches!(answer, Verdict::Applied { .. }));
        assert_eq!(w.payload("a").await.as_deref(), Some("2"));
    });
}
