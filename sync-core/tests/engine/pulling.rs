//! From the server to the records.

use std::time::Duration;

use futures::{FutureExt, StreamExt, executor::block_on};
use sync_core::{
    engine::{Event, RunEnd},
    scheduler::SyncEnd,
    transport::TransportErrorKind,
};
use sync_testing::Call;

use crate::fixture::{Device, Feed, failure, feed, page, put, scope};

fn cursors(calls: Vec<Call>) -> Vec<Option<String>> {
    calls
        .into_iter()
        .filter_map(|call| match call {
            Call::Pull(request) => Some(request.cursor.map(|c| c.as_str().to_owned())),
            Call::Push(_) => None,
        })
        .collect()
}

#[test]
fn an_active_scope_is_pulled_page_by_page_from_its_cursor() {
    block_on(async {
        let mut device = Device::new().await;
        device.server.on_pull(|_| {
            let mut first = page(vec![put(&feed("f1", 1), 1)], "c1");
            first.has_more = true;
            Ok(first)
        });
        device
            .server
            .on_pull(|_| Ok(page(vec![put(&feed("f2", 2), 2)], "c2")));
        let active = device.baby().activate();
        assert_eq!(device.settle().await, RunEnd::Idle);
        let calls = cursors(device.server.take_calls());
        assert_eq!(calls[..2], [None, Some("c1".to_owned())]);
        assert_eq!(device.baby().list::<Feed>().await.unwrap().len(), 2);
        device.run_for(Duration::from_secs(20)).await;
        let polls = cursors(device.server.take_calls());
        assert!(
            (3..=5).contains(&polls.len()),
            "{} polls in 20 s",
            polls.len()
        );
        drop(active);
        device.run_for(Duration::from_secs(20)).await;
        let after = cursors(device.server.take_calls());
        assert!(after.len() <= 1, "an inactive scope is not polled");
    });
}

#[test]
fn a_page_that_has_more_but_does_not_move_on_changes_nothing() {
    block_on(async {
        let mut device = Device::new().await;
        let stuck = |_: &_| {
            let mut page = page(vec![put(&feed("f1", 1), 1)], "c1");
            page.has_more = true;
            Ok(page)
        };
        for _ in 0..10 {
            device.server.on_pull(stuck);
        }
        let mut events = device.engine.events();
        device.engine.poke(scope());
        device.run_for(Duration::from_secs(3)).await;
        let mut errors = Vec::new();
        while let Some(Some(Ok(event))) = events.next().now_or_never() {
            if let Event::Error { message } = event {
                errors.push(message);
            }
        }
        assert!(errors[0].contains("does not move on from c1"), "{errors:?}");
        let rows = device.baby().list::<Feed>().await.unwrap();
        assert_eq!(rows, [feed("f1", 1)], "the page before it is applied, once");
    });
}

#[test]
fn each_page_is_applied_before_the_next_is_asked_for() {
    block_on(async {
        let mut device = Device::new().await;
        for n in 1..=20 {
            let baby = device.baby();
            device.server.on_pull(move |_| {
                let before = baby.list::<Feed>().now_or_never().unwrap().unwrap();
                assert_eq!(before.len(), n - 1, "what came before page {n} is stored");
                let mut page = page(
                    vec![put(&feed(&format!("f{n:02}"), 1), n as u64)],
                    &format!("c{n}"),
                );
                page.has_more = n < 20;
                Ok(page)
            });
        }
        device.engine.poke(scope());
        device.settle().await;
        assert_eq!(device.baby().list::<Feed>().await.unwrap().len(), 20);
    });
}

#[test]
fn a_bad_answer_changes_nothing_and_the_next_pull_goes_on_from_there() {
    for kind in [TransportErrorKind::Malformed, TransportErrorKind::Foreign] {
        block_on(async {
            let mut device = Device::new().await;
            device
                .server
                .on_pull(|_| Ok(page(vec![put(&feed("f1", 1), 1)], "c1")));
            let _active = device.baby().activate();
            device.settle().await;
            device.server.take_calls();
            device.server.on_pull(move |_| Err(failure(kind)));
            device.run_for(Duration::from_secs(7)).await;
            let rows = device.baby().list::<Feed>().await.unwrap();
            assert_eq!(rows, [feed("f1", 1)], "{kind:?}");
            let calls = cursors(device.server.take_calls());
            assert!(calls.len() >= 2, "{kind:?}");
            assert!(
                calls.iter().all(|cursor| cursor.as_deref() == Some("c1")),
                "{kind:?}: {calls:?}"
            );
        });
    }
}

#[test]
fn an_expired_cursor_leads_to_a_resync_beside_the_live_records() {
    block_on(async {
        let mut device = Device::new().await;
        let old = vec![put(&feed("f1", 1), 1), put(&feed("f2", 2), 2)];
        device.server.on_pull(move |_| Ok(page(old.clone(), "c2")));
        let _active = device.baby().activate();
        device.settle().await;
        let mut events = device.engine.events();
        device
            .server
            .on_pull(|_| Err(failure(TransportErrorKind::CursorExpired)));
        device
            .server
            .on_pull(|_| Ok(page(vec![put(&feed("f2", 22), 9)], "c9")));
        for _ in 0..50 {
            device
                .server
                .on_push(|_| Err(failure(TransportErrorKind::Network)));
        }
        device.baby().create(&feed("f3", 3)).await.unwrap();
        device.run_for(Duration::from_secs(10)).await;
        let rows = device.baby().list::<Feed>().await.unwrap();
        assert_eq!(rows, [feed("f2", 22), feed("f3", 3)]);
        let mut resyncs = 0;
        while let Some(Some(Ok(event))) = events.next().now_or_never() {
            resyncs += u32::from(matches!(event, Event::Resync { .. }));
        }
        assert_eq!(resyncs, 1);
    });
}

#[test]
fn a_resync_that_makes_no_progress_ends_with_an_error_and_a_backoff() {
    block_on(async {
        let mut device = Device::new().await;
        device.server.on_pull(|_| Ok(page(Vec::new(), "c0")));
        let _active = device.baby().activate();
        device.settle().await;
        device.server.take_calls();
        for _ in 0..1_000 {
            device
                .server
                .on_pull(|_| Err(failure(TransportErrorKind::CursorExpired)));
        }
        device.run_for(Duration::from_secs(600)).await;
        let requests = device.server.take_calls().len();
        assert!(
            (5..200).contains(&requests),
            "{requests} requests in 10 min"
        );
    });
}

#[test]
fn a_manual_sync_reports_each_scope() {
    block_on(async {
        let device = Device::new().await;
        let (engine, clock) = (device.engine.clone(), device.clock.clone());
        device
            .server
            .on_pull(|_| Err(failure(TransportErrorKind::Network)));
        let run = device.driver.run();
        let sync = async {
            let report = engine.sync_now([scope()]).await;
            let failed = SyncEnd::Failed(TransportErrorKind::Network);
            assert_eq!(report.scopes[&scope()], failed);
            let report = engine.sync_now([scope()]).await;
            assert_eq!(report.scopes[&scope()], SyncEnd::Synced);
            engine.shutdown().await;
        };
        clock.run(futures::future::join(run, sync)).await;
    });
}
