//! A store beside the memory store, through one history.

use std::fmt::Write;

use sync_core::store::{MemoryStore, Store};

use super::{Answer, Contents, History, difference::Difference};
use crate::store_suite::{Failure, named::named};

/// How many of the earlier steps are told.
const EARLIER: usize = 8;

/// The most characters of one of them.
const WIDTH: usize = 200;

/// The most characters of the request.
const REQUEST: usize = 2_000;

impl History {
    /// Takes the store, which is new, and a [`MemoryStore`] through the first `steps` steps, and compares what each
    /// step returns and what the stores hold after it.
    ///
    /// # Errors
    /// The first step after which they differ, and in what.
    pub async fn compare(&self, store: &dyn Store, steps: u64) -> Result<(), Failure> {
        let reference = MemoryStore::new();
        let beginning = |error| named("the beginning of the history", error);
        let mut fence = self.begin(store).await.map_err(beginning)?;
        let mut expected_fence = self.begin(&reference).await.map_err(beginning)?;
        let mut earlier = Vec::new();
        for n in 0..steps {
            let answer = self.step(n, store, &mut fence).await;
            let expected = self.step(n, &reference, &mut expected_fence).await;
            let difference = if answer == expected {
                let held = Contents::read(store).await?;
                let should = Contents::read(&reference).await?;
                held.first_difference(&should)
            } else {
                Some(answer.differs_from(&expected))
            };
            if let Some(difference) = difference {
                let told = self.told(n, &expected, &difference, &earlier);
                return Err(Failure::broken(told));
            }
            earlier.push((n, expected));
        }
        Ok(())
    }

    fn told(
        &self,
        n: u64,
        step: &Answer,
        difference: &Difference,
        earlier: &[(u64, Answer)],
    ) -> String {
        let mut text = format!(
            "step {n} of history {}, {}, differs",
            self.seed,
            step.name()
        );
        let mut line = |what: &str, value: &str| {
            // A `String` takes all that is written.
            let _ = write!(text, "\n      {what:<17} {value}");
        };
        line("in", &difference.place);
        line("this store", &difference.mine);
        line("the memory store", &difference.theirs);
        line("asked with", &cut(&step.asked(), REQUEST));
        let same_scope: Vec<_> = earlier
            .iter()
            .filter(|(_, earlier)| earlier.shares_a_scope_with(step))
            .collect();
        let skipped = same_scope.len().saturating_sub(EARLIER);
        for (n, earlier) in same_scope.into_iter().skip(skipped) {
            line(&format!("earlier, {n}"), &cut(&earlier.to_string(), WIDTH));
        }
        let sweeps = self.sweeps.map(|n| format!(".with_sweeps_of({n})"));
        let replay = format!(
            "History::new({}).with_pages_of({}){}.compare(&new_store, {}).await",
            self.seed,
            self.large,
            sweeps.unwrap_or_default(),
            n + 1
        );
        line("to replay it", &replay);
        text
    }
}

fn cut(text: &str, width: usize) -> String {
    let mut cut: String = text.chars().take(width).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use sync_core::{error::StoreErrorKind, store::MemoryStore};

    use super::*;
    use crate::{FaultyStore, StoreCall, StoreFault};

    #[test]
    fn a_difference_is_told_with_its_place_both_sides_and_the_way_to_it() {
        let store = FaultyStore::new(MemoryStore::new());
        for _ in 0..1_000 {
            let error = StoreFault::Error(StoreErrorKind::Busy);
            store.fail_next(StoreCall::Apply, error);
        }
        let history = History::new(1).with_pages_of(4);
        let failure = block_on(history.compare(&store, 100)).unwrap_err();
        let text = failure.message();
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert!(lines[0].contains("of history 1, apply of "), "{text}");
        assert_eq!(lines[1], "in                what apply returns", "{text}");
        assert_eq!(lines[2], "this store        Err(Busy)", "{text}");
        assert!(lines[3].starts_with("the memory store  "), "{text}");
        assert!(lines[4].starts_with("asked with        Apply"), "{text}");
        let replay = "to replay it      History::new(1).with_pages_of(4).compare(&new_store, ";
        assert!(lines.last().unwrap().starts_with(replay), "{text}");
    }
}
