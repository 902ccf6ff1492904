//! How the engine stands.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};
use serde::Serialize;

use super::{hub::Runtime, shared::Shared};
use crate::{
    error::StoreError,
    model::Scope,
    ordered::OrderedMap,
    platform::{EngineStream, boxed_stream},
    scheduler::PauseReason,
    store::Counts,
    time::Timestamp,
};

/// How the engine stands: what waits, what goes on, what went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What the driver is doing.
    pub driver: DriverState,
    /// Whether there is a network, as far as the app has said.
    pub online: bool,
    /// Whether the app is visible, as far as it has said.
    pub visible: bool,
    /// Whether this engine has a push in flight.
    pub pushing: bool,
    /// The scopes that this engine is pulling.
    pub pulling: Vec<Scope>,
    /// How many mutations wait, are set aside, or are applied and not seen in a pull yet.
    #[serde(flatten)]
    pub counts: Counts,
    /// The scopes in the database.
    pub scopes: Vec<ScopeStatus>,
    /// When a pull last came to its end.
    pub last_synced: Option<Timestamp>,
    /// The newest failure, here or of the engine that leads, if nothing has succeeded since; for people.
    pub last_error: Option<String>,
    /// Pulls of this engine that have brought more than one page so far.
    pub progress: Vec<Progress>,
}

/// What the driver is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DriverState {
    /// It has not been run yet, or not since it last ended. Mutations are stored and wait.
    #[default]
    NotRunning,
    /// It has been started and has not come to anything yet.
    Starting,
    /// Another engine on this database pushes and pulls.
    Following,
    /// It pushes and pulls.
    Leading,
    /// It leads, or another engine does, and nothing is attempted until an app acts: any of them may.
    Paused(PauseReason),
}

/// How a scope stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ScopeStatus {
    /// The scope.
    pub scope: Scope,
    /// When a pull of it last came to its end.
    pub synced_at: Option<Timestamp>,
    /// Whether a resync is under way.
    pub resyncing: bool,
}

/// How far a long pull has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// The scope.
    pub scope: Scope,
    /// How many changes it has brought so far.
    pub changes: u64,
}

impl Status {
    /// The status now, with the counts of the durable outbox.
    pub(super) async fn read(shared: &Shared) -> Result<Self, StoreError> {
        let counts = shared.store()?.counts(None).await?;
        let scopes: Vec<ScopeStatus> = shared
            .store()?
            .scopes()
            .await?
            .into_iter()
            .map(|row| ScopeStatus {
                scope: row.scope,
                synced_at: row.synced_at,
                resyncing: row.resync.is_some(),
            })
            .collect();
        let Runtime {
            driver,
            online,
            visible,
            pushing,
            pulling,
            last_error,
            progress,
        } = shared.hub.runtime();
        Ok(Self {
            driver,
            online,
            visible,
            pushing,
            pulling,
            counts,
            last_synced: scopes.iter().filter_map(|scope| scope.synced_at).max(),
            scopes,
            last_error,
            progress: progress_list(progress),
        })
    }
}

fn progress_list(progress: OrderedMap<Scope, u64>) -> Vec<Progress> {
    progress
        .into_iter()
        .map(|(scope, changes)| Progress { scope, changes })
        .collect()
}

/// The status, at once and then whenever it has changed: the newest only, so that a slow consumer skips.
pub struct StatusChanges {
    inner: EngineStream<Result<Status, StoreError>>,
}

impl StatusChanges {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let seen = shared.hub.watch_status();
        let inner = futures::stream::unfold(
            (shared, seen, None::<Status>),
            |(shared, mut seen, last)| async move {
                loop {
                    seen.borrow_and_update();
                    match Status::read(&shared).await {
                        Ok(status) if Some(&status) != last.as_ref() => {
                            let state = (shared, seen, Some(status.clone()));
                            return Some((Ok(status), state));
                        }
                        Ok(_) => {}
                        Err(error) => {
                            // Once an error: the next item comes with the next change.
                            let waited = seen.changed().await;
                            return waited.ok().map(|()| (Err(error), (shared, seen, last)));
                        }
                    }
                    seen.changed().await.ok()?;
                }
            },
        );
        Self {
            inner: boxed_stream(inner),
        }
    }
}

impl Stream for StatusChanges {
    type Item = Result<Status, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(cx)
    }
}

impl fmt::Debug for StatusChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusChanges").finish_non_exhaustive()
    }
}
