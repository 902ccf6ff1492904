//! A change log in memory: the reference, and the fast one for tests and simulations.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use sync_core::{
    error::StoreError,
    model::{EntityId, EntityType, Epoch, MutationId, RecordKey, Scope},
    time::Timestamp,
    transport::Answer,
};

use super::{
    BatchRequest, ChangeLog, Compacted, EpochOf, NewEpoch, ReadOutcome, ReadRequest, RecordRow,
    Retention, ScopeRow, VerdictRow,
};
use crate::decide::{Batch, Decision, Incoming, Reading, Situation};

/// A change log in memory. Clones share it. Its futures are ready at once.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    state: Arc<Mutex<State>>,
}

/// What a [`MemoryLog`] held at one moment.
#[derive(Clone, Debug)]
pub struct Backup(State);

impl MemoryLog {
    /// An empty log.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All that the log holds now.
    #[must_use]
    pub fn backup(&self) -> Backup {
        Backup(self.state().clone())
    }

    /// Puts the log back to what it was. As after every restore, a new epoch must be begun before anybody is
    /// served: [`crate::Server::new_epoch`].
    pub fn restore(&self, backup: &Backup) {
        *self.state() = backup.0.clone();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics half-way through a change, so that what a poisoned lock guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Debug, Default)]
struct State {
    scopes: BTreeMap<Scope, ScopeLog>,
    verdicts: BTreeMap<MutationId, VerdictRow>,
}

#[derive(Clone, Debug)]
struct ScopeLog {
    row: ScopeRow,
    records: BTreeMap<(EntityType, EntityId), RecordRow>,
    by_seq: BTreeMap<u64, (EntityType, EntityId)>,
    /// When each change was made, the superseded ones too.
    moments: BTreeMap<u64, Timestamp>,
}

impl State {
    fn situation(&self, incoming: &Incoming) -> Situation {
        let log = self.scopes.get(&incoming.key.scope);
        let mut situation = Situation {
            scope: log.map(|log| log.row.clone()),
            record: log.and_then(|log| log.records.get(&slot(&incoming.key)).cloned()),
            verdict: self.verdicts.get(&incoming.id).cloned(),
            predecessor: incoming
                .after
                .and_then(|after| self.verdicts.get(&after).cloned()),
            base_made: None,
        };
        situation.base_made = situation
            .base_seq(incoming)
            .and_then(|seq| log?.moments.get(&seq).copied());
        situation
    }

    fn store(&mut self, decision: Decision) {
        if let Some(row) = decision.scope {
            match self.scopes.get_mut(&row.scope) {
                Some(log) => log.row = row,
                None => {
                    self.scopes.insert(row.scope.clone(), ScopeLog::new(row));
                }
            }
        }
        if let Some(record) = decision.record
            && let Some(log) = self.scopes.get_mut(&record.key.scope)
        {
            log.put(record);
        }
        if let Some(verdict) = decision.verdict {
            self.verdicts.insert(verdict.mutation_id, verdict);
        }
    }
}

impl ScopeLog {
    fn new(row: ScopeRow) -> Self {
        Self {
            row,
            records: BTreeMap::new(),
            by_seq: BTreeMap::new(),
            moments: BTreeMap::new(),
        }
    }

    fn put(&mut self, record: RecordRow) {
        let slot = slot(&record.key);
        self.moments.insert(record.seq, record.made);
        self.by_seq.insert(record.seq, slot.clone());
        if let Some(superseded) = self.records.insert(slot, record) {
            self.by_seq.remove(&superseded.seq);
        }
    }

    fn compact(&mut self, before: Timestamp) -> u64 {
        let mut removed = 0;
        let (by_seq, row) = (&mut self.by_seq, &mut self.row);
        self.records.retain(|_, record| {
            record.overwritten.retain(|mark| mark.at >= before);
            let keep = record.payload.is_some() || record.made >= before;
            if !keep {
                by_seq.remove(&record.seq);
                row.removed = row.removed.max(record.seq);
                removed += 1;
            }
            keep
        });
        self.moments.retain(|_, made| *made >= before);
        removed
    }
}

