//! What `cargo xtask size` measures: an app in a browser that uses the engine as apps do, and has nothing else.
#![cfg(target_arch = "wasm32")]

use futures::StreamExt;
use js_sys::Function;
use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{Entity, SyncEngine},
    store::EntryFilter,
};
use sync_http::{Credentials, HttpTransport};
use sync_idb::{Declared, IdbStore};
use wasm_bindgen::prelude::*;

/// A feed of a baby.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feed {
    id: String,
    started_at: String,
    amount_ml: u32,
}

impl Entity for Feed {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// The app: a log of one baby.
#[wasm_bindgen]
#[derive(Debug)]
pub struct App {
    engine: SyncEngine,
}

fn told(error: impl ToString) -> JsError {
    JsError::new(&error.to_string())
}

#[wasm_bindgen]
impl App {
    /// Opens the database and starts the engine; `show` is called with each event.
    pub async fn open(url: String, account: String, token: String) -> Result<Self, JsError> {
        let feeds = Declared::new(Feed::TYPE, "feeds");
        let feeds = feeds.index("by_time", ["scope", "payload.startedAt"]);
        let store = IdbStore::builder("baby-log").declare(feeds).open();
        let transport = HttpTransport::builder(url, Credentials::new(&*account, token)).build();
        let builder = SyncEngine::builder(store.await.map_err(told)?, transport.map_err(told)?);
        let (engine, driver) = builder
            .account(&*account)
            .entity::<Feed>()
            .open()
            .await
            .map_err(told)?;
        wasm_bindgen_futures::spawn_local(async {
            driver.run().await;
        });
        Ok(Self { engine })
    }

    /// Shows the list of feeds, for as long as the page lives.
    pub fn show(&self, baby: &str, show: Function) {
        let scope = self.engine.scope(baby);
        let active = scope.activate();
        let mut feeds = scope.live::<Feed>();
        wasm_bindgen_futures::spawn_local(async move {
            let _active = active;
            while let Some(Ok(list)) = feeds.next().await {
                for feed in list {
                    let text = match &feed.value {
                        Ok(value) => value.started_at.clone(),
                        Err(error) => error.to_string(),
                    };
                    let marks = [feed.is_pending(), feed.is_failed(), feed.conflict];
                    let marks = marks.map(|mark| if mark { "*" } else { "" }).concat();
                    let _ = show.call2(&JsValue::NULL, &text.into(), &marks.into());
                }
            }
        });
    }

    /// Tells of what happens, and of the status as it changes.
    pub fn watch(&self, happened: Function, status: Function) {
        let mut events = self.engine.events();
        wasm_bindgen_futures::spawn_local(async move {
            while let Some(event) = events.next().await {
                let lagged = event.is_err();
                let _ = happened.call1(&JsValue::NULL, &lagged.into());
            }
        });
        let mut changes = self.engine.watch_status();
        wasm_bindgen_futures::spawn_local(async move {
            while let Some(Ok(now)) = changes.next().await {
                let pending = JsValue::from(now.counts.pending as f64);
                let _ = status.call2(&JsValue::NULL, &pending, &now.online.into());
            }
        });
    }

    /// Logs a feed.
    pub async fn create(&self, baby: &str, id: String, at: String, ml: u32) -> Result<(), JsError> {
        let feed = Feed {
            id,
            started_at: at,
            amount_ml: ml,
        };
        let done = self.engine.scope(baby).create(&feed).await;
        done.map(drop).map_err(told)
    }

    /// Corrects a feed.
    pub async fn correct(&self, baby: &str, id: String, ml: u32) -> Result<bool, JsError> {
        let scope = self.engine.scope(baby);
        let done = scope.update_with(id, |feed: &mut Feed| feed.amount_ml = ml);
        Ok(done.await.map_err(told)?.is_some())
    }

    /// Replaces a feed.
    pub async fn update(&self, baby: &str, id: String, at: String, ml: u32) -> Result<(), JsError> {
        let feed = Feed {
            id,
            started_at: at,
            amount_ml: ml,
        };
        let done = self.engine.scope(baby).update(&feed).await;
        done.map(drop).map_err(told)
    }

    /// Deletes a feed.
    pub async fn delete(&self, baby: &str, id: String) -> Result<(), JsError> {
        let done = self.engine.scope(baby).delete::<Feed>(id).await;
        done.map(drop).map_err(told)
    }

    /// The milk of a baby, in millilitres.
    pub async fn total(&self, baby: &str) -> Result<u32, JsError> {
        let feeds = self.engine.scope(baby).list::<Feed>().await;
        Ok(feeds.map_err(told)?.iter().map(|feed| feed.amount_ml).sum())
    }

    /// How many mutations and conflicts there are to look at.
    pub async fn waiting(&self) -> Result<usize, JsError> {
        let entries = self.engine.entries(EntryFilter::default()).await;
        let conflicts = self.engine.conflicts(None).await;
        Ok(entries.map_err(told)?.len() + conflicts.map_err(told)?.len())
    }

    /// Tries a failed edit again, or drops it.
    pub async fn resolve(&self, baby: &str, id: String, again: bool) -> Result<bool, JsError> {
        let scope = self.engine.scope(baby);
        let done = match again {
            true => scope.retry::<Feed>(id).await,
            false => scope.discard::<Feed>(id).await,
        };
        done.map_err(told)
    }

    /// Acknowledges all conflicts.
    pub async fn acknowledge(&self) -> Result<(), JsError> {
        let conflicts = self.engine.conflicts(None).await.map_err(told)?;
        let ids = conflicts.iter().map(|conflict| conflict.mutation_id);
        self.engine.acknowledge_conflicts(ids).await.map_err(told)
    }

    /// Passes on what the browser says.
    pub fn signal(&self, visible: bool, online: bool) {
        self.engine.set_visible(visible);
        self.engine.set_online(online);
    }

    /// Syncs now.
    pub async fn sync(&self) -> usize {
        self.engine.sync_now([]).await.scopes.len()
    }

    /// Logs out: pushes what can be pushed, and empties the database if that was all.
    pub async fn log_out(&self, force: bool) -> Result<bool, JsError> {
        let left = self.engine.drain().await.map_err(told)?.left;
        if left.pending == 0 || force {
            self.engine.wipe(force).await.map_err(told)?;
            return Ok(true);
        }
        Ok(false)
    }
}
