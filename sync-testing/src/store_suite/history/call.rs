//! The calls of a history: which one a step makes, and how it is made.

use std::{collections::BTreeSet, sync::Arc};

use sync_core::{
    error::StoreError,
    model::{Account, MutationId, RecordKey, Scope},
    store::{
        ApplyRequest, EnqueueRequest, EntryFilter, Fence, SettleRequest, Settlement, Stamp, Store,
        SweepOutcome, TakeRequest,
    },
    time::Timestamp,
};

use super::{ACCOUNT, Answer, History, dice::Dice, step::Step};

/// More records than a history has.
const ALL: u32 = 1_000_000;

/// More calls than a sweep takes that comes to its end at all.
const MANY: usize = 1_000;

/// A call that writes.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Enqueue(EnqueueRequest),
    Take(TakeRequest),
    Settle(SettleRequest),
    Apply(ApplyRequest),
    Resync(Scope, bool, Fence),
    Sweep(Scope, u32, Fence),
    SweepToTheEnd(Scope, Fence),
    Purge(Scope, Timestamp, Fence),
    Wipe(bool),
    Retry(RecordKey, Stamp),
    Discard(RecordKey),
    AcknowledgeConflicts(Vec<MutationId>),
    AcknowledgeRevoked(Vec<MutationId>),
    Lead,
    Bind,
}

/// The first thing that the dice of a step say.
fn kind(dice: &Dice) -> u64 {
    dice.below(200)
}

/// Whether the step of these dice is a wipe.
pub(super) fn wipes(dice: &Dice) -> bool {
    kind(dice) == 199
}

impl Call {
    /// Decides the call of step `n`.
    pub(super) async fn plan(
        dice: &Dice,
        n: u64,
        history: &History,
        store: &dyn Store,
        fence: Fence,
    ) -> Result<Self, StoreError> {
        let kind = kind(dice);
        let entries = store.entries(EntryFilter::default()).await?;
        let fence = match dice.one_in(25) {
            true => Fence(fence.0.saturating_sub(1)),
            false => fence,
        };
        let step = Step {
            dice,
            n,
            entries,
            fence,
        };
        let scope = step.scope();
        Ok(match kind {
            0..45 => Self::Enqueue(step.enqueue(store).await?),
            45..72 => Self::Take(step.take()),
            72..105 => Self::Settle(step.settle(store).await?),
            105..108 => {
                let (_, tick) = store.scope(scope.clone()).await?;
                Self::Settle(step.settling(vec![Settlement::Judge(scope, tick)], true))
            }
            108..148 => {
                let (row, tick) = store.scope(scope).await?;
                let large = if dice.one_in(12) { history.large } else { 0 };
                Self::Apply(step.apply(row, tick, large)?)
            }
            148..154 => Self::Resync(scope, dice.one_in(3), fence),
            154..169 => {
                let all = dice.one_in(3);
                match history.sweeps {
                    Some(records) if !all => Self::Sweep(scope, records, fence),
                    Some(_) => Self::Sweep(scope, ALL, fence),
                    None => Self::SweepToTheEnd(scope, fence),
                }
            }
            169..173 => Self::Purge(scope, step.now(), fence),
            173..179 => Self::Retry(step.record(), step.stamp()),
            179..184 => Self::Discard(step.record()),
            184..188 => {
                let conflicts = store.conflicts(None).await?;
                let ids = conflicts.iter().map(|c| c.mutation_id);
                Self::AcknowledgeConflicts(step.some(ids))
            }
            188..192 => {
                let revoked = store.revoked().await?;
                Self::AcknowledgeRevoked(step.some(revoked.iter().map(|r| r.mutation.id)))
            }
            192..195 => Self::Lead,
            195..199 => Self::Bind,
            _ => Self::Wipe(dice.one_in(2)),
        })
    }

    /// The scopes that it is about; none when that is for the store to say.
    fn scopes(&self) -> Option<BTreeSet<Scope>> {
        Some(match self {
            Self::Enqueue(request) => {
                let keys = request.edits.iter().map(|edit| &edit.key);
                keys.map(|key| key.scope.clone()).collect()
            }
            Self::Apply(request) => BTreeSet::from([request.scope.clone()]),
            Self::Resync(scope, ..)
            | Self::Sweep(scope, ..)
            | Self::SweepToTheEnd(scope, _)
            | Self::Purge(scope, ..) => BTreeSet::from([scope.clone()]),
            Self::Retry(key, _) | Self::Discard(key) => BTreeSet::from([key.scope.clone()]),
            Self::Take(request) => BTreeSet::from([request.pick.only.clone()?]),
            Self::Settle(_)
            | Self::Wipe(_)
            | Self::AcknowledgeConflicts(_)
            | Self::AcknowledgeRevoked(_)
            | Self::Lead
            | Self::Bind => return None,
        })
    }

    pub(super) async fn make(self, store: &dyn Store, fence: &mut Fence) -> Answer {
        let asked = Arc::new(self.clone());
        let scopes = self.scopes();
        macro_rules! made {
            ($method:ident($($argument:expr),*)) => {
                Answer::new(stringify!($method), asked, store.$method($($argument),*).await)
            };
        }
        let answer = match self {
            Self::Enqueue(request) => made!(enqueue(request)),
            Self::Take(request) => made!(take(request)),
            Self::Settle(request) => made!(settle(request)),
            Self::Apply(request) => {
                let changes = request.page.changes.len();
                made!(apply(request)).of(changes)
            }
            Self::Resync(scope, new_epoch, fence) => made!(resync(scope, new_epoch, fence)),
            Self::Sweep(scope, limit, fence) => made!(sweep(scope, limit, fence)),
            Self::SweepToTheEnd(scope, fence) => {
                Answer::new("sweep", asked, swept(store, scope, fence).await)
            }
            Self::Purge(scope, at, fence) => made!(purge(scope, at, fence)),
            Self::Wipe(force) => made!(wipe(force)),
            Self::Retry(key, stamp) => made!(retry(key, stamp)),
            Self::Discard(key) => made!(discard(key)),
            Self::AcknowledgeConflicts(ids) => made!(acknowledge_conflicts(ids)),
            Self::AcknowledgeRevoked(ids) => made!(acknowledge_revoked(ids)),
            Self::Bind => made!(bind(Account::from(ACCOUNT))),
            Self::Lead => {
                let led = store.lead(Account::from(ACCOUNT)).await;
                // What the tokens are is the store's affair; that an older one is refused shows in later steps.
                let led = led.map(|new| *fence = new);
                Answer::new("lead", asked, led)
            }
        };
        answer.about(scopes)
    }
}

/// Sweeps until the store says that it is done.
async fn swept(store: &dyn Store, scope: Scope, fence: Fence) -> Result<SweepOutcome, StoreError> {
    let mut all = SweepOutcome::default();
    for _ in 0..MANY {
        let step = store.sweep(scope.clone(), ALL, fence).await?;
        all.done = step.done;
        all.touched.merge(step.touched);
        if all.done {
            break;
        }
    }
    Ok(all)
}
