//! A device: an engine over a SQLite file and HTTP.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{Activation, EngineSettings, Entity, Event, ScopeHandle, SyncEngine},
    model::Page,
    scheduler,
    transport::{
        PullRequest, PushAnswer, PushRequest, ServerTraits, Transport, TransportError,
        TransportErrorKind,
    },
};
use sync_http::{Credentials, HttpTransport};
use sync_sqlite::SqliteStore;
use tokio::sync::watch;

use crate::{EMMA, NOAH, Outcome};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feed {
    pub(crate) id: String,
    pub(crate) amount_ml: u32,
}

impl Entity for Feed {
    const TYPE: &'static str = "feed_log";

    fn id(&self) -> String {
        self.id.clone()
    }
}

pub(crate) fn feed(id: &str, amount_ml: u32) -> Feed {
    Feed {
        id: id.to_owned(),
        amount_ml,
    }
}

pub(crate) struct Device {
    name: &'static str,
    engine: SyncEngine,
    file: PathBuf,
    purges: watch::Receiver<u64>,
    _active: [Activation; 2],
}

impl Device {
    pub(crate) async fn open(
        name: &'static str,
        account: &str,
        folder: &Path,
        server: &str,
        pulls: bool,
    ) -> Outcome<Self> {
        let file = folder.join(format!("{}.sqlite", name.trim()));
        let credentials = Credentials::new(account, format!("{account}-token"));
        let transport = Link {
            http: HttpTransport::builder(server, credentials).build()?,
            pulls,
        };
        // An app keeps the defaults; a demonstration polls more often.
        let settings = EngineSettings {
            scheduler: scheduler::Settings {
                poll_interval: Duration::from_millis(500),
                initial_delay: Duration::from_millis(50),
                ..scheduler::Settings::default()
            },
            ..EngineSettings::default()
        };
        let (engine, driver) = SyncEngine::builder(SqliteStore::open(&file).await?, transport)
            .account(account)
            .settings(settings)
            .open()
            .await?;
        tokio::spawn(driver.run());
        let (count, purges) = watch::channel(0);
        tokio::spawn(tell(name, engine.clone(), count));
        println!("{name}: opens {}", file.display());
        Ok(Self {
            name,
            _active: [EMMA, NOAH].map(|baby| engine.scope(baby).activate()),
            engine,
            file,
            purges,
        })
    }

    pub(crate) fn say(&self, what: &str) {
        println!("{}: {what}", self.name);
    }

    pub(crate) fn baby(&self, scope: &str) -> ScopeHandle {
        self.engine.scope(scope)
    }

    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    pub(crate) fn go_offline(&self) {
        self.engine.set_online(false);
    }

    pub(crate) fn go_online(&self) {
        self.say("is online again");
        self.engine.set_online(true);
    }

    pub(crate) async fn pending(&self) -> Outcome<u64> {
        Ok(self.engine.status().await?.counts.pending)
    }

    /// Waits until the list of a baby's feeds is this.
    pub(crate) async fn sees(&self, scope: &str, expected: &[Feed]) -> Outcome<()> {
        let mut lists = self.baby(scope).live::<Feed>();
        while let Some(list) = lists.next().await {
            let values = list?.into_iter().map(|item| item.value);
            if values.collect::<Result<Vec<Feed>, _>>()? == expected {
                let amounts = expected
                    .iter()
                    .map(|f| format!("{} {} ml", f.id, f.amount_ml));
                let amounts: Vec<String> = amounts.collect();
                self.say(&format!("sees of {scope}: [{}]", amounts.join(", ")));
                return Ok(());
            }
        }
        Err("the live list has ended".into())
    }

    pub(crate) async fn acknowledge_conflicts(&self) -> Outcome<usize> {
        let conflicts = self.engine.conflicts(None).await?;
        for conflict in &conflicts {
            let side = |payload: &Option<sync_core::model::Payload>| {
                let payload = payload.as_ref().map(|payload| payload.as_str());
                payload.unwrap_or("deleted").to_owned()
            };
            self.say(&format!(
                "is told of a conflict about {}: mine {}, theirs {}",
                conflict.key,
                side(&conflict.mine),
                side(&conflict.theirs)
            ));
        }
        let ids = conflicts.iter().map(|conflict| conflict.mutation_id);
        self.engine.acknowledge_conflicts(ids).await?;
        Ok(conflicts.len())
    }

    /// How many purges there were, once there was one: an event comes a moment after what it tells of.
    pub(crate) async fn purges(&self) -> Outcome<u64> {
        let mut purges = self.purges.clone();
        Ok(*purges.wait_for(|count| *count > 0).await?)
    }

    pub(crate) async fn revoked_mutations(&self) -> Outcome<usize> {
        let revoked = self.engine.revoked().await?;
        let ids = revoked.iter().map(|revoked| revoked.mutation.id);
        self.engine.acknowledge_revoked(ids).await?;
        Ok(revoked.len())
    }

    /// Waits until the server holds every edit, and a pull has shown it.
    pub(crate) async fn settle(&self) -> Outcome<()> {
        let mut changes = self.engine.watch_status();
        while let Some(status) = changes.next().await {
            let counts = status?.counts;
            if counts.pending + counts.acknowledged == 0 {
                return Ok(());
            }
        }
        Err("the status has ended".into())
    }

    pub(crate) async fn close(&self) {
        self.engine.shutdown().await;
    }
}

/// Tells what happens on a device, and counts purges.
async fn tell(name: &'static str, engine: SyncEngine, purges: watch::Sender<u64>) {
    let mut events = engine.events();
    drop(engine);
    while let Some(Ok(event)) = events.next().await {
        match event {
            Event::Applied { mutations } => {
                println!(
                    "{name}:   {} of its edits have reached the server",
                    mutations.len()
                );
            }
            Event::Revoked { scope, .. } => {
                purges.send_modify(|count| *count += 1);
                println!("{name}:   access to {scope} is lost");
            }
            _ => {}
        }
    }
}

/// The connection, which may be made deaf.
#[derive(Debug)]
struct Link {
    http: HttpTransport,
    pulls: bool,
}

#[async_trait]
impl Transport for Link {
    async fn pull(&self, request: PullRequest) -> Result<Page, TransportError> {
        if self.pulls {
            return self.http.pull(request).await;
        }
        let kind = TransportErrorKind::Network;
        Err(TransportError::new(kind, "pulls are switched off"))
    }

    async fn push(&self, request: PushRequest) -> Result<PushAnswer, TransportError> {
        self.http.push(request).await
    }

    fn traits(&self) -> ServerTraits {
        self.http.traits()
    }
}
