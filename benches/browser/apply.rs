//! Applying pages, beside the same by hand.

use std::sync::Arc;

use sync_core::{
    store::{ApplyOutcome, ApplyRequest, ChangeApplier, CursorStore, Fence, Records},
    time::Timestamp,
    transport::ServerTraits,
};
use sync_http::dialect::Dialect;
use sync_idb::{Declared, IdbStore};
use wasm_bindgen::JsValue;
use wasm_bindgen_test::{console_log, wasm_bindgen_test};

use crate::{
    pages::{What, text},
    raw::Raw,
    script::{fresh, now},
};

const ROUNDS: usize = 5;
/// How many records a round inserts, updates and deletes.
const RECORDS: usize = 10_000;

/// The store, as an engine has it.
struct Ours {
    store: IdbStore,
    fence: Fence,
}

impl Ours {
    async fn open(name: &str) -> Self {
        let feeds = Declared::new("feed_log", "feeds");
        let feeds = feeds.index("by_time", ["scope", "payload.startedAt"]);
        let store = IdbStore::builder(name).declare(feeds).open().await.unwrap();
        store.bind("ann".into()).await.unwrap();
        let fence = store.lead("ann".into()).await.unwrap();
        Self { store, fence }
    }

    async fn apply(&self, text: &str) {
        let (row, began) = self.store.scope("baby".into()).await.unwrap();
        let body: Arc<str> = text.into();
        let request = ApplyRequest {
            fence: self.fence,
            scope: row.scope,
            generation: row.generation,
            from: row.cursor,
            began,
            now: Timestamp::from_millis(1),
            traits: ServerTraits::default(),
            page: Dialect::Own.decode_page(&body).unwrap(),
        };
        let outcome = self.store.apply(request).await;
        assert!(
            matches!(outcome, Ok(ApplyOutcome::Applied(_))),
            "{outcome:?}"
        );
    }

    async fn count(&self) -> u64 {
        let entity_type = Some("feed_log".into());
        self.store.count("baby".into(), entity_type).await.unwrap()
    }
}

#[wasm_bindgen_test]
async fn pages_of_5000() {
    measure(5_000).await;
}

#[wasm_bindgen_test]
async fn pages_of_500() {
    measure(500).await;
}

async fn measure(size: usize) {
    let name = fresh("apply");
    let (ours, raw) = (
        Ours::open(&name).await,
        Raw::open(&format!("{name}-raw")).await,
    );
    let mut ratios: [Vec<f64>; 3] = Default::default();
    let mut seq = 0;
    for round in 0..ROUNDS {
        let whats = [What::Insert, What::Update, What::Delete];
        for (what, ratios) in whats.into_iter().zip(&mut ratios) {
            let (mut by_us, mut by_hand) = (0.0, 0.0);
            for page in 0..RECORDS / size {
                seq += size;
                let first = round * RECORDS + page * size;
                let text = text(first..first + size, what, seq, true);
                let theirs = JsValue::from_str(&text);
                // Whoever is second finds the machine as the first has left it: they take turns.
                for turn in [page + round, page + round + 1] {
                    let began = now();
                    if turn % 2 == 0 {
                        ours.apply(&text).await;
                        by_us += now() - began;
                    } else {
                        raw.apply(&theirs).await;
                        by_hand += now() - began;
                    }
                }
            }
            ratios.push(by_hand / by_us);
            let rate = |millis: f64| RECORDS as f64 / millis * 1e3;
            let (us, hand) = (rate(by_us), rate(by_hand));
            console_log!("{what:?} by {size}: {us:.0} a second, by hand {hand:.0}");
            assert_eq!(ours.count().await as f64, raw.count().await);
        }
    }
    for (what, mut ratios) in ["insert", "update", "delete"].into_iter().zip(ratios) {
        ratios.sort_by(f64::total_cmp);
        let median = ratios[ratios.len() / 2];
        console_log!("RATIO apply/idb/{what}/{size} {median:.2}");
    }
}
