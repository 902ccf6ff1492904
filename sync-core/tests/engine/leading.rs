//! Several engines on one database.

use std::{sync::Arc, time::Duration};

use futures::{
    FutureExt, StreamExt,
    executor::block_on,
    future::{Either, select},
};
use sync_core::{
    engine::{DriverState, EngineError, Entity, Event, RunEnd, Status, SyncEngine},
    error::StoreErrorKind,
    model::{Op, Payload, RecordKey, Schema},
    scheduler::{NoAttempt, PauseReason, SyncEnd},
    store::{CursorStore, Edit, EnqueueRequest, MemoryStore, Outbox, Stamp},
    time::Timestamp,
    transport::TransportErrorKind as Kind,
};
use sync_testing::{
    Call, FaultyStore, ScriptedTransport, SeededEntropy, StoreCall, StoreFault, VirtualClock,
};

use crate::fixture::{Device, Feed, failure, feed, page, put, scope};

async fn two() -> (Device, Device) {
    let (store, clock) = (MemoryStore::new(), VirtualClock::new());
    let server = ScriptedTransport::new();
    let first = Device::on(store.clone(), clock.clone(), server.clone(), 1).await;
    let second = Device::on(store, clock, server, 2).await;
    (first, second)
}

#[test]
fn one_leads_and_pushes_what_the_other_enqueues() {
    block_on(async {
        let (mut first, mut second) = two().await;
        first.settle().await;
        assert_eq!(second.settle().await, RunEnd::Idle);
        second.baby().create(&feed("f1", 1)).await.unwrap();
        second.settle().await;
        assert_eq!(second.server.take_calls(), [], "the second does not lead");
        let mut live = first.baby().live::<Feed>();
        assert_eq!(live.next().await.unwrap().unwrap().len(), 1);
        first.settle().await;
        let pushes = first.server.take_calls();
        assert!(matches!(pushes[0], Call::Push(_)));
    });
}

/// An edit of a process that has died before it could tell anybody.
async fn silent_edit(store: &MemoryStore) {
    let edit = Edit {
        key: RecordKey::new(scope(), Feed::TYPE, "f1"),
        op: Op::Create(Payload::encode(&feed("f1", 1)).unwrap()),
        schema: Schema(1),
        expect: None,
    };
    let stamp = Stamp {
        now: Timestamp::from_millis(1),
        random: 1,
    };
    let request = EnqueueRequest {
        account: "alice".into(),
        stamp,
        edits: vec![edit],
    };
    store.enqueue(request).await.unwrap();
}

fn pushes(server: &ScriptedTransport) -> usize {
    let is_push = |call: &Call| matches!(call, Call::Push(_));
    server.take_calls().into_iter().filter(is_push).count()
}

#[test]
fn an_edit_whose_notice_was_lost_is_pushed_after_the_next_pull() {
    block_on(async {
        let (store, clock) = (MemoryStore::new(), VirtualClock::new());
        let server = ScriptedTransport::new();
        let mut first = Device::on(store.clone(), clock, server, 1).await;
        let _active = first.baby().activate();
        first.settle().await;
        silent_edit(&store).await;
        first.run_for(Duration::from_secs(11)).await;
        assert!(pushes(&first.server) > 0);
    });
}

#[test]
fn an_engine_that_starts_tells_whoever_leads_of_edits_that_nobody_has_heard_of() {
    block_on(async {
        let (store, clock) = (MemoryStore::new(), VirtualClock::new());
        let server = ScriptedTransport::new();
        let mut first = Device::on(store.clone(), clock.clone(), server.clone(), 1).await;
        first.settle().await;
        silent_edit(&store).await;
        let mut second = Device::on(store, clock, server, 2).await;
        second.settle().await;
        assert_eq!(pushes(&first.server), 0);
        first.settle().await;
        assert!(pushes(&first.server) > 0);
    });
}

#[test]
fn a_sync_that_is_asked_for_before_the_engine_leads_waits_for_the_lead() {
    block_on(async {
        let Device {
            engine,
            driver,
            clock,
            ..
        } = Device::new().await;
        let run = driver.run();
        // The sync goes first, so that the driver finds it before it has the lead.
        let both = select(Box::pin(engine.sync_now([scope()])), Box::pin(run));
        let Either::Left((report, _)) = clock.run(both).await else {
            panic!("the driver has ended");
        };
        assert_eq!(report.scopes[&scope()], SyncEnd::Synced);
    });
}

#[test]
fn a_sync_that_is_asked_for_while_another_engine_leads_is_passed_on() {
    block_on(async {
        let (mut first, second) = two().await;
        first.settle().await;
        first.server.take_calls();
        let run = second.driver.run();
        let both = select(Box::pin(second.engine.sync_now([scope()])), Box::pin(run));
        let Either::Left((report, _)) = second.clock.run(both).await else {
            panic!("the driver has ended");
        };
        let declined = SyncEnd::NotAttempted(NoAttempt::NotLeading);
        assert_eq!(report.scopes[&scope()], declined);
        first.settle().await;
        assert!(matches!(first.server.take_calls()[..], [Call::Pull(_)]));
    });
}

