//! What the engine tells the app as it happens.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{
    model::{EntityType, MutationId, RecordKey, Scope},
    scheduler::PauseReason,
    store::{FailReason, Resolution},
};

/// Something that has happened; it is told after the commit, to the app of every engine on the database whose driver
/// runs. Of what other processes on a file of SQLite do, live lists and the status tell, and no event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// Views of these types have changed.
    Changed {
        /// The scope.
        scope: Scope,
        /// The entity types.
        entity_types: Vec<EntityType>,
    },
    /// The server holds these mutations.
    Applied {
        /// The mutations.
        mutations: Vec<MutationId>,
    },
    /// A conflict was recorded; it is listed until the app acknowledges it.
    Conflict {
        /// The record.
        key: RecordKey,
        /// The own mutation, and the conflict's id.
        mutation_id: MutationId,
        /// How it was resolved.
        resolution: Resolution,
    },
    /// A mutation was set aside; it is listed until the app retries or discards it.
    Failed {
        /// The mutation.
        mutation_id: MutationId,
        /// Why.
        reason: FailReason,
    },
    /// A scope was pulled to its end.
    Synced {
        /// The scope.
        scope: Scope,
    },
    /// Access to a scope is lost: its records are gone.
    Revoked {
        /// The scope.
        scope: Scope,
        /// How many mutations that no pull had shown are kept in the list of revoked ones.
        unsynced: u64,
    },
    /// A resync has begun: the scope is pulled from the start beside the live records.
    Resync {
        /// The scope.
        scope: Scope,
        /// Whether the server's history is another one now, as after a restore: what earlier pulls had confirmed and
        /// it no longer has is lost there.
        new_epoch: bool,
    },
    /// The app's own projection failed on a record; it is tried again with later pages.
    Unprojected {
        /// The record.
        key: RecordKey,
    },
    /// Nothing is attempted until the app acts.
    Paused {
        /// Why.
        reason: PauseReason,
    },
    /// Something failed and is tried again.
    Error {
        /// What, for people and logs; no payload, no token.
        message: String,
    },
}

/// How many events were missed by a slow consumer: read again what you show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} events were missed; read again what is shown")]
pub struct Lagged {
    /// How many.
    pub missed: u64,
}

/// The stream of events; it ends with the engine.
pub struct Events {
    inner: BoxStream<'static, Result<Event, Lagged>>,
}

impl Events {
    pub(super) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        let inner = futures::stream::unfold(receiver, |mut receiver| async {
            let item = match receiver.recv().await {
                Ok(event) => Ok(event),
                Err(broadcast::error::RecvError::Lagged(missed)) => Err(Lagged { missed }),
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            Some((item, receiver))
        })
        .boxed();
        Self { inner }
    }
}

impl Stream for Events {
    type Item = Result<Event, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(cx)
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
