//! From an edit to the server.

use futures::{FutureExt, executor::block_on};
use sync_core::{
    engine::{DriverState, RunEnd},
    model::MutationId,
    scheduler::{FlushEnd, NoAttempt},
    store::{Enqueued, EntryFilter},
    transport::{Answer, PushAnswer, TransportErrorKind, Verdict},
};
use sync_testing::{Call, SeededEntropy, VirtualClock};

use crate::fixture::{Device, Feed, failure, feed};

fn pushed(calls: Vec<Call>) -> Vec<Vec<MutationId>> {
    calls
        .into_iter()
        .filter_map(|call| match call {
            Call::Push(request) => Some(request.mutations.iter().map(|m| m.mutation.id).collect()),
            Call::Pull(_) => None,
        })
        .collect()
}

#[test]
fn an_edit_is_seen_at_once_and_kept_without_a_driver() {
    block_on(async {
        let device = Device::new().await;
        device.baby().create(&feed("f1", 120)).await.unwrap();
        let read: Feed = device.baby().get("f1").await.unwrap().unwrap();
        assert_eq!(read, feed("f1", 120));
        let status = device.engine.status().await.unwrap();
        assert_eq!(status.counts.pending, 1);
        assert_eq!(status.driver, DriverState::NotRunning);
    });
}

#[test]
fn what_waits_is_pushed_once_and_leaves_the_outbox() {
    block_on(async {
        let mut device = Device::new().await;
        let Enqueued::Queued(id) = device.baby().create(&feed("f1", 120)).await.unwrap() else {
            panic!("not queued");
        };
        assert_eq!(device.settle().await, RunEnd::Idle);
        assert_eq!(pushed(device.server.take_calls()), [vec![id]]);
        assert_eq!(device.engine.status().await.unwrap().counts.pending, 0);
        assert_eq!(device.settle().await, RunEnd::Idle);
        assert!(pushed(device.server.take_calls()).is_empty());
    });
}

#[test]
fn a_failed_push_is_tried_again_with_no_further_event() {
    block_on(async {
        let mut device = Device::new().await;
        device.baby().create(&feed("f1", 120)).await.unwrap();
        for kind in [
            TransportErrorKind::Network,
            TransportErrorKind::Timeout,
            TransportErrorKind::Unavailable,
            TransportErrorKind::Foreign,
            TransportErrorKind::Malformed,
        ] {
            device.server.on_push(move |_| Err(failure(kind)));
        }
        assert_eq!(device.settle().await, RunEnd::Idle);
        let calls = pushed(device.server.take_calls());
        assert_eq!(calls.len(), 6);
        assert!(
            calls.iter().all(|ids| *ids == calls[0]),
            "the same id each time"
        );
        let status = device.engine.status().await.unwrap();
        assert_eq!((status.counts.pending, status.counts.failed), (0, 0));
        assert_eq!(status.last_error, None);
    });
}

#[test]
fn an_answer_for_what_was_not_sent_is_ignored() {
    block_on(async {
        let mut device = Device::new().await;
        device.baby().create(&feed("f1", 120)).await.unwrap();
        device.server.on_push(|request| {
            let stranger = MutationId::following(None, Default::default(), 9);
            let sent = request.mutations[0].mutation.id;
            let verdict = || Verdict::Applied {
                version: None,
                record: None,
            };
            let rejected = Verdict::Rejected {
                reason: "twice".to_owned(),
            };
            Ok(PushAnswer {
                answers: vec![
                    Answer {
                        id: stranger,
                        verdict: verdict(),
                    },
                    Answer {
                        id: sent,
                        verdict: verdict(),
                    },
                    Answer {
                        id: sent,
                        verdict: rejected,
                    },
                ],
                verdict_retention: None,
            })
        });
        device.settle().await;
        let status = device.engine.status().await.unwrap();
        assert_eq!((status.counts.pending, status.counts.failed), (0, 0));
    });
}

#[test]
fn what_the_server_did_not_answer_stays_and_is_sent_again() {
    block_on(async {
        let mut device = Device::new().await;
        device.baby().create(&feed("f1", 1)).await.unwrap();
        device.baby().create(&feed("f2", 2)).await.unwrap();
        device.server.on_push(|request| {
            let first = &request.mutations[0].mutation;
            Ok(PushAnswer {
                answers: vec![Answer {
                    id: first.id,
                    verdict: Verdict::Applied {
                        version: None,
                        record: None,
                    },
                }],
                verdict_retention: None,
            })
        });
        device.server.on_push(|_| Ok(PushAnswer::default()));
        device.settle().await;
        let calls = pushed(device.server.take_calls());
        assert_eq!(calls.len(), 3);
        assert_eq!(calls[1], calls[0][1..], "only what was not answered");
        assert_eq!(calls[2], calls[1], "under the same id");
        let status = device.engine.status().await.unwrap();
        assert_eq!((status.counts.pending, status.counts.failed), (0, 0));
    });
}

#[test]
fn a_rejected_edit_stays_in_the_view_until_it_is_discarded() {
    block_on(async {
        let mut device = Device::new().await;
        device.baby().create(&feed("f1", 120)).await.unwrap();
        device.server.on_push(|request| {
            Ok(PushAnswer {
                answers: vec![Answer {
                    id: request.mutations[0].mutation.id,
                    verdict: Verdict::Rejected {
                        reason: "no such baby".to_owned(),
                    },
                }],
                verdict_retention: None,
            })
        });
        device.settle().await;
        assert!(device.baby().get::<Feed>("f1").await.unwrap().is_some());
        let entries = device.engine.entries(EntryFilter::default()).await.unwrap();
        assert!(entries[0].is_failed());
        assert!(device.baby().discard::<Feed>("f1").await.unwrap());
        assert!(device.baby().get::<Feed>("f1").await.unwrap().is_none());
    });
}

