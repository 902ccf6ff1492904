//! The engine's handle.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

use futures::channel::oneshot;
use serde::Serialize;

use super::{
    EngineError, Events, ScopeHandle, Status, StatusChanges, SyncEngineBuilder,
    shared::{Command, Commands, Shared},
};
use crate::{
    coordination::Notice,
    model::{Account, MutationId, RecordKey, Scope},
    scheduler::{FlushEnd, NoAttempt, SyncEnd, SyncReport},
    store::{Conflict, Counts, Entry, EntryFilter, Revoked, Store, Touched},
    transport::Transport,
};

/// A handle of the engine. Clones are the same engine; two are equal if they are.
///
/// Everything that it writes is durable without a driver running; the driver then brings it to the server.
/// When the last handle goes, the driver ends after the request in flight.
#[derive(Clone)]
pub struct SyncEngine {
    pub(super) shared: Arc<Shared>,
    /// Held by handles alone, so that the driver sees the last one go.
    commands: Commands,
}

impl SyncEngine {
    /// Begins an engine over a database and a server.
    pub fn builder(store: impl Store, transport: impl Transport + 'static) -> SyncEngineBuilder {
        SyncEngineBuilder::new(Arc::new(store), Arc::new(transport))
    }

    pub(super) fn new(shared: Arc<Shared>, commands: Commands) -> Self {
        Self { shared, commands }
    }

    pub(super) fn commands(&self) -> &Commands {
        &self.commands
    }

    pub(super) fn command(&self, command: Command) {
        // An error only says that the driver is gone.
        let _ = self.commands.unbounded_send(command);
    }

