//! An engine in a page: its clock, its randomness, its task.

use std::{collections::BTreeSet, time::Duration};

use futures::StreamExt;
use sync_core::{
    platform::{BrowserClock, BrowserEntropy},
    time::{Clock, Entropy},
};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{
    browser::Changed,
    fresh,
    server::{Counting, Feed, Paging, eventually, feed, running, soon},
};

#[wasm_bindgen_test]
async fn an_engine_opens_with_nothing_said_of_the_platform_and_syncs() {
    let server = Counting::default();
    let engine = running(&fresh("engine"), server.clone()).await;
    let baby = engine.scope("baby");
    baby.create(&feed("f1", 120)).await.unwrap();
    assert_eq!(baby.get("f1").await.unwrap(), Some(feed("f1", 120)));
    eventually("the edit is pushed", async || {
        engine.status().await.unwrap().counts.pending == 0
    })
    .await;
    assert_eq!(server.pushes(), 1);
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_live_list_grows_and_edits_are_taken_in_the_middle_of_a_first_sync() {
    let (pages, size) = (20, 500);
    let engine = running(&fresh("first"), Paging { pages, size }).await;
    let baby = engine.scope("baby");
    let mut live = baby.live::<Feed>();
    let mut grown = async || soon("it grows", live.next()).await.unwrap().unwrap().len();
    assert_eq!(grown().await, 0);
    let _active = baby.activate();
    let mut shown = vec![grown().await];
    baby.create(&feed("own", 120)).await.unwrap();
    let when_edited = baby.count::<Feed>().await.unwrap();
    while shown.last() < Some(&(pages * size + 1)) {
        shown.push(grown().await);
    }
    assert!(when_edited < (pages * size) as u64, "{when_edited}");
    assert!(shown.len() > 3 && shown.is_sorted(), "{shown:?}");
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_sleep_is_never_over_early() {
    let clock = BrowserClock::new();
    for millis in [0, 1, 7, 30] {
        let deadline = clock.now() + Duration::from_millis(millis);
        clock.sleep_until(deadline).await;
        assert!(clock.now() >= deadline);
    }
}

#[wasm_bindgen_test]
fn the_time_that_a_device_sleeps_has_passed_and_a_clock_that_steps_back_changes_nothing() {
    let clock = BrowserClock::new();
    let before = clock.now();
    {
        let _slept = Changed::by(
            "const now = Date.now; Date.now = () => now() + 3600_000; return () => { Date.now = now }",
        );
        let woken = clock.now();
        assert!(woken.since(before) >= Duration::from_secs(3_600));
        assert!(clock.now().since(woken) < Duration::from_secs(60), "once");
    }
    let stepped_back = clock.now();
    assert!(stepped_back.since(before) < Duration::from_secs(3_660));
    assert!(clock.now() >= stepped_back);
}

#[wasm_bindgen_test]
fn no_two_bits_of_entropy_are_alike() {
    let bits: BTreeSet<u128> = (0..1_000).map(|_| BrowserEntropy.bits()).collect();
    assert_eq!(bits.len(), 1_000);
    let (ones, zeros) = bits
        .iter()
        .fold((0, u128::MAX), |(or, and), bits| (or | bits, and & bits));
    assert_eq!((ones, zeros), (u128::MAX, 0), "every bit takes part");
}
