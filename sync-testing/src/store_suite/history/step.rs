//! What the calls of a history ask for.

use std::{sync::Arc, time::Duration};

use sync_core::{
    error::StoreError,
    model::{
        Account, Change, ChangeOp, Cursor, EntityId, EntityType, Epoch, MutationId, Op,
        Overwritten, Page, RecordKey, Schema, Scope, Version,
    },
    policy::NoUpgrade,
    store::{
        ApplyRequest, Edit, EnqueueRequest, Entry, FailReason, Fence, Pick, ScopeRow,
        SettleRequest, Settlement, Stamp, Store, TakeRequest, Tick,
    },
    time::Timestamp,
};

use super::{
    ACCOUNT,
    dice::Dice,
    verdict::{ByTheId, payload, traits, verdict},
};

pub(super) const SCOPES: [&str; 3] = ["a", "b", "b\0"];
pub(super) const TYPES: [&str; 3] = ["feed_log", "sleep", "s"];
/// Canonical UUIDs and texts that sort between, before and behind them.
pub(super) const IDS: [&str; 8] = [
    "0190a5c4-7e1f-7abc-8def-0123456789ab",
    "7190a5c4-7e1f-7abc-8def-0123456789ab",
    "7",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "0190A5C4-7E1F-7ABC-8DEF-0123456789AB",
    "",
    "zoë",
    "a\0b",
];

/// The numbers of the server's log that belong to one step.
const NUMBERS: u64 = 1 << 20;

/// What a step is decided by.
pub(super) struct Step<'a> {
    pub(super) dice: &'a Dice,
    pub(super) n: u64,
    pub(super) entries: Vec<Entry>,
    pub(super) fence: Fence,
}