#[test]
fn a_list_in_one_follows_an_edit_in_the_other() {
    block_on(async {
        let (mut first, second) = two().await;
        let mut live = first.baby().live::<Feed>();
        live.next().await;
        first.engine.set_online(false);
        second.baby().create(&feed("f1", 1)).await.unwrap();
        first.settle().await;
        let list = live.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(list.len(), 1);
    });
}

#[test]
fn the_lead_passes_on_when_the_leader_goes() {
    block_on(async {
        let (mut first, mut second) = two().await;
        first.settle().await;
        second.settle().await;
        drop(first);
        second.baby().create(&feed("f1", 1)).await.unwrap();
        second.settle().await;
        assert_eq!(second.engine.status().await.unwrap().counts.pending, 0);
    });
}

#[test]
fn a_leader_whose_fence_was_raised_changes_nothing_any_more() {
    block_on(async {
        let (store, clock) = (MemoryStore::new(), VirtualClock::new());
        let server = ScriptedTransport::new();
        let mut device = Device::on(store.clone(), clock, server, 1).await;
        device.settle().await;
        device.baby().create(&feed("f1", 1)).await.unwrap();
        let usurper = store.clone();
        device.server.on_push(move |request| {
            usurper
                .lead("alice".into())
                .now_or_never()
                .unwrap()
                .unwrap();
            Ok(sync_core::transport::PushAnswer {
                answers: vec![sync_core::transport::Answer {
                    id: request.mutations[0].mutation.id,
                    verdict: sync_core::transport::Verdict::Rejected {
                        reason: "late".to_owned(),
                    },
                }],
                verdict_retention: None,
            })
        });
        device.settle().await;
        let status = device.engine.status().await.unwrap();
        assert_eq!(status.counts.failed, 0, "the late answer settles nothing");
        assert_eq!(status.counts.pending, 0, "it leads anew and sends it again");
    });
}

#[test]
fn a_pause_is_told_to_every_engine_and_ended_by_any() {
    block_on(async {
        let (mut first, mut second) = two().await;
        first.settle().await;
        second.settle().await;
        let mut events = second.engine.events();
        first.server.on_push(|_| Err(failure(Kind::Unauthorized)));
        first.baby().create(&feed("f1", 1)).await.unwrap();
        first.settle().await;
        second.settle().await;
        let mut told = Vec::new();
        while let Some(Some(event)) = events.next().now_or_never() {
            told.push(event.unwrap());
        }
        let reason = PauseReason::AuthRequired;
        assert!(told.contains(&Event::Paused { reason }), "{told:?}");
        second.engine.resume();
        second.settle().await;
        first.settle().await;
        assert_eq!(first.engine.status().await.unwrap().counts.pending, 0);
    });
}

/// Runs a device until its status is as it should be.
async fn run_until(device: Device, expected: impl Fn(&Status) -> bool) -> Status {
    let mut changes = device.engine.watch_status();
    let seen = async {
        loop {
            let status = changes.next().await.unwrap().unwrap();
            if expected(&status) {
                return status;
            }
        }
    };
    let both = select(Box::pin(seen), Box::pin(device.driver.run()));
    match device.clock.run(both).await {
        Either::Left((status, _)) => status,
        Either::Right(_) => panic!("the driver has ended"),
    }
}

#[test]
fn a_follower_that_has_just_started_shows_how_the_leader_stands() {
    block_on(async {
        let (store, clock) = (MemoryStore::new(), VirtualClock::new());
        let server = ScriptedTransport::new();
        let mut first = Device::on(store.clone(), clock.clone(), server.clone(), 1).await;
        first.server.on_push(|_| Err(failure(Kind::Unauthorized)));
        first.baby().create(&feed("f1", 1)).await.unwrap();
        first.settle().await;
        let mut second = Device::on(store, clock, server, 2).await;
        let _active = second.baby().activate();
        // It announces itself, and is told.
        second.run_for(Duration::from_secs(1)).await;
        first.settle().await;
        let is_paused = |status: &Status| matches!(status.driver, DriverState::Paused(_));
        let shown = run_until(second, is_paused).await;
        assert_eq!(shown.driver, DriverState::Paused(PauseReason::AuthRequired));
        assert!(shown.last_error.is_some());
    });
}

#[test]
fn a_leader_that_loses_the_lead_in_the_middle_of_a_call_tells_what_the_call_has_done() {
    block_on(async {
        let inner = MemoryStore::new();
        let store = FaultyStore::new(inner.clone());
        let (clock, server) = (VirtualClock::new(), ScriptedTransport::new());
        let mut device = Device::on(store.clone(), clock, server, 1).await;
        let mut live = device.baby().live::<Feed>();
        live.next().await;
        store.fail_next(StoreCall::Apply, StoreFault::StopAfter);
        device
            .server
            .on_pull(|_| Ok(page(vec![put(&feed("f1", 1), 1)], "c1")));
        let _active = device.baby().activate();
        device.run_for(Duration::from_secs(3)).await;
        assert!(live.next().now_or_never().is_none(), "the call hangs");
        inner.lead("alice".into()).await.unwrap();
        let elsewhere = device.engine.scope("baby-2");
        elsewhere.create(&feed("f2", 1)).await.unwrap();
        device.run_for(Duration::from_secs(3)).await;
        let shown = live.next().now_or_never().expect("the list is told");
        let shown = shown.unwrap().unwrap();
        assert_eq!(shown.len(), 1);
    });
}

