//! A simulator: whole histories of devices, users, a server and all that goes wrong between them, decided by a seed.
//!
//! A [`Simulation`] runs the real engine over real stores against the real server's logic, on virtual time and one
//! thread. The same seed gives the same history, byte for byte. After each step, and after each transaction of any
//! device, every invariant is checked; a history ends with a time without faults in which everything
//! must be settled.
//!
//! ```
//! use sync_testing::simulator::Simulation;
//!
//! let simulation = Simulation::new();
//! for seed in 0..20 {
//!     let outcome = simulation.run(seed)?;
//!     assert_eq!(outcome.violation, None, "seed {seed}");
//! }
//! # Ok::<(), sync_testing::simulator::SimError>(())
//! ```
//!
//! A seed that violates something is replayed with [`Simulation::replay`], which tells the history as a timeline, and
//! made short with [`Simulation::shrink`].

mod coverage;
mod device;
mod dice;
mod executor;
mod invariants;
mod lease;
mod merge;
mod network;
mod plan;
mod seen;
mod shrink;
mod snapshot;
mod store;
mod trace;
mod truth;
mod world;

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    panic::{self, AssertUnwindSafe},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use sync_core::{
    engine::EngineError,
    error::StoreError,
    store::{MemoryStore, Store},
};

pub use coverage::Coverage;
pub use seen::Violation;
pub use world::{Backend, Circumstances};

use self::{
    executor::lock,
    plan::{Judgement, Plan},
    world::{Own, World},
};
use crate::store_suite::Subject;

/// What opens the databases of a history, by its seed.
type Stores = dyn Fn(u64) -> Arc<dyn Subject> + Send + Sync;
/// What makes the server of a history.
type Servers = dyn Fn(&Circumstances) -> Arc<dyn Backend> + Send + Sync;

/// Runs histories.
#[derive(Clone)]
pub struct Simulation {
    steps: usize,
    stores: Arc<Stores>,
    /// Whether the stores have no lease of their own that runs out.
    lends: bool,
    servers: Arc<Servers>,
    /// Whether the servers end concurrent edits as the history says; others let the later edit win.
    judges: bool,
}

/// What a history has come to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its seed.
    pub seed: u64,
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// How often each thing happened.
    pub coverage: Coverage,
    /// How many things the apps have done.
    pub operations: usize,
    /// What happened, as a timeline; empty unless it was [replayed](Simulation::replay).
    pub trace: String,
}

/// A history could not be run: the store under it refused something that no history asks for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// An engine could not be opened.
    #[error("an engine could not be opened")]
    Engine(#[from] EngineError),
}

impl Simulation {
    /// Histories of 150 steps on stores in memory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            steps: 150,
            stores: Arc::new(|_| Arc::new(Memory::default())),
            lends: true,
            servers: Arc::new(|of| Arc::new(Own::new(of))),
            judges: true,
        }
    }

    /// Histories of this many steps.
    #[must_use]
    pub fn steps(mut self, steps: usize) -> Self {
        self.steps = steps;
        self
    }

    /// Histories on other stores: for each history, the function makes what opens its databases. Their calls must be
    /// over after one poll, as those of an `SqliteStore` are that was opened with `inline()`.
    #[must_use]
    pub fn on<S: Subject + 'static>(
        mut self,
        stores: impl Fn(u64) -> S + Send + Sync + 'static,
    ) -> Self {
        self.stores = Arc::new(move |seed| Arc::new(stores(seed)));
        self.lends = false;
        self
    }

    /// Histories against another server: for each history, the function makes it, empty. What it must keep is what
    /// the invariants ask of the project's own: [`crate::backend`] looks at the same over HTTP, point by point.
    /// Of two concurrent edits it lets the later one win.
    #[must_use]
    pub fn against<B: Backend + 'static>(
        mut self,
        servers: impl Fn(&Circumstances) -> B + Send + Sync + 'static,
    ) -> Self {
        self.servers = Arc::new(move |of| Arc::new(servers(of)));
        self.judges = false;
        self
    }

    /// Runs the history of a seed.
    ///
    /// # Errors
    /// [`SimError`], when the stores cannot be used.
    pub fn run(&self, seed: u64) -> Result<Outcome, SimError> {
        self.follow(Plan::new(seed, self.steps), false)
    }

    /// Runs the history of a seed, and tells all that happens.
    ///
    /// # Errors
    /// [`SimError`], when the stores cannot be used.
    pub fn replay(&self, seed: u64) -> Result<Outcome, SimError> {
        self.follow(Plan::new(seed, self.steps), true)
    }

    /// The shortest history found that violates the same invariant as this seed's; none if that one violates nothing.
    ///
    /// # Errors
    /// [`SimError`], when the stores cannot be used.
    pub fn shrink(&self, seed: u64) -> Result<Option<Outcome>, SimError> {
        let plan = Plan::new(seed, self.steps);
        let Some(violation) = self.follow(plan.clone(), false)?.violation else {
            return Ok(None);
        };
        let shortest = shrink::shrink(plan, |plan| {
            let outcome = self.follow(plan.clone(), false)?;
            Ok(outcome
                .violation
                .is_some_and(|other| other.invariant == violation.invariant))
        })?;
        self.follow(shortest, true).map(Some)
    }

    fn follow(&self, mut plan: Plan, trace: bool) -> Result<Outcome, SimError> {
        if !self.judges {
            plan.cast.judgement = Judgement::LaterEditWins;
        }
        let (seed, operations) = (plan.seed, plan.operations());
        let subject = (self.stores)(seed);
        let mut world = World::new(plan, subject, self.lends, &*self.servers, trace);
        let run = panic::catch_unwind(AssertUnwindSafe(|| world.run()));
        match run {
            Ok(ended) => ended?,
            Err(panicked) => world.recorder.violated(
                "no panic",
                "whatever comes in is an error, never a panic",
                words(&*panicked).to_owned(),
            ),
        }
        let (violation, trace, counted) = world.recorder.finish();
        Ok(Outcome {
            seed,
            violation,
            coverage: Coverage::new(counted),
            operations,
            trace,
        })
    }
}

impl Default for Simulation {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("steps", &self.steps)
            .finish_non_exhaustive()
    }
}

/// What a panic has said.
fn words(panicked: &(dyn Any + Send)) -> &str {
    let text = panicked.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panicked.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a panic without words")
}

/// Databases in memory: opened again, one is what it was.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<String, MemoryStore>>);

#[async_trait]
impl Subject for Memory {
    async fn open(&self, name: &str) -> Result<Arc<dyn Store>, StoreError> {
        let mut stores = lock(&self.0);
        Ok(Arc::new(stores.entry(name.to_owned()).or_default().clone()))
    }
}
