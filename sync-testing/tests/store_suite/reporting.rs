//! What the suite says of a store that cannot be used at all.

use async_trait::async_trait;
use futures::executor::block_on;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    store::{EnqueueRequest, Enqueued, MemoryStore, TakeRequest, Taken},
};
use sync_testing::store_suite::{Failure, FailureKind, check_with, named};

use crate::bent::{Bent, Bug};

struct PanicsWhenTaking;

#[async_trait]
impl Bug for PanicsWhenTaking {
    async fn take(&self, _: &MemoryStore, _: TakeRequest) -> Result<Taken, StoreError> {
        panic!("it was asked to take")
    }
}

struct CannotTake;

#[async_trait]
impl Bug for CannotTake {
    async fn take(&self, _: &MemoryStore, _: TakeRequest) -> Result<Taken, StoreError> {
        let cause = std::io::Error::other("no such column: sent_at");
        Err(StoreError::new(StoreErrorKind::Corrupt, "an entry").with_source(cause))
    }
}

fn run(case: &str, bug: fn() -> Box<dyn Bug>) -> Result<(), Failure> {
    block_on(named(case).run(&Bent::new(bug)))
}

#[test]
fn a_store_that_panics_fails_the_cases_that_call_it_and_no_others() {
    let mut told = 0;
    let report = block_on(check_with(
        &Bent::new(|| Box::new(PanicsWhenTaking)),
        |_, failure| told += usize::from(failure.is_some()),
    ));
    assert_eq!(told, report.failed());
    let of = |name: &str| {
        let of_name = report.results.iter().find(|(case, _)| case.name() == name);
        of_name.unwrap().1.as_ref().map(Failure::kind)
    };
    let taking = "mutations_go_out_in_the_order_of_their_enqueueing";
    assert_eq!(of(taking), Some(FailureKind::Panicked));
    assert_eq!(of("an_edit_is_in_the_view_and_in_the_outbox"), None);
    let text = report.to_string();
    let (list, failures) = text.split_once("\n\n").unwrap();
    assert!(list.contains(&format!("FAILED  {taking}")), "{text}");
    assert!(
        failures.contains("a call panicked: it was asked to take"),
        "{text}"
    );
}

#[test]
fn a_failed_call_is_named_with_its_causes_and_the_line_of_the_case() {
    let case = "mutations_go_out_in_the_order_of_their_enqueueing";
    let failure = run(case, || Box::new(CannotTake)).unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Error);
    assert_eq!(
        failure.message(),
        "take failed: stored data cannot be read: an entry: no such column: sent_at"
    );
    let place = failure.place().unwrap();
    assert!(place.file().ends_with("cases/taking.rs"), "{place}");
}

struct CannotEnqueue;

#[async_trait]
impl Bug for CannotEnqueue {
    async fn enqueue(
        &self,
        _: &MemoryStore,
        _: EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        Err(StoreError::new(StoreErrorKind::Busy, "a test"))
    }
}

#[test]
fn a_call_that_fails_inside_of_a_helper_has_the_line_of_the_case() {
    let case = "mutations_go_out_in_the_order_of_their_enqueueing";
    let failure = run(case, || Box::new(CannotEnqueue)).unwrap_err();
    assert!(
        failure.message().starts_with("enqueue failed: "),
        "{failure}"
    );
    let place = failure.place().unwrap();
    assert!(place.file().ends_with("cases/taking.rs"), "{place}");
}
