//! Requests, answers and processes get lost; edits do not.

use sync_core::{error::StoreErrorKind, store::MemoryStore, transport::TransportErrorKind};
use sync_testing::{Fault, FaultyStore, StoreCall, StoreFault, TestServer};

use crate::{BABY, Feed, feed, feeds};

#[tokio::test]
async fn a_lost_answer_applies_an_edit_once() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    let tablet = server.device("alice").await.unwrap();
    phone.fail_next(Fault::LostAnswer);
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    phone.scope(BABY).create(&feed("f2", 2)).await.unwrap();
    server.settle().await;
    let _active = tablet.scope(BABY).activate();
    server.settle().await;
    assert_eq!(feeds(&tablet).await, [feed("f1", 1), feed("f2", 2)]);
    assert_eq!(phone.engine().conflicts(None).await.unwrap(), []);
    let status = phone.engine().status().await.unwrap();
    assert_eq!((status.counts.pending, status.counts.failed), (0, 0));
}

#[tokio::test]
async fn every_kind_of_failure_is_survived() {
    for fault in [
        Fault::LostRequest,
        Fault::LostAnswer,
        Fault::Error(TransportErrorKind::Timeout),
        Fault::Error(TransportErrorKind::Unavailable),
        Fault::Error(TransportErrorKind::Foreign),
        Fault::Error(TransportErrorKind::Malformed),
        Fault::Error(TransportErrorKind::BadRequest),
        Fault::RetryAfter(
            TransportErrorKind::Unavailable,
            std::time::Duration::from_secs(30),
        ),
    ] {
        let server = TestServer::new();
        let phone = server.device("alice").await.unwrap();
        let _active = phone.scope(BABY).activate();
        for n in 0..3 {
            phone.fail_next(fault.clone());
            phone
                .scope(BABY)
                .create(&feed(&format!("f{n}"), n))
                .await
                .unwrap();
        }
        server.run_for(std::time::Duration::from_secs(120)).await;
        let status = phone.engine().status().await.unwrap();
        assert_eq!(
            (status.counts.pending, status.counts.failed),
            (0, 0),
            "{fault:?}"
        );
        assert_eq!(feeds(&phone).await.len(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_is_halved_until_it_goes_through() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    phone.go_offline();
    for n in 0..8 {
        phone
            .scope(BABY)
            .create(&feed(&format!("f{n}"), n))
            .await
            .unwrap();
    }
    for _ in 0..3 {
        phone.fail_next(Fault::Error(TransportErrorKind::TooLarge));
    }
    phone.go_online();
    server.settle().await;
    let status = phone.engine().status().await.unwrap();
    assert_eq!((status.counts.pending, status.counts.failed), (0, 0));
}

#[tokio::test]
async fn a_single_edit_that_is_too_large_is_set_aside_and_kept() {
    let server = TestServer::new();
    let phone = server.device("alice").await.unwrap();
    phone.fail_next(Fault::Error(TransportErrorKind::TooLarge));
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    assert_eq!(phone.engine().status().await.unwrap().counts.failed, 1);
    assert_eq!(feeds(&phone).await, [feed("f1", 1)]);
    assert!(phone.scope(BABY).retry::<Feed>("f1").await.unwrap());
    server.settle().await;
    assert_eq!(phone.engine().status().await.unwrap().counts.failed, 0);
}

#[tokio::test]
async fn a_crash_before_or_after_any_step_loses_and_repeats_nothing() {
    for call in [
        StoreCall::Take,
        StoreCall::Settle,
        StoreCall::Apply,
        StoreCall::Lead,
    ] {
        for fault in [
            StoreFault::StopBefore,
            StoreFault::StopAfter,
            StoreFault::Error(StoreErrorKind::Full),
        ] {
            let server = TestServer::new();
            let store = FaultyStore::new(MemoryStore::new());
            let phone = server.device_on("alice", store.clone()).await.unwrap();
            phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
            phone.scope(BABY).update(&feed("f1", 2)).await.unwrap();
            phone.scope(BABY).create(&feed("f2", 3)).await.unwrap();
            store.fail_next(call, fault.clone());
            server.run_for(std::time::Duration::from_secs(5)).await;
            if !matches!(fault, StoreFault::Error(_)) {
                phone.restart(&server).await.unwrap();
            }
            server.settle().await;
            let seen = feeds(&phone).await;
            assert_eq!(seen, [feed("f1", 2), feed("f2", 3)], "{call:?} {fault:?}");
            let status = phone.engine().status().await.unwrap();
            assert_eq!(status.counts.pending, 0, "{call:?} {fault:?}");
            assert_eq!(status.counts.failed, 0, "{call:?} {fault:?}");
            assert_eq!(phone.engine().conflicts(None).await.unwrap(), []);
        }
    }
}

#[tokio::test]
async fn an_edit_of_a_scope_that_nobody_watches_is_confirmed_after_a_crash() {
    let server = TestServer::new();
    let store = FaultyStore::new(MemoryStore::new());
    let phone = server.device_on("alice", store.clone()).await.unwrap();
    store.fail_next(StoreCall::Apply, StoreFault::StopBefore);
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.run_for(std::time::Duration::from_secs(5)).await;
    let counts = phone.engine().status().await.unwrap().counts;
    assert_eq!((counts.pending, counts.acknowledged), (0, 1));
    phone.restart(&server).await.unwrap();
    server.settle().await;
    assert_eq!(
        phone.engine().status().await.unwrap().counts.acknowledged,
        0
    );
    let engine = phone.engine();
    server.run(engine.wipe(false)).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_an_edit_and_takes_the_next() {
    let server = TestServer::new();
    let store = FaultyStore::new(MemoryStore::new());
    let phone = server.device_on("alice", store.clone()).await.unwrap();
    store.fail_next(StoreCall::Enqueue, StoreFault::Error(StoreErrorKind::Full));
    assert!(phone.scope(BABY).create(&feed("f1", 1)).await.is_err());
    assert_eq!(phone.scope(BABY).get::<Feed>("f1").await.unwrap(), None);
    phone.scope(BABY).create(&feed("f1", 1)).await.unwrap();
    server.settle().await;
    assert_eq!(phone.engine().status().await.unwrap().counts.pending, 0);
}
