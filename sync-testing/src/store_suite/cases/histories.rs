//! Any history of calls, compared with the memory store.

use crate::store_suite::{History, database::Database, failure::Outcome};

const SEEDS: u64 = 6;
const STEPS: u64 = 80;

pub(super) async fn random_histories_give_the_answers_and_the_rows_of_the_memory_store(
    database: &Database<'_>,
) -> Outcome {
    for seed in 0..SEEDS {
        let store = database.another(&seed.to_string()).store().await?;
        let history = History::new(seed).with_pages_of(40);
        history.compare(&*store, STEPS).await?;
    }
    Ok(())
}
