//! Losing access to a scope.

use std::time::Duration;

use futures::{FutureExt, executor::block_on};
use sync_core::{
    store::{EntryFilter, MemoryStore},
    transport::{Answer, PushAnswer, TransportErrorKind, Verdict},
};
use sync_testing::{FaultyStore, ScriptedTransport, StoreCall, StoreFault, VirtualClock};

use crate::fixture::{Device, Feed, failure, feed, page, put};

async fn with_access() -> (Device, sync_core::engine::Activation) {
    let mut device = Device::new().await;
    device
        .server
        .on_pull(|_| Ok(page(vec![put(&feed("f1", 1), 1)], "c1")));
    let active = device.baby().activate();
    device.settle().await;
    (device, active)
}

fn deny(device: &Device, times: u32, kind: TransportErrorKind) {
    for _ in 0..times {
        device.server.on_pull(move |_| Err(failure(kind)));
    }
}

#[test]
fn two_refusals_of_a_pull_purge_the_scope_and_hand_over_what_was_not_synced() {
    block_on(async {
        let (mut device, _active) = with_access().await;
        device.engine.set_online(false);
        device.baby().create(&feed("f2", 2)).await.unwrap();
        deny(&device, 50, TransportErrorKind::Forbidden);
        for _ in 0..50 {
            device
                .server
                .on_push(|_| Err(failure(TransportErrorKind::Network)));
        }
        device.engine.set_online(true);
        device.run_for(Duration::from_secs(30)).await;
        assert_eq!(device.baby().list::<Feed>().await.unwrap(), []);
        let revoked = device.engine.revoked().await.unwrap();
        assert_eq!(revoked.len(), 1);
        assert_eq!(revoked[0].mutation.key.entity_id.as_str(), "f2");
        let ids = revoked.iter().map(|r| r.mutation.id);
        device.engine.acknowledge_revoked(ids).await.unwrap();
        assert_eq!(device.engine.revoked().await.unwrap(), []);
    });
}

#[test]
fn one_refusal_or_a_proxys_purges_nothing() {
    block_on(async {
        let (mut device, _active) = with_access().await;
        deny(&device, 1, TransportErrorKind::Forbidden);
        device.run_for(Duration::from_secs(30)).await;
        assert_eq!(device.baby().list::<Feed>().await.unwrap(), [feed("f1", 1)]);
        deny(&device, 20, TransportErrorKind::Foreign);
        device.run_for(Duration::from_secs(300)).await;
        assert_eq!(device.baby().list::<Feed>().await.unwrap(), [feed("f1", 1)]);
    });
}

#[test]
fn a_scope_that_took_an_edit_and_was_never_pulled_is_purged_when_access_is_lost() {
    block_on(async {
        let mut device = Device::new().await;
        deny(&device, 50, TransportErrorKind::Forbidden);
        device.baby().create(&feed("f1", 1)).await.unwrap();
        device.server.on_push(|request| {
            Ok(PushAnswer {
                answers: vec![Answer {
                    id: request.mutations[0].mutation.id,
                    verdict: Verdict::Applied {
                        version: None,
                        record: None,
                    },
                }],
                verdict_retention: None,
            })
        });
        let _active = device.baby().activate();
        device.run_for(Duration::from_secs(60)).await;
        assert_eq!(device.baby().list::<Feed>().await.unwrap(), []);
        let left = device.engine.entries(EntryFilter::default()).await.unwrap();
        assert_eq!(left, []);
    });
}

#[test]
fn a_refused_write_of_a_readable_scope_fails_and_purges_nothing() {
    block_on(async {
        let (mut device, _active) = with_access().await;
        device.baby().update(&feed("f1", 9)).await.unwrap();
        for _ in 0..3 {
            device.server.on_push(|request| {
                Ok(PushAnswer {
                    answers: vec![Answer {
                        id: request.mutations[0].mutation.id,
                        verdict: Verdict::Forbidden,
                    }],
                    verdict_retention: None,
                })
            });
        }
        device.run_for(Duration::from_secs(30)).await;
        let entries = device.engine.entries(EntryFilter::default()).await.unwrap();
        assert!(entries[0].is_failed());
        assert_eq!(device.baby().list::<Feed>().await.unwrap(), [feed("f1", 9)]);
    });
}

#[test]
fn a_driver_that_is_dropped_during_a_purge_brings_it_to_its_end_when_it_is_run_again() {
    block_on(async {
        let store = FaultyStore::new(MemoryStore::new());
        let (clock, server) = (VirtualClock::new(), ScriptedTransport::new());
        let mut device = Device::on(store.clone(), clock, server, 1).await;
        device
            .server
            .on_pull(|_| Ok(page(vec![put(&feed("f1", 1), 1)], "c1")));
        let _active = device.baby().activate();
        device.settle().await;
        deny(&device, 2, TransportErrorKind::Forbidden);
        store.fail_next(StoreCall::Purge, StoreFault::Slow);
        for _ in 0..300 {
            // As a system does that ends a background task: wherever the driver waits, it is dropped.
            let run = device.driver.run_until_idle(Duration::from_secs(1));
            let _ = run.now_or_never();
            device.clock.advance(Duration::from_millis(100));
        }
        assert_eq!(device.baby().list::<Feed>().await.unwrap(), []);
        device.server.take_calls();
        device.run_for(Duration::from_secs(30)).await;
        assert_ne!(device.server.take_calls(), [], "the scope is pulled again");
    });
}
