//! A server in the test's own page, which counts what it is asked.
#![allow(dead_code, reason = "each test program needs some of it")]

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use futures::future::{Either, select};
use sync_core::{
    engine::{EngineSettings, Entity, SyncEngine},
    model::{Change, ChangeOp, Page, Payload, Schema},
    transport::{
        Answer, PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind, Verdict,
    },
};
use sync_idb::IdbStore;

use super::browser::millis;

/// Holds nothing and has no news.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting {
    pub(crate) pulls: Arc<AtomicUsize>,
    pub(crate) pushes: Arc<AtomicUsize>,
    pub(crate) is_down: Arc<AtomicBool>,
}

impl Counting {
    pub(crate) fn pulls(&self) -> usize {
        self.pulls.load(Ordering::Relaxed)
    }

    pub(crate) fn pushes(&self) -> usize {
        self.pushes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    fn asked(&self, count: &AtomicUsize) -> Result<(), TransportError> {
        count.fetch_add(1, Ordering::Relaxed);
        if self.is_down.load(Ordering::Relaxed) {
            return Err(TransportError::new(TransportErrorKind::Network, "down"));
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Transport for Counting {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        self.asked(&self.pulls)?;
        Ok(Page {
            changes: Vec::new(),
            next: request.cursor.unwrap_or_else(|| "start".into()),
            has_more: false,
            through: None,
            epoch: None,
            verdict_retention: None,
        })
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        self.asked(&self.pushes)?;
        let applied = |outgoing: &sync_core::transport::Outgoing| Answer {
            id: outgoing.mutation.id,
            verdict: Verdict::Applied {
                version: None,
                record: None,
            },
        };
        Ok(PushAnswer {
            answers: request.mutations.iter().map(applied).collect(),
            verdict_retention: None,
        })
    }

    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}

/// Has so many pages of so many records for whoever pulls a scope from its start.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    pub(crate) pages: usize,
    pub(crate) size: usize,
}

#[async_trait(?Send)]
impl Transport for Paging {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        let page: usize = match &request.cursor {
            Some(cursor) => cursor.as_str().parse().unwrap(),
            None => 0,
        };
        let ids = page * self.size..(page + 1) * self.size;
        let change = |n: usize| Change {
            entity_type: Feed::TYPE.into(),
            entity_id: n.to_string().into(),
            op: ChangeOp::Put(Payload::parse(format!(r#"{{"id":"{n}","ml":1}}"#)).unwrap()),
            schema: Schema(1),
            seq: Some(n as u64 + 1),
            mutation_id: None,
            overwritten: Vec::new(),
        };
        let next = (page + 1).min(self.pages);
        Ok(Page {
            changes: ids.filter(|_| page < self.pages).map(change).collect(),
            next: next.to_string().into(),
            has_more: page + 1 < self.pages,
            through: None,
            epoch: None,
            verdict_retention: None,
        })
    }

    async fn push(&self, _: PushRequest) -> Result<PushAnswer, TransportError> {
        Err(TransportError::new(TransportErrorKind::Network, "down"))
    }

    fn traits(&self) -> ServerTraits {
        ServerTraits::default()
    }
}

/// A record of the tests.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Feed {
    pub(crate) id: String,
    pub(crate) ml: u32,
}

impl Entity for Feed {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

pub(crate) fn feed(id: &str, ml: u32) -> Feed {
    Feed { id: id.into(), ml }
}

/// An engine as an app opens it, with nothing said of the platform, and its driver running.
pub(crate) async fn running(name: &str, transport: impl Transport + 'static) -> SyncEngine {
    running_with(name, transport, EngineSettings::default()).await
}

pub(crate) async fn running_with(
    name: &str,
    transport: impl Transport + 'static,
    settings: EngineSettings,
) -> SyncEngine {
    let store = IdbStore::open(name).await.unwrap();
    let builder = SyncEngine::builder(store, transport)
        .account("ann")
        .settings(settings);
    let (engine, driver) = builder.open().await.unwrap();
    wasm_bindgen_futures::spawn_local(driver.run());
    engine
}

/// Waits until something holds; a while is enough for whatever the engine does at once.
pub(crate) async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    for _ in 0..300 {
        if holds().await {
            return;
        }
        millis(10).await;
    }
    panic!("not within three seconds: {what}");
}

/// What comes of something that the engine does at once: a test that waits for it in vain fails, and holds no other up.
pub(crate) async fn soon<T>(what: &str, awaited: impl Future<Output = T>) -> T {
    match select(pin!(awaited), pin!(millis(3_000))).await {
        Either::Left((output, _)) => output,
        Either::Right(_) => panic!("not within three seconds: {what}"),
    }
}
