//! The child: it does as it is told until it is killed.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Write},
    path::PathBuf,
};

use futures::executor::block_on;
use serde::{Deserialize, Serialize};
use sync_core::store::{CursorStore, EntryFilter, Fence, Outbox, Store};
use sync_sqlite::{Durability, SqliteStore};
use sync_testing::store_suite::History;

use crate::act::{Act, Report, Rows};

/// The variable that makes this program a child.
pub(crate) const ORDERS: &str = "SYNC_KILL_ORDERS";

/// What a child is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Orders {
    pub(crate) path: PathBuf,
    pub(crate) seed: u64,
    pub(crate) large: u64,
    /// The first step; none to read only.
    pub(crate) from: Option<u64>,
    pub(crate) checkpoint: u32,
    pub(crate) durability: u8,
}

impl Orders {
    pub(crate) fn history(&self) -> History {
        History::new(self.seed)
            .with_pages_of(self.large)
            .with_sweeps_of(2)
    }
}

pub(crate) fn obey(orders: &str) {
    let orders: Orders = serde_json::from_str(orders).expect("orders");
    // Without a parent there is nobody to tell, and nothing left to do.
    if let Err(error) = block_on(work(orders)) {
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
    }
}

async fn work(orders: Orders) -> io::Result<()> {
    let durability = [Durability::Full, Durability::Edits, Durability::Process];
    let store = SqliteStore::builder(&orders.path)
        .checkpoint(orders.checkpoint)
        .durability(durability[usize::from(orders.durability)])
        .open()
        .await
        .expect("the store opens");
    tell(&Report::Opened)?;
    match orders.from {
        Some(from) => write(&store, orders.history(), from).await,
        None => read(&store).await,
    }
}

async fn write(store: &dyn Store, history: History, from: u64) -> io::Result<()> {
    let mut fence = Fence(0);
    let acts = [Act::Begin].into_iter().chain((from..).map(Act::Step));
    for act in acts {
        tell(&Report::Begun(act))?;
        let answer = act.perform(history, store, &mut fence).await;
        tell(&Report::Done(act, answer))?;
    }
    Ok(())
}

async fn read(store: &SqliteStore) -> io::Result<()> {
    loop {
        for rows in [Rows::Entries, Rows::Scopes] {
            tell(&Report::Seen(rows, digest(store, rows).await))?;
        }
    }
}

/// What one call reads, as a number that is the same in all processes.
pub(crate) async fn digest<S: Outbox + CursorStore>(store: &S, rows: Rows) -> u64 {
    let text = match rows {
        Rows::Entries => {
            let entries = store.entries(EntryFilter::default()).await;
            serde_json::to_string(&entries.expect("entries can be read"))
        }
        Rows::Scopes => {
            let scopes = store.scopes().await;
            serde_json::to_string(&scopes.expect("scopes can be read"))
        }
    };
    let mut hasher = DefaultHasher::new();
    text.expect("rows are JSON").hash(&mut hasher);
    hasher.finish()
}

/// One write for each line: what a pipe was given outlives the process.
fn tell(report: &Report) -> io::Result<()> {
    io::stdout()
        .lock()
        .write_all(format!("{report}\n").as_bytes())?;
    io::stdout().lock().flush()
}