fn slot(key: &RecordKey) -> (EntityType, EntityId) {
    (key.entity_type.clone(), key.entity_id.clone())
}

#[async_trait]
impl ChangeLog for MemoryLog {
    async fn decide(&self, request: BatchRequest) -> Result<Vec<Answer>, StoreError> {
        let mut state = self.state();
        let mut batch = Batch::new(&request);
        let mut answers = Vec::with_capacity(request.mutations.len());
        for incoming in &request.mutations {
            let verdict = batch.unprocessed(incoming).unwrap_or_else(|| {
                let decision = batch.decide(incoming, &state.situation(incoming));
                let answer = decision.answer.clone();
                state.store(decision);
                answer
            });
            answers.push(Answer {
                id: incoming.id,
                verdict,
            });
        }
        Ok(answers)
    }

    async fn read(&self, request: ReadRequest) -> Result<ReadOutcome, StoreError> {
        let state = self.state();
        let Some(log) = state.scopes.get(&request.scope) else {
            return Ok(ReadOutcome::NoScope);
        };
        let mut page = match Reading::begin(&request, Some(&log.row)) {
            Reading::Done(outcome) => return Ok(outcome),
            Reading::Records(page) => page,
        };
        for (_, slot) in log.by_seq.range(page.after() + 1..) {
            if let Some(record) = log.records.get(slot)
                && !page.push(record.clone())
            {
                break;
            }
        }
        Ok(ReadOutcome::Page(page.finish()))
    }

    async fn scope(&self, scope: Scope) -> Result<Option<ScopeRow>, StoreError> {
        let state = self.state();
        Ok(state.scopes.get(&scope).map(|log| log.row.clone()))
    }

    async fn open(&self, scope: Scope, epoch: Epoch) -> Result<ScopeRow, StoreError> {
        let mut state = self.state();
        let log = state
            .scopes
            .entry(scope.detached())
            .or_insert_with(|| ScopeLog::new(ScopeRow::new(scope, epoch)));
        Ok(log.row.clone())
    }

    async fn new_epoch(&self, request: NewEpoch) -> Result<(), StoreError> {
        let mut state = self.state();
        match request.of {
            EpochOf::All => {
                for log in state.scopes.values_mut() {
                    let shared = log.row.head;
                    log.row.begin_epoch(request.epoch.clone(), shared);
                }
            }
            EpochOf::Broken(scope, epoch) => {
                if let Some(log) = state.scopes.get_mut(&scope)
                    && log.row.epoch == epoch
                {
                    log.row.begin_epoch(request.epoch, 0);
                }
            }
        }
        Ok(())
    }

    async fn compact(&self, now: Timestamp, retention: Retention) -> Result<Compacted, StoreError> {
        let mut state = self.state();
        let before = Retention::cut(now, retention.tombstones());
        let tombstones = state
            .scopes
            .values_mut()
            .map(|log| log.compact(before))
            .sum();
        let before = Retention::cut(now, retention.verdicts());
        let verdicts = state.verdicts.len();
        state.verdicts.retain(|_, verdict| verdict.at >= before);
        Ok(Compacted {
            tombstones,
            verdicts: (verdicts - state.verdicts.len()) as u64,
        })
    }

    async fn locate(
        &self,
        entity_type: EntityType,
        entity_id: EntityId,
    ) -> Result<Vec<Scope>, StoreError> {
        let state = self.state();
        let slot = (entity_type, entity_id);
        let holds = |log: &&ScopeLog| {
            let record = log.records.get(&slot);
            record.is_some_and(|record| record.payload.is_some())
        };
        let holding = state.scopes.values().filter(holds);
        Ok(holding.map(|log| log.row.scope.clone()).collect())
    }
}