impl Step<'_> {
    pub(super) fn now(&self) -> Timestamp {
        let millis = self.n.saturating_mul(7).saturating_add(1_000);
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp {
            now: self.now(),
            random: self.dice.bits(),
        }
    }

    pub(super) fn scope(&self) -> Scope {
        Scope::from(self.dice.name(&SCOPES))
    }

    /// Few of the records are met often, so that things happen to the same one.
    pub(super) fn record(&self) -> RecordKey {
        let (scopes, types, ids) = match self.dice.one_in(4) {
            true => (&SCOPES[..], &TYPES[..], &IDS[..]),
            false => (&SCOPES[..2], &TYPES[..2], &IDS[..2]),
        };
        let name = |from: &[&'static str]| self.dice.name(from);
        RecordKey::new(name(scopes), name(types), name(ids))
    }

    /// One of the first entries that the server may have, or of all entries; none, if there are none or the dice say so.
    fn entry(&self) -> Option<&Entry> {
        let all = self.dice.one_in(4);
        let entries = self
            .entries
            .iter()
            .filter(|e| all || (e.is_pending() && e.was_sent()));
        let first: Vec<_> = entries.take(6).collect();
        self.dice
            .pick(&first)
            .filter(|_| !self.dice.one_in(12))
            .copied()
    }

    /// The id of a mutation that there is, or of none.
    fn id(&self) -> MutationId {
        let unknown = || MutationId::following(None, Timestamp::from_millis(1), self.dice.bits());
        self.entry().map_or_else(unknown, |e| e.mutation.id)
    }

    pub(super) fn some(&self, ids: impl Iterator<Item = MutationId>) -> Vec<MutationId> {
        let skipped = self.dice.below(3) as usize;
        ids.skip(skipped).take(2).chain([self.id()]).collect()
    }

    pub(super) async fn enqueue(&self, store: &dyn Store) -> Result<EnqueueRequest, StoreError> {
        let dice = self.dice;
        let mut edits = Vec::new();
        let again = self.record();
        for _ in 0..=dice.below(3) {
            let key = if dice.one_in(3) {
                again.clone()
            } else {
                self.record()
            };
            let op = match dice.below(3) {
                0 => Op::Create(payload(dice)?),
                1 => Op::Update(payload(dice)?),
                _ => Op::Delete,
            };
            let expect = match dice.below(15) {
                0 => Some(payload(dice)?),
                1 | 2 => store.get(key.clone()).await?.map(|row| row.payload),
                _ => None,
            };
            edits.push(Edit {
                key,
                op,
                schema: Schema(1),
                expect,
            });
        }
        let account = if dice.one_in(30) { "bob" } else { ACCOUNT };
        Ok(EnqueueRequest {
            account: Account::from(account),
            stamp: self.stamp(),
            edits,
        })
    }

    pub(super) fn take(&self) -> TakeRequest {
        let dice = self.dice;
        let scope = || dice.one_in(4).then(|| self.scope());
        let waiting: Vec<_> = self.entries.iter().filter(|e| e.is_pending()).collect();
        let skip = dice.pick(&waiting).filter(|_| dice.one_in(3));
        TakeRequest {
            fence: self.fence,
            now: self.now(),
            pick: Pick {
                only: scope(),
                hold: scope().into_iter().collect(),
                skip: skip.map(|e| e.mutation.id).into_iter().collect(),
            },
            max_count: 1 + dice.below(5) as u32,
            max_bytes: [1, 20, 1 << 20, u64::MAX][dice.below(4) as usize],
            traits: traits(dice.one_in(5)),
            upgrade: Arc::new(NoUpgrade),
        }
    }

    pub(super) async fn settle(&self, store: &dyn Store) -> Result<SettleRequest, StoreError> {
        let dice = self.dice;
        let mut settlements = Vec::new();
        for n in 0..=dice.below(4) {
            let id = self.id();
            settlements.push(match dice.below(14) {
                0 => Settlement::SetAside(id, FailReason::Poison, "poison".to_owned()),
                1 => Settlement::Forgotten(id),
                _ => {
                    let of_id = self.entries.iter().find(|e| e.mutation.id == id);
                    let scope =
                        of_id.map_or_else(|| self.scope(), |e| e.mutation.key.scope.clone());
                    let (row, _) = store.scope(scope).await?;
                    let version = Version {
                        epoch: self.epoch(&row),
                        seq: self.number(n),
                    };
                    Settlement::Answer(id, verdict(dice, version)?)
                }
            });
        }
        Ok(self.settling(settlements, dice.one_in(5)))
    }

    pub(super) fn settling(&self, settlements: Vec<Settlement>, dialect: bool) -> SettleRequest {
        SettleRequest {
            fence: self.fence,
            stamp: self.stamp(),
            settlements,
            resolve: Arc::new(ByTheId),
            traits: traits(dialect),
            max_again: 2,
            verdict_retention: self.retention(),
        }
    }

    /// Now and then, a server that forgets verdicts after some steps.
    fn retention(&self) -> Option<Duration> {
        let millis = [150, 1_000_000][self.dice.below(2) as usize];
        self.dice.one_in(6).then(|| Duration::from_millis(millis))
    }

    /// A number of the server's log; later steps have higher ones.
    fn number(&self, n: u64) -> u64 {
        self.n.saturating_mul(NUMBERS).saturating_add(n + 1)
    }

    fn epoch(&self, row: &ScopeRow) -> Epoch {
        let new = row.resync.as_ref().is_some_and(|resync| resync.new_epoch);
        match row.epoch() {
            Some(epoch) if !new && !self.dice.one_in(30) => epoch.clone(),
            None if !new => Epoch::from("e0"),
            _ => Epoch::from(format!("e{}", self.n)),
        }
    }

    pub(super) fn apply(
        &self,
        row: ScopeRow,
        tick: Tick,
        large: u64,
    ) -> Result<ApplyRequest, StoreError> {
        let dice = self.dice;
        // One of the scopes lies with a server that has no versions.
        let versions = match dice.one_in(12) {
            true => row.scope.as_str() == SCOPES[1],
            false => row.scope.as_str() != SCOPES[1],
        };
        let mut changes = Vec::new();
        for n in 0..dice.below(6) {
            changes.push(self.change(&row, n)?);
        }
        for n in 0..large {
            // Pages overlap, so that one writes over a part of another.
            let id = (self.n % 7) * large / 2 + n;
            let id = format!(
                "{:08x}-0000-7000-8000-{id:012x}",
                id.wrapping_mul(0x9e37_79b9) as u32
            );
            let n = n + 6;
            changes.push(Change {
                entity_type: EntityType::from(TYPES[0]),
                entity_id: EntityId::from(id),
                ..self.change(&row, n)?
            });
        }
        for change in changes.iter_mut().filter(|_| !versions) {
            change.seq = None;
        }
        let through = changes.iter().filter_map(|change| change.seq).max();
        let stale = dice.below(20);
        Ok(ApplyRequest {
            fence: self.fence,
            generation: match stale {
                0 => row.generation.next(),
                _ => row.generation,
            },
            from: match stale {
                1 => Some(Cursor::from("another")),
                _ => row.cursor.clone(),
            },
            began: Tick(tick.0.saturating_sub(dice.below(3))),
            now: self.now(),
            traits: traits(!versions),
            page: Page {
                next: Cursor::from(format!("c{}", self.n)),
                has_more: dice.one_in(2),
                through: through.or_else(|| versions.then(|| self.number(0))),
                epoch: versions.then(|| self.epoch(&row)),
                verdict_retention: self.retention(),
                changes,
            },
            scope: row.scope,
        })
    }

    fn change(&self, row: &ScopeRow, n: u64) -> Result<Change, StoreError> {
        let dice = self.dice;
        // An own mutation comes back as a change of its record, or of another's.
        let own = self.entry().filter(|_| n < 6 && dice.one_in(3));
        let key = match own {
            Some(entry) if entry.mutation.key.scope == row.scope => entry.mutation.key.clone(),
            _ => self.record(),
        };
        let mut overwritten = Vec::new();
        if n < 6 && dice.one_in(10) {
            overwritten.push(Overwritten {
                mutation_id: self.id(),
                account: Account::from(ACCOUNT),
                payload: Some(payload(dice)?),
                by: self.number(n),
            });
        }
        Ok(Change {
            entity_type: key.entity_type,
            entity_id: key.entity_id,
            op: match dice.one_in(5) {
                true => ChangeOp::Remove,
                false => ChangeOp::Put(payload(dice)?),
            },
            schema: Schema(1),
            seq: Some(self.number(n)),
            mutation_id: own.map(|entry| entry.mutation.id),
            overwritten,
        })
    }
}