    /// The account that the database is bound to.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.shared.account
    }

    /// The handle of a scope; it need not exist anywhere yet.
    #[must_use]
    pub fn scope(&self, scope: impl Into<Scope>) -> ScopeHandle {
        ScopeHandle::new(self.clone(), scope.into())
    }

    /// Says whether the app can be seen. Hidden apps do not poll; becoming visible flushes and pulls what is stale.
    pub fn set_visible(&self, visible: bool) {
        self.command(Command::Visible(visible));
    }

    /// Says whether there is a network. Without one nothing is attempted; when it is back, everything is.
    pub fn set_online(&self, online: bool) {
        self.command(Command::Online(online));
    }

    /// Passes on the server's hint that a scope has news.
    pub fn poke(&self, scope: impl Into<Scope>) {
        self.command(Command::Poke(scope.into()));
    }

    /// Ends a pause: the token source has a token again, of the right account.
    pub fn resume(&self) {
        self.command(Command::Resume);
    }

    /// Flushes the outbox and pulls these scopes (all active ones, if it names none), and says what became of it:
    /// at once, with the reason, when nothing can be attempted. Where another engine leads, that one is asked to do it.
    ///
    /// A driver counts as running from the call of [`Driver::run`](super::Driver::run) on: one whose future nobody polls
    /// never answers.
    pub async fn sync_now(&self, scopes: impl IntoIterator<Item = Scope>) -> SyncReport {
        let scopes: Vec<Scope> = scopes.into_iter().collect();
        let (reply, report) = oneshot::channel();
        if self.is_running() {
            self.command(Command::SyncNow(scopes.clone(), reply));
            if let Ok(report) = report.await {
                return report;
            }
        }
        not_attempted(scopes)
    }

    /// Waits until everything is done that can be done now: nothing in flight, nothing wanted but the next poll.
    /// False, at once, if no driver of this engine is running.
    pub async fn idle(&self) -> bool {
        let (reply, idle) = oneshot::channel();
        if !self.is_running() {
            return false;
        }
        self.command(Command::Idle(reply));
        idle.await.is_ok()
    }

    fn is_running(&self) -> bool {
        self.shared.hub.runtime().driver != super::DriverState::NotRunning
    }

    /// Ends the driver after the request in flight, and waits until it has ended. The database can be written on.
    pub async fn shutdown(&self) {
        let (reply, ended) = oneshot::channel();
        if self.is_running() {
            self.command(Command::Shutdown(reply));
            // The reply is dropped, too, when the driver is.
            let _ = ended.await;
        }
    }

    /// Pushes what can be pushed, for a logout, and says what could not.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn drain(&self) -> Result<DrainReport, EngineError> {
        let mut before = u64::MAX;
        loop {
            let left = self.shared.store()?.counts(None).await?;
            if left.pending == 0 {
                return Ok(DrainReport { left, reason: None });
            }
            if left.pending >= before {
                let reason = self.shared.hub.runtime().last_error;
                return Ok(DrainReport { left, reason });
            }
            before = left.pending;
            match self.sync_now([]).await.flush {
                FlushEnd::Answered | FlushEnd::Unfinished => {}
                end => {
                    let left = self.shared.store()?.counts(None).await?;
                    let reason = self.shared.hub.runtime().last_error;
                    let reason = reason.unwrap_or_else(|| format!("{end:?}"));
                    return Ok(DrainReport {
                        left,
                        reason: Some(reason),
                    });
                }
            }
        }
    }

    /// Empties the database and unbinds it from its account. The driver ends; this engine is of no more use: its calls
    /// fail as `Invalid`. So do those of the other engines on the database as soon as they hear of it, and their drivers
    /// end. Another one can be opened on the database, for any account.
    ///
    /// # Errors
    /// Those of the store: `Invalid`, unless forced, while anything is pending, failed, acknowledged or revoked, or a
    /// conflict is not acknowledged yet.
    pub async fn wipe(&self, force: bool) -> Result<(), EngineError> {
        let shared = &self.shared;
        let touched = shared.store()?.wipe(force).await?;
        shared.wiped.store(true, Ordering::Relaxed);
        shared.peers.send(shared.peer, &Notice::Wiped);
        self.shutdown().await;
        self.touched(&touched);
        self.shared.hub.all_touched();
        Ok(())
    }

    /// The status now.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn status(&self) -> Result<Status, EngineError> {
        Ok(Status::read(&self.shared).await?)
    }

    /// The status, now and whenever it changes.
    #[must_use]
    pub fn watch_status(&self) -> StatusChanges {
        StatusChanges::new(Arc::clone(&self.shared))
    }

    /// What happens from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.shared.hub.events())
    }

    /// The overlay: what waits, what was set aside, what no pull has shown yet.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn entries(&self, filter: EntryFilter) -> Result<Vec<Entry>, EngineError> {
        Ok(self.shared.store()?.entries(filter).await?)
    }

    /// Puts a record's failed edits back into the outbox, as one new mutation. False if nothing of it is failed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retry(&self, key: RecordKey) -> Result<bool, EngineError> {
        Ok(self.shared.retry(key, &self.commands).await?)
    }

    /// Drops a record's failed edits, and returns them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn discard(&self, key: RecordKey) -> Result<Vec<Entry>, EngineError> {
        Ok(self.shared.discard(key, &self.commands).await?)
    }

    /// Conflicts that the app has not acknowledged yet, of one scope or of all, oldest first.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn conflicts(&self, scope: Option<Scope>) -> Result<Vec<Conflict>, EngineError> {
        Ok(self.shared.store()?.conflicts(scope).await?)
    }

    /// Forgets conflicts that the user has seen. It writes nothing: the record stays as the conflict has ended.
    ///
    /// A user who insists on the own side writes it again: by [`create`](ScopeHandle::create) where theirs was a
    /// delete, by [`delete`](ScopeHandle::delete) where mine was, else by [`update`](ScopeHandle::update).
    ///
    /// # Errors
    /// Those of the store.
    pub async fn acknowledge_conflicts(
        &self,
        ids: impl IntoIterator<Item = MutationId>,
    ) -> Result<(), EngineError> {
        let ids = ids.into_iter().collect();
        Ok(self
            .shared
            .acknowledge_conflicts(ids, &self.commands)
            .await?)
    }

    /// Unsynced mutations of scopes to which access was lost, until the app acknowledges them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn revoked(&self) -> Result<Vec<Revoked>, EngineError> {
        Ok(self.shared.store()?.revoked().await?)
    }

    /// Forgets revoked mutations that the user has seen, or that the app has kept elsewhere.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn acknowledge_revoked(
        &self,
        ids: impl IntoIterator<Item = MutationId>,
    ) -> Result<(), EngineError> {
        let ids = ids.into_iter().collect();
        Ok(self.shared.store()?.acknowledge_revoked(ids).await?)
    }

    fn touched(&self, touched: &Touched) {
        self.shared.touched(touched);
    }
}

fn not_attempted(scopes: Vec<Scope>) -> SyncReport {
    let reason = NoAttempt::NotRunning;
    SyncReport {
        id: 0,
        flush: FlushEnd::NotAttempted(reason),
        scopes: scopes
            .into_iter()
            .map(|scope| (scope, SyncEnd::NotAttempted(reason)))
            .collect(),
    }
}

impl PartialEq for SyncEngine {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for SyncEngine {}

impl fmt::Debug for SyncEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncEngine")
            .field("account", &self.shared.account)
            .finish_non_exhaustive()
    }
}

/// What [`SyncEngine::drain`] has come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DrainReport {
    /// What is left: nothing is lost by a wipe only if these are zero.
    pub left: Counts,
    /// Why there is something left, as far as it is known; for people.
    pub reason: Option<String>,
}
