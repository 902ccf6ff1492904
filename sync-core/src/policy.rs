//! What an app decides: how conflicts end, and how old payloads are brought up to date.

use std::{fmt, sync::Arc};

use crate::{
    model::{EntityType, MutationId, Op, Payload, RecordKey, Schema},
    ordered::OrderedMap,
    transport::ServerRecord,
};

/// A concurrent edit that lost, with all three sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contest<'a> {
    /// The record.
    pub key: &'a RecordKey,
    /// The own mutation that lost.
    pub mutation_id: MutationId,
    /// What it wanted to do.
    pub mine: &'a Op,
    /// What the server holds.
    pub theirs: &'a ServerRecord,
    /// What the edit was made over: the newest pulled state, if nothing newer has been pulled since. (Of a server
    /// without versions, a pull before the edit was sent goes unnoticed.)
    pub base: Option<&'a Payload>,
}

/// How a conflict is to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The server's record stands.
    Theirs,
    /// The own edit is put again, over the server's record: as a new mutation at the queue's end, a bounded
    /// number of times, and not if the record has been edited again since.
    Mine,
    /// This record is put in the place of both, under the same bounds.
    Merged(Payload),
}

/// Decides conflicts. It runs inside the store's transaction: it must be quick and must not wait.
pub trait Resolve: Send + Sync + fmt::Debug {
    /// How this conflict is to end.
    fn resolve(&self, contest: &Contest<'_>) -> Choice;
}

/// Brings payloads of an older format version up to date. It runs inside the store's transaction.
pub trait Upgrade: Send + Sync + fmt::Debug {
    /// The payload in the newest format version that the app knows, and that version; `None` when there is
    /// nothing to do.
    ///
    /// # Errors
    /// The app's own words; the payload is then left as it is.
    fn upgrade(
        &self,
        entity_type: &EntityType,
        schema: Schema,
        payload: &Payload,
    ) -> Result<Option<(Payload, Schema)>, String>;
}

/// The server wins every conflict: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerWins;

impl Resolve for ServerWins {
    fn resolve(&self, _: &Contest<'_>) -> Choice {
        Choice::Theirs
    }
}

/// The own edit is put again over every conflict, a bounded number of times.
#[derive(Clone, Copy, Debug, Default)]
pub struct MineAgain;

impl Resolve for MineAgain {
    fn resolve(&self, _: &Contest<'_>) -> Choice {
        Choice::Mine
    }
}

/// Leaves every payload as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoUpgrade;

impl Upgrade for NoUpgrade {
    fn upgrade(
        &self,
        _: &EntityType,
        _: Schema,
        _: &Payload,
    ) -> Result<Option<(Payload, Schema)>, String> {
        Ok(None)
    }
}

/// Resolves by entity type, and the rest by a default.
#[derive(Clone, Debug)]
pub(crate) struct ResolveByType {
    pub(crate) by_type: OrderedMap<EntityType, Arc<dyn Resolve>>,
    pub(crate) otherwise: Arc<dyn Resolve>,
}

impl Resolve for ResolveByType {
    fn resolve(&self, contest: &Contest<'_>) -> Choice {
        self.by_type
            .get(&contest.key.entity_type)
            .unwrap_or(&self.otherwise)
            .resolve(contest)
    }
}
