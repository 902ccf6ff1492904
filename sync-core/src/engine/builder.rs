//! Building an engine.

use std::{
    fmt,
    sync::{Arc, atomic::AtomicBool},
};

use futures::channel::mpsc;

use super::{
    Driver, EngineError, Entity, SyncEngine, conflicts::MergeOf, entity::Upgrades, hub::Hub,
    shared::Shared,
};
use crate::{
    coordination::PeerId,
    model::{Account, EntityType},
    ordered::OrderedMap,
    platform::{default_clock, default_entropy},
    policy::{Resolve, ResolveByType, ServerWins},
    scheduler,
    store::Store,
    time::{Clock, Entropy},
    transport::Transport,
};

/// The numbers of the engine, beside those of its scheduler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineSettings {
    /// The scheduler's numbers.
    pub scheduler: scheduler::Settings,
    /// How many changes a pull asks for at a time: 1,000, some hundred kilobytes as a rule, so that a page is
    /// parsed and applied in a few milliseconds.
    pub page_size: u32,
    /// How many records a step of a sweep looks at: 1,000, for the same reason.
    pub sweep_size: u32,
    /// How often an edit is put again over a conflict before the server's record stands: 3.
    pub max_again: u32,
    /// How many events a slow consumer may be behind before it is told that it missed some: 256.
    pub event_capacity: usize,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            scheduler: scheduler::Settings::default(),
            page_size: 1_000,
            sweep_size: 1_000,
            max_again: 3,
            event_capacity: 256,
        }
    }
}

/// Collects what an engine needs; see [`SyncEngine::builder`].
#[must_use = "nothing happens until `open` is called"]
pub struct SyncEngineBuilder {
    store: Arc<dyn Store>,
    transport: Arc<dyn Transport>,
    account: Option<Account>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
    settings: EngineSettings,
    upgrades: Upgrades,
    resolve: ResolveByType,
}

impl SyncEngineBuilder {
    pub(super) fn new(store: Arc<dyn Store>, transport: Arc<dyn Transport>) -> Self {
        Self {
            store,
            transport,
            account: None,
            clock: None,
            entropy: None,
            settings: EngineSettings::default(),
            upgrades: Upgrades::default(),
            resolve: ResolveByType {
                by_type: OrderedMap::new(),
                otherwise: Arc::new(ServerWins),
            },
        }
    }

    /// Whose data it is. The database is bound to this account, and refuses any other until it is wiped.
    pub fn account(mut self, account: impl Into<Account>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// What tells the time, if not the platform: a virtual clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Where randomness comes from, if not the platform.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// The engine's numbers.
    pub fn settings(mut self, settings: EngineSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Makes an entity type's [`Entity::upgrade`] known, for mutations that wait in the outbox.
    pub fn entity<T: Entity>(mut self) -> Self {
        self.upgrades.register::<T>();
        self
    }

    /// How conflicts end, for types without a policy of their own. By default the server's record stands.
    pub fn on_conflict(mut self, policy: impl Resolve + 'static) -> Self {
        self.resolve.otherwise = Arc::new(policy);
        self
    }

    /// How conflicts about records of one type end.
    pub fn on_conflict_of(
        mut self,
        entity_type: impl Into<EntityType>,
        policy: impl Resolve + 'static,
    ) -> Self {
        self.resolve
            .by_type
            .insert(entity_type.into(), Arc::new(policy));
        self
    }

    /// Ends conflicts about records of one type by a function of (base, mine, theirs) that makes a third.
    ///
    /// It is asked where both sides hold a record that the app can read; otherwise, as where one is a delete, the
    /// server's record stands. It is not asked about an edit that the server has applied over another: by the server's
    /// default rule that is the later one, and whoever was overwritten is told. A server that refuses every edit of a
    /// record that has changed meanwhile leaves all of them to the devices. `base` is what [`Contest::base`](crate::policy::Contest::base) says. It runs inside
    /// the store's transaction: it must be quick and must not wait.
    pub fn on_conflict_merge<T: Entity>(
        self,
        merge: impl Fn(Option<T>, T, T) -> T + Send + Sync + 'static,
    ) -> Self {
        self.on_conflict_of(T::TYPE, MergeOf::new(merge))
    }

    /// Binds the database to the account and returns the handle, and the driver for the app to spawn.
    ///
    /// # Errors
    /// [`EngineError::Incomplete`] without an account, or without a clock where the platform gives none;
    /// `OtherAccount`, when the database is bound to another.
    pub async fn open(self) -> Result<(SyncEngine, Driver), EngineError> {
        let account = self.account.ok_or(EngineError::Incomplete(
            "it needs an account: call `account`",
        ))?;
        let clock = self
            .clock
            .or_else(default_clock)
            .ok_or(EngineError::Incomplete(
                "this platform has no clock of its own: call `clock`",
            ))?;
        let entropy = self
            .entropy
            .or_else(default_entropy)
            .ok_or(EngineError::Incomplete(
                "this platform has no randomness of its own: call `entropy`",
            ))?;
        self.store.bind(account.clone()).await?;
        let bits = entropy.bits();
        let shared = Arc::new(Shared {
            peers: self.store.peers(),
            store: self.store,
            wiped: AtomicBool::default(),
            clock,
            entropy,
            account,
            peer: PeerId((bits >> 64) as u64),
            hub: Hub::new(self.settings.event_capacity),
        });
        let (sender, receiver) = mpsc::unbounded();
        let driver = Driver::new(
            Arc::clone(&shared),
            receiver,
            self.transport,
            self.settings,
            Arc::new(self.upgrades),
            Arc::new(self.resolve),
            bits as u64,
        );
        Ok((SyncEngine::new(shared, sender), driver))
    }
}

impl fmt::Debug for SyncEngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncEngineBuilder")
            .field("account", &self.account)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
