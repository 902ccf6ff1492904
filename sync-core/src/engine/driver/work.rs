//! What pushes and pulls have in common.

use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use super::super::{EngineSettings, Event, shared::Shared};
use crate::{
    coordination::Notice,
    error::{StoreError, StoreErrorKind},
    model::{MutationId, Scope},
    policy::{Resolve, Upgrade},
    store::{Fence, SettleRequest, Settlement},
    transport::{ServerTraits, Transport},
};

/// What the futures of pushes and pulls need.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) shared: Arc<Shared>,
    pub(super) transport: Arc<dyn Transport>,
    pub(super) traits: ServerTraits,
    pub(super) settings: Arc<EngineSettings>,
    pub(super) upgrade: Arc<dyn Upgrade>,
    pub(super) resolve: Arc<dyn Resolve>,
    pub(super) fence: Fence,
    pub(super) stop: Arc<AtomicBool>,
}

/// Another engine has taken the lead.
pub(super) struct Fenced;

impl Work {
    /// Settles, tells everyone, and returns the mutations that are in doubt.
    pub(super) async fn settle(
        &self,
        settlements: Vec<Settlement>,
        verdict_retention: Option<Duration>,
    ) -> Result<Vec<(Scope, MutationId)>, StoreError> {
        let report = self
            .shared
            .store
            .settle(SettleRequest {
                fence: self.fence,
                stamp: self.shared.stamp(),
                settlements,
                resolve: Arc::clone(&self.resolve),
                traits: self.traits.clone(),
                max_again: self.settings.max_again,
                verdict_retention,
            })
            .await?;
        let doubted = report.doubted.clone();
        self.shared.settled(report);
        Ok(doubted)
    }

    /// Purges a scope and hands over what was not synced; false where the store could not do it.
    pub(super) async fn purge(&self, scope: &Scope) -> Result<bool, Fenced> {
        let at = self.shared.clock.wall();
        let store = &self.shared.store;
        match store.purge(scope.clone(), at, self.fence).await {
            Ok(purged) => {
                self.shared.touched(&purged.touched);
                self.shared.tell(Event::Revoked {
                    scope: scope.clone(),
                    unsynced: purged.revoked,
                });
                Ok(true)
            }
            Err(error) if is_fenced(&error) => Err(Fenced),
            Err(error) => {
                self.report_error(&error);
                Ok(false)
            }
        }
    }

    /// Tells everyone what has gone wrong while this engine leads.
    pub(super) fn report_error(&self, error: &dyn std::error::Error) {
        let message = self.own_error(error);
        let peers = &self.shared.peers;
        peers.send(
            self.shared.peer,
            &Notice::Happened(Event::Error { message }),
        );
    }

    /// Tells the app here what has gone wrong. Returns the message.
    pub(super) fn own_error(&self, error: &dyn std::error::Error) -> String {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        tracing::warn!(%message, "sync");
        self.shared
            .hub
            .update(|runtime| runtime.last_error = Some(message.clone()));
        self.shared.hub.emit(Event::Error {
            message: message.clone(),
        });
        message
    }

    pub(super) fn succeeded(&self) {
        self.shared.hub.update(|runtime| runtime.last_error = None);
    }
}

/// Whether the database is another account's now, or nobody's.
pub(super) fn is_anothers(error: &StoreError) -> bool {
    matches!(
        error.kind(),
        StoreErrorKind::OtherAccount { .. } | StoreErrorKind::Invalid
    )
}

pub(super) fn is_fenced(error: &StoreError) -> bool {
    *error.kind() == StoreErrorKind::Fenced
}
