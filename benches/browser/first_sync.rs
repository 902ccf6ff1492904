//! A first sync of many records by the whole engine: for how long is the page held up at a time?

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::{FutureExt, StreamExt, future::Either, pin_mut};
use sync_core::{
    engine::{EngineSettings, Event, SyncEngine},
    model::Page,
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};
use sync_http::dialect::Dialect;
use sync_idb::{Declared, IdbStore};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

use crate::{
    pages::{What, text},
    script::{fresh, now, run},
};

const RECORDS: usize = 50_000;

/// A server in process, whose pages are made beforehand.
#[derive(Debug)]
struct Server {
    pages: Mutex<Vec<String>>,
}

#[async_trait(?Send)]
impl Transport for Server {
    async fn pull(&self, _: PullRequest) -> Result<Page, TransportError> {
        // An answer is a task of its own, as from a network.
        gloo_timers::future::TimeoutFuture::new(0).await;
        let body = self.pages.lock().unwrap().pop().unwrap_or_default();
        let page = Dialect::Own.decode_page(&Arc::from(body));
        page.map_err(|error| TransportError::new(TransportErrorKind::Malformed, error.to_string()))
    }

    async fn push(&self, _: PushRequest) -> Result<PushAnswer, TransportError> {
        Ok(PushAnswer::default())
    }

    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}

/// Notes the longest time between two timers of its own, each of which is set by the one before. A browser lets
/// 4 ms pass between them. What the browser itself calls long, a task of 50 ms and more, is noted beside it.
fn probe() -> JsValue {
    let script = "const probe = { longest: 0, on: true };
        let last = performance.now();
        const tick = () => {
            const now = performance.now();
            probe.longest = Math.max(probe.longest, now - last);
            last = now;
            if (probe.on) setTimeout(tick);
        };
        setTimeout(tick);
        probe.tasks = [];
        probe.note = entries => probe.tasks.push(...entries.map(entry => entry.duration));
        probe.observer = new PerformanceObserver(list => probe.note(list.getEntries()));
        probe.observer.observe({ type: 'longtask' });
        return probe;";
    run(&[], &[], script)
}

fn longest(probe: &JsValue) -> f64 {
    let longest = run(
        &["probe"],
        &[probe],
        "probe.on = false; return probe.longest",
    );
    longest.as_f64().unwrap()
}

/// How many tasks of 50 ms and more the browser has seen.
fn long_tasks(probe: &JsValue) -> f64 {
    let script = "probe.note(probe.observer.takeRecords()); return probe.tasks.length";
    run(&["probe"], &[probe], script).as_f64().unwrap()
}

#[wasm_bindgen_test]
async fn first_sync_of_50000() {
    // The machine by itself, for comparison.
    let idle = probe();
    gloo_timers::future::TimeoutFuture::new(2_000).await;
    let idle = longest(&idle);

    let settings = EngineSettings::default();
    let size = settings.page_size as usize;
    let last = RECORDS / size - 1;
    let pages = (0..=last).rev().map(|page| {
        let first = page * size;
        text(first..first + size, What::Insert, first + size, page < last)
    });
    let server = Server {
        pages: Mutex::new(pages.collect()),
    };
    let feeds = Declared::new("feed_log", "feeds");
    let feeds = feeds.index("by_time", ["scope", "payload.startedAt"]);
    let store = IdbStore::builder(fresh("first")).declare(feeds);
    let store = store.open().await.unwrap();
    let builder = SyncEngine::builder(store, server).account("ann");
    let builder = builder.settings(settings);
    let (engine, driver) = builder.open().await.unwrap();
    let mut events = engine.events();
    let probe = probe();
    let began = now();
    let baby = engine.scope("baby");
    let _active = baby.activate();
    let synced = async {
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Changed { .. }) => {}
                Ok(Event::Synced { .. }) => break,
                other => panic!("{other:?}"),
            }
        }
    };
    let driving = driver.run().map(drop);
    pin_mut!(synced, driving);
    assert!(matches!(
        futures::future::select(synced, driving).await,
        Either::Left(_)
    ));
    let took = now() - began;
    let (longest, long) = (longest(&probe), long_tasks(&probe));
    assert_eq!(count(&engine).await, RECORDS as u64);
    console_log!("a first sync took {took:.0} ms; with nothing to do, {idle:.1} ms is the longest");
    console_log!("the browser has seen {long} tasks of 50 ms and more");
    console_log!("LONGTASK first_sync/{RECORDS} {longest:.1}");
}

async fn count(engine: &SyncEngine) -> u64 {
    let scope = engine.scope("baby");
    scope.list_untyped("feed_log").await.unwrap().len() as u64
}