#[test]
fn offline_nothing_is_sent_and_coming_back_sends_it() {
    block_on(async {
        let mut device = Device::new().await;
        device.engine.set_online(false);
        device.baby().create(&feed("f1", 120)).await.unwrap();
        assert_eq!(device.settle().await, RunEnd::Idle);
        assert_eq!(device.server.take_calls(), []);
        device.engine.set_online(true);
        device.settle().await;
        assert_eq!(pushed(device.server.take_calls()).len(), 1);
    });
}

#[test]
fn a_sync_without_a_driver_says_so_at_once() {
    block_on(async {
        let device = Device::new().await;
        let report = device.engine.sync_now([]).await;
        assert_eq!(report.flush, FlushEnd::NotAttempted(NoAttempt::NotRunning));
        assert!(!device.engine.idle().await);
    });
}

#[test]
fn a_sync_asked_for_right_after_run_is_carried_out() {
    block_on(async {
        let device = Device::new().await;
        let clock = device.clock.clone();
        device.baby().create(&feed("f1", 120)).await.unwrap();
        let run = device.driver.run();
        let engine = device.engine.clone();
        drop(device.engine);
        let sync = async move {
            let report = engine.sync_now([]).await;
            assert_eq!(report.flush, FlushEnd::Answered);
            // Dropping the last handle ends the driver.
        };
        clock.run(futures::future::join(run, sync)).await;
        assert_eq!(pushed(device.server.take_calls()).len(), 1);
    });
}

#[test]
fn an_edit_by_function_is_made_anew_when_the_record_moves() {
    block_on(async {
        let device = Device::new().await;
        let baby = device.baby();
        baby.create(&feed("f1", 100)).await.unwrap();
        let other = baby.clone();
        let mut seen = Vec::new();
        let changed = baby
            .update_with("f1", |value: &mut Feed| {
                seen.push(value.ml);
                if seen.len() == 1 {
                    // Somebody else gets in between; the memory store answers at once.
                    let theirs = feed("f1", 200);
                    other.update(&theirs).now_or_never().unwrap().unwrap();
                }
                value.ml += 1;
            })
            .await
            .unwrap();
        assert_eq!(changed, Some(feed("f1", 201)));
        assert_eq!(seen, [100, 200]);
        let gone = baby.update_with("f2", |_: &mut Feed| {}).await.unwrap();
        assert_eq!(gone, None);
    });
}

#[test]
fn edits_made_together_are_all_enqueued_or_none() {
    block_on(async {
        let store = sync_core::store::MemoryStore::new();
        let (clock, server) = (VirtualClock::new(), sync_testing::ScriptedTransport::new());
        let device = Device::on(store.clone(), clock.clone(), server.clone(), 1).await;
        let baby = device.baby();
        let edits = baby.edits().create(&feed("f1", 1)).unwrap();
        edits
            .create(&feed("f2", 2))
            .unwrap()
            .enqueue()
            .await
            .unwrap();
        assert_eq!(baby.list::<Feed>().await.unwrap().len(), 2);
        device.engine.wipe(true).await.unwrap();
        let edits = baby.edits().create(&feed("f1", 1)).unwrap();
        assert!(
            edits
                .create(&feed("f2", 2))
                .unwrap()
                .enqueue()
                .await
                .is_err()
        );
        let device = Device::on(store, clock, server, 2).await;
        assert_eq!(device.baby().list::<Feed>().await.unwrap(), []);
    });
}

#[test]
fn a_database_is_refused_to_another_account() {
    block_on(async {
        let (store, clock) = (sync_core::store::MemoryStore::new(), VirtualClock::new());
        let server = sync_testing::ScriptedTransport::new();
        Device::on(store.clone(), clock.clone(), server.clone(), 1).await;
        let other = sync_core::engine::SyncEngine::builder(store, server)
            .account("bob")
            .clock(std::sync::Arc::new(clock))
            .entropy(std::sync::Arc::new(SeededEntropy::new(2)))
            .open()
            .await;
        let error = other.unwrap_err().to_string();
        assert!(error.contains("alice") && error.contains("bob"), "{error}");
    });
}

#[test]
fn a_logout_says_what_it_could_not_send_and_a_wipe_refuses_to_lose_it() {
    block_on(async {
        let device = Device::new().await;
        let (engine, clock) = (device.engine.clone(), device.clock.clone());
        device.baby().create(&feed("f1", 120)).await.unwrap();
        for _ in 0..50 {
            device
                .server
                .on_push(|_| Err(failure(TransportErrorKind::Network)));
        }
        let logout = async move {
            let report = device.engine.drain().await.unwrap();
            assert_eq!(report.left.pending, 1);
            assert!(report.reason.unwrap().contains("cannot be reached"));
            let error = device.engine.wipe(false).await.unwrap_err().to_string();
            assert!(error.contains("1 pending"), "{error}");
            device.engine.wipe(true).await.unwrap();
            let error = device.engine.status().await.unwrap_err().to_string();
            assert!(error.contains("wiped"), "{error}");
        };
        clock
            .run(futures::future::join(device.driver.run(), logout))
            .await;
        drop(engine);
    });
}
