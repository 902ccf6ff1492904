//! Live lists, events and the status.

use futures::{FutureExt, StreamExt, executor::block_on};
use sync_core::{
    engine::Lagged,
    model::{Op, Payload, Schema},
    store::MemoryStore,
    transport::{Answer, PushAnswer, Verdict},
};
use sync_testing::{Call, FaultyStore, ScriptedTransport, StoreCall, StoreFault};

use crate::fixture::{Device, Feed, feed, page, put};

#[test]
fn a_live_list_comes_at_once_and_then_only_the_newest() {
    block_on(async {
        let device = Device::new().await;
        let mut live = device.baby().live::<Feed>();
        assert_eq!(live.next().await.unwrap().unwrap().len(), 0);
        assert!(live.next().now_or_never().is_none(), "nothing has changed");
        for id in ["f1", "f2", "f3"] {
            device.baby().create(&feed(id, 1)).await.unwrap();
        }
        let list = live.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(list.len(), 3);
        assert!(list[0].is_pending());
        assert!(
            live.next().now_or_never().is_none(),
            "three commits, one list"
        );
    });
}

#[test]
fn a_live_list_follows_pulls() {
    block_on(async {
        let mut device = Device::new().await;
        let mut live = device.baby().live::<Feed>();
        live.next().await;
        device
            .server
            .on_pull(|_| Ok(page(vec![put(&feed("f2", 2), 2)], "c2")));
        let _active = device.baby().activate();
        device.settle().await;
        let list = live.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(list.len(), 1);
        assert!(!list[0].is_pending());
    });
}

#[test]
fn a_payload_that_does_not_fit_is_the_error_of_its_entry_alone() {
    block_on(async {
        let device = Device::new().await;
        let baby = device.baby();
        baby.create(&feed("f1", 1)).await.unwrap();
        let odd = Op::Create(Payload::parse(r#"{"id":"f0","ml":"much"}"#).unwrap());
        let edits = baby.edits().untyped("feed_log", "f0", odd, Schema(1));
        edits.enqueue().await.unwrap();
        let list = baby.live::<Feed>().next().await.unwrap().unwrap();
        let error = list[0].value.as_ref().unwrap_err().to_string();
        assert!(error.contains("baby-1/feed_log/f0"), "{error}");
        assert_eq!(*list[1].value.as_ref().unwrap(), feed("f1", 1));
        let untyped = baby.live_untyped("feed_log").next().await.unwrap().unwrap();
        assert!(
            untyped[0]
                .value
                .as_ref()
                .unwrap()
                .payload
                .as_str()
                .contains("much")
        );
    });
}

#[test]
fn a_call_that_is_dropped_on_the_way_leaves_no_list_out_of_date_and_nothing_unsent() {
    block_on(async {
        let store = FaultyStore::new(MemoryStore::new());
        let server = ScriptedTransport::new();
        let mut device = Device::on(store.clone(), Default::default(), server, 1).await;
        device.engine.set_online(false);
        device.settle().await;
        let mut live = device.baby().live::<Feed>();
        live.next().await;
        // The store completes the call, and nobody is there any more to hear of it.
        store.fail_next(StoreCall::Enqueue, StoreFault::StopAfter);
        let (baby, value) = (device.baby(), feed("f1", 1));
        assert!(baby.create(&value).now_or_never().is_none());
        device.settle().await;
        let list = live.next().now_or_never().unwrap().unwrap().unwrap();
        assert_eq!(list.len(), 1);
        device.server.on_push(|request| {
            let id = request.mutations[0].mutation.id;
            let reason = "a test".to_owned();
            Ok(PushAnswer {
                answers: vec![Answer {
                    id,
                    verdict: Verdict::Rejected { reason },
                }],
                verdict_retention: None,
            })
        });
        device.engine.set_online(true);
        device.settle().await;
        device.server.take_calls();
        store.fail_next(StoreCall::Retry, StoreFault::StopAfter);
        assert!(baby.retry::<Feed>("f1").now_or_never().is_none());
        device.settle().await;
        let pushes = device.server.take_calls();
        assert!(
            matches!(pushes[0], Call::Push(_)),
            "the retried edit is sent"
        );
    });
}

#[test]
fn a_slow_consumer_of_events_is_told_what_it_missed() {
    block_on(async {
        let device = Device::new().await;
        let mut events = device.engine.events();
        for n in 0..300 {
            device
                .baby()
                .create(&feed(&n.to_string(), n))
                .await
                .unwrap();
        }
        let first = events.next().await.unwrap();
        assert_eq!(first, Err(Lagged { missed: 300 - 256 }));
        assert!(events.next().await.unwrap().is_ok());
    });
}

#[test]
fn the_status_counts_what_is_in_the_outbox() {
    block_on(async {
        let mut device = Device::new().await;
        let mut status = device.engine.watch_status();
        assert_eq!(status.next().await.unwrap().unwrap().counts.pending, 0);
        device.baby().create(&feed("f1", 1)).await.unwrap();
        device.baby().create(&feed("f2", 1)).await.unwrap();
        assert_eq!(status.next().await.unwrap().unwrap().counts.pending, 2);
        device.settle().await;
        let mut last = None;
        while let Some(Some(Ok(next))) = status.next().now_or_never() {
            last = Some(next);
        }
        let last = last.unwrap();
        assert_eq!(last.counts.pending, 0);
        assert!(last.last_synced.is_some(), "a push is followed by a pull");
        assert!(
            serde_json::to_string(&last)
                .unwrap()
                .contains("\"pending\":0")
        );
    });
}
