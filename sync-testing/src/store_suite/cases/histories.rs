//! Any history of calls, compared with the memory store.

use sync_core::store::MemoryStore;

use crate::store_suite::{
    Contents, History,
    database::Database,
    failure::{Outcome, equal, holds},
};

const SEEDS: u64 = 6;
const STEPS: u64 = 80;

pub(super) async fn random_histories_give_the_answers_and_the_rows_of_the_memory_store(
    database: &Database<'_>,
) -> Outcome {
    for seed in 0..SEEDS {
        let history = History::new(seed).with_pages_of(40);
        let store = database.another(&seed.to_string()).store().await?;
        let reference = MemoryStore::new();
        let mut fence = history.begin(&*store).await?;
        let mut expected_fence = history.begin(&reference).await?;
        for n in 0..STEPS {
            let answer = history.step(n, &*store, &mut fence).await;
            let expected = history.step(n, &reference, &mut expected_fence).await;
            equal(
                &format!("the answer to step {n} of history {seed}"),
                answer,
                expected,
            )?;
            let held = Contents::read(&*store).await?;
            let difference = Contents::read(&reference).await?.difference(&held);
            holds(
                difference.is_none(),
                &format!(
                    "a store holds the same as the memory store after step {n} of history {seed}: {}",
                    difference.unwrap_or_default()
                ),
            )?;
        }
    }
    Ok(())
}