#[test]
fn a_wipe_by_one_engine_closes_the_others_before_the_next_account_has_the_database() {
    block_on(async {
        let (store, clock) = (MemoryStore::new(), VirtualClock::new());
        let server = ScriptedTransport::new();
        let mut first = Device::on(store.clone(), clock.clone(), server.clone(), 1).await;
        let mut second = Device::on(store.clone(), clock.clone(), server.clone(), 2).await;
        first.settle().await;
        second.settle().await;
        let mut live = second.baby().live::<Feed>();
        assert!(live.next().await.unwrap().unwrap().is_empty());
        first.engine.wipe(false).await.unwrap();
        let again = first.engine.wipe(true).await.unwrap_err();
        assert!(is_wiped(&again), "not what the next account has written");
        let (bob, _driver) = SyncEngine::builder(store, server)
            .account("bob")
            .clock(Arc::new(clock))
            .entropy(Arc::new(SeededEntropy::new(3)))
            .open()
            .await
            .unwrap();
        let scope = bob.scope(scope());
        scope.create(&feed("f1", 1)).await.unwrap();
        assert_eq!(second.settle().await, RunEnd::Ended);
        assert!(is_wiped(&second.baby().list::<Feed>().await.unwrap_err()));
        assert!(is_wiped(&second.engine.status().await.unwrap_err()));
        let told = live.next().await.unwrap().unwrap_err();
        assert_eq!(*told.kind(), StoreErrorKind::Invalid);
        assert_eq!(scope.list::<Feed>().await.unwrap().len(), 1);
    });
}

fn is_wiped(error: &EngineError) -> bool {
    matches!(error, EngineError::Store(error) if *error.kind() == StoreErrorKind::Invalid)
}

#[test]
fn a_scope_that_a_follower_activates_is_pulled_by_the_leader() {
    block_on(async {
        let (mut first, mut second) = two().await;
        first.settle().await;
        let _active = second.baby().activate();
        second.run_for(Duration::from_secs(1)).await;
        first.run_for(Duration::from_secs(1)).await;
        let calls = first.server.take_calls();
        assert!(calls.iter().any(|call| matches!(call, Call::Pull(_))));
        assert_eq!(
            second.engine.status().await.unwrap().driver,
            DriverState::NotRunning
        );
    });
}

#[test]
fn a_leader_that_is_hidden_polls_for_a_follower_that_is_seen() {
    block_on(async {
        let (mut first, mut second) = two().await;
        first.settle().await;
        let _active = second.baby().activate();
        second.engine.set_visible(true);
        first.engine.set_visible(false);
        second.run_for(Duration::from_secs(1)).await;
        first.run_for(Duration::from_secs(1)).await;
        first.server.take_calls();
        first.run_for(Duration::from_secs(20)).await;
        let polls = first.server.take_calls().len();
        assert!(polls >= 3, "{polls} polls in 20 s");
        // Nothing was heard of the follower since.
        first.run_for(Duration::from_secs(20)).await;
        first.server.take_calls();
        first.run_for(Duration::from_secs(60)).await;
        assert_eq!(first.server.take_calls().len(), 0, "nobody looks any more");
    });
}

#[test]
fn a_leader_does_not_poll_for_a_follower_that_is_hidden_too() {
    block_on(async {
        let (mut first, mut second) = two().await;
        first.settle().await;
        let _active = second.baby().activate();
        second.engine.set_visible(false);
        first.engine.set_visible(false);
        second.run_for(Duration::from_secs(1)).await;
        first.run_for(Duration::from_secs(1)).await;
        first.server.take_calls();
        first.run_for(Duration::from_secs(20)).await;
        assert_eq!(first.server.take_calls().len(), 0);
    });
}

#[test]
fn a_driver_ends_when_its_last_handle_goes() {
    block_on(async {
        let device = Device::new().await;
        let clock = device.clock.clone();
        let run = device.driver.run();
        drop(device.engine);
        clock.run(run).await;
    });
}

#[test]
fn a_wiped_database_ends_the_driver_and_takes_another_account() {
    block_on(async {
        let (store, clock) = (MemoryStore::new(), VirtualClock::new());
        let server = ScriptedTransport::new();
        let device = Device::on(store.clone(), clock.clone(), server, 1).await;
        let (engine, driver) = (device.engine.clone(), device.driver);
        let wipe = async {
            engine.idle().await;
            engine.wipe(false).await.unwrap();
        };
        clock.run(futures::future::join(driver.run(), wipe)).await;
        store.bind("bob".into()).await.unwrap();
        assert!(
            device
                .engine
                .scope("s")
                .create(&feed("f1", 1))
                .await
                .is_err()
        );
    });
}
