//! Random histories of calls, for whoever compares a store with another one or kills it on the way.

mod answer;
mod call;
mod compare;
mod contents;
mod dice;
mod difference;
mod step;
mod verdict;

use sync_core::{
    error::StoreError,
    model::Account,
    store::{Fence, Store},
};

pub use self::{answer::Answer, contents::Contents};
use self::{call::Call, dice::Dice};

/// On whose behalf a history is; what the database is bound to.
const ACCOUNT: &str = "ann";

/// A random history of store calls, as an app and an engine might make them: all methods that write, with answers and
/// pages of a server that says whatever it likes.
///
/// A step is decided by the seed, its number and what the store holds, and by nothing else. So two stores that are
/// taken through the same steps give the same [`Answer`]s and show the same [`Contents`], the
/// [memory store](sync_core::store::MemoryStore) being the reference, as in [`compare`](Self::compare); also in two
/// processes, one of which is killed:
///
/// ```
/// use sync_core::store::MemoryStore;
/// use sync_testing::store_suite::{Contents, History};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (mine, reference) = (MemoryStore::new(), MemoryStore::new());
/// let history = History::new(7);
/// let mut fence = history.begin(&mine).await?;
/// let mut expected_fence = history.begin(&reference).await?;
/// for n in 0..40 {
///     let answer = history.step(n, &mine, &mut fence).await;
///     assert_eq!(answer, history.step(n, &reference, &mut expected_fence).await);
///     assert_eq!(Contents::read(&mine).await?, Contents::read(&reference).await?);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct History {
    seed: u64,
    large: u64,
    sweeps: Option<u32>,
}

impl History {
    /// The history of this seed, with pages of a few changes.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            large: 0,
            sweeps: None,
        }
    }

    /// As this one, but some pages have so many changes.
    #[must_use]
    pub fn with_pages_of(self, changes: u64) -> Self {
        Self {
            large: changes,
            ..self
        }
    }

    /// As this one, but a step that sweeps makes one call, of so many records or of all.
    ///
    /// Without it such a step sweeps to the end, in as many calls as it takes, since the order of a sweep is the
    /// store's affair, and so is where it has come to. With it, two stores are equal only if they sweep in the same
    /// order: the memory store's, which is that of the keys. Whoever kills a process wants it, since then every step
    /// makes one call that writes.
    #[must_use]
    pub fn with_sweeps_of(self, records: u32) -> Self {
        Self {
            sweeps: Some(records),
            ..self
        }
    }

    /// What a process does first with the database: binds it and takes the lead.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn begin(&self, store: &dyn Store) -> Result<Fence, StoreError> {
        store.bind(Account::from(ACCOUNT)).await?;
        store.lead(Account::from(ACCOUNT)).await
    }

    /// Makes the call of this number. It reads what the call depends on, then makes the one call that writes (but for
    /// sweeps, see [`with_sweeps_of`](Self::with_sweeps_of)).
    ///
    /// `fence` is the token of whoever leads, which no role shows; a step that takes the lead puts the new one there.
    pub async fn step(&self, n: u64, store: &dyn Store, fence: &mut Fence) -> Answer {
        let dice = Dice::new(self.seed, n);
        let planned = match self.after_a_wipe(n) {
            Some(call) => Ok(call),
            None => Call::plan(&dice, n, self, store, *fence).await,
        };
        match planned {
            Ok(call) => call.make(store, fence).await,
            Err(error) => Answer::unread(&error),
        }
    }

    /// A wipe leaves a database without an account, with which little happens: it is bound and led again.
    fn after_a_wipe(&self, n: u64) -> Option<Call> {
        let wipes = |n: u64| call::wipes(&Dice::new(self.seed, n));
        if wipes(n) {
            None
        } else if n >= 1 && wipes(n - 1) {
            Some(Call::Bind)
        } else if n >= 2 && wipes(n - 2) {
            Some(Call::Lead)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::executor::block_on;
    use sync_core::store::MemoryStore;

    use super::*;

    #[test]
    fn a_step_depends_on_nothing_but_its_number_and_the_store() {
        block_on(async {
            let history = History::new(3);
            let store = MemoryStore::new();
            let mut fence = history.begin(&store).await.unwrap();
            for n in 0..200 {
                let (copy, mut same) = (store.fork(), fence);
                let answer = history.step(n, &store, &mut fence).await;
                assert_eq!(answer, History::new(3).step(n, &copy, &mut same).await);
                assert_eq!(fence, same);
                assert_eq!(
                    Contents::read(&store).await.unwrap(),
                    Contents::read(&copy).await.unwrap()
                );
            }
        });
    }

    /// What a test with histories covers is what they bring about.
    #[test]
    fn all_calls_are_made_and_have_all_kinds_of_outcomes() {
        let mut texts = Vec::new();
        let mut calls = BTreeMap::<&str, u64>::new();
        block_on(async {
            for seed in 0..20 {
                let history = History::new(seed).with_pages_of(30).with_sweeps_of(2);
                let store = MemoryStore::new();
                let mut fence = history.begin(&store).await.unwrap();
                for n in 0..200 {
                    let answer = history.step(n, &store, &mut fence).await;
                    *calls.entry(answer.call()).or_default() += 1;
                    texts.push(format!("{answer:?}"));
                }
            }
        });
        assert_eq!(calls.len(), 14, "{calls:?}");
        assert!(calls.values().all(|times| *times >= 20), "{calls:?}");
        let never: Vec<_> = OUTCOMES
            .into_iter()
            .map(|outcome| {
                (
                    outcome,
                    texts.iter().filter(|t| t.contains(outcome)).count(),
                )
            })
            .filter(|(_, times)| *times == 0)
            .collect();
        assert!(never.is_empty(), "{never:?}");
    }

    const OUTCOMES: [&str; 28] = [
        "Err(Fenced)",
        "Err(Moved)",
        "Err(Invalid)",
        "Err(OtherAccount",
        "Cancelled",
        "Ok(Stale)",
        "Ok(OtherEpoch)",
        "sweep: true",
        "done: true",
        "done: false",
        "confirmed: [MutationId",
        "conflicts: [Conflict",
        "doubted: [(",
        "applied: [MutationId",
        "forgotten: [(",
        "waiting: {Scope",
        "over: Some",
        "resolution: Theirs",
        "resolution: Mine",
        "resolution: Merged",
        "resolution: Overwritten",
        ", Rejected)",
        ", Forbidden)",
        ", Poison)",
        ", Predecessor)",
        ", OutcomeUnknown)",
        "revoked: 1",
        "revoked: 2",
    ];
}
