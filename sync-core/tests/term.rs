//! The term of a lease that is renewed, and when that of a rival has come to an end.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

use std::{cell::RefCell, sync::Arc, time::Duration};

use futures::{FutureExt, channel::oneshot, executor::block_on};
use sync_core::{
    coordination::{Lost, Rival, Term},
    error::{StoreError, StoreErrorKind},
    time::{Clock, Time},
};
use sync_testing::VirtualClock;

const TERM: Duration = Duration::from_secs(12);

fn at(seconds: u64) -> Time {
    Time::from_millis(seconds * 1_000)
}

/// Keeps a lease that began at zero, with these answers to its renewals; what became of it, and when each was asked for.
fn kept(answers: Vec<Result<bool, StoreErrorKind>>) -> (Lost, Vec<Time>) {
    let clock = VirtualClock::new();
    let mut term = Term::new(Arc::new(clock.clone()), TERM, clock.now());
    let answers = RefCell::new(answers.into_iter());
    let asked = RefCell::new(Vec::new());
    let lost = block_on(clock.run(term.lost(|until| {
        assert_eq!(until, clock.wall() + TERM);
        let (reply, renewal) = oneshot::channel();
        asked.borrow_mut().push(clock.now());
        if let Some(answer) = answers.borrow_mut().next() {
            let answer = answer.map_err(|kind| StoreError::new(kind, "the row is locked"));
            reply.send(answer).unwrap();
        }
        renewal
    })));
    (lost, asked.into_inner())
}

#[test]
fn a_lease_is_renewed_at_each_third_of_its_term_until_somebody_else_has_it() {
    let (lost, asked) = kept(vec![Ok(true), Ok(true), Ok(false)]);
    assert_eq!(lost, Lost::Taken);
    assert_eq!(asked, [at(4), at(8), at(12)]);
}

#[test]
fn a_renewal_that_fails_is_tried_again_soon_and_the_lease_ends_with_its_term() {
    let busy = || Err(StoreErrorKind::Busy);
    let (lost, asked) = kept(vec![busy(), Ok(true), busy()]);
    assert_eq!(lost, Lost::RunOut);
    // Renewed at 5, so that it ends at 17; from 9 on nothing but failures, or a writer that is gone.
    let after = 9..=17;
    let expected: Vec<Time> = [4, 5].into_iter().chain(after).map(at).collect();
    assert_eq!(asked, expected);
}

#[test]
fn a_renewal_under_way_outlives_the_future_that_has_asked_for_it() {
    let clock = VirtualClock::new();
    let mut term = Term::new(Arc::new(clock.clone()), TERM, clock.now());
    let replies = RefCell::new(Vec::new());
    let renew = |_| {
        let (reply, renewal) = oneshot::channel();
        replies.borrow_mut().push(reply);
        renewal
    };
    assert_eq!(term.lost(renew).now_or_never(), None);
    clock.advance(Duration::from_secs(4));
    assert_eq!(term.lost(renew).now_or_never(), None);
    assert_eq!(replies.borrow().len(), 1);
    clock.advance(Duration::from_secs(1));
    replies.borrow_mut().remove(0).send(Ok(true)).unwrap();
    assert_eq!(term.lost(renew).now_or_never(), None);
    // It counts from when it was asked for, and no second one was.
    assert_eq!(term.ends_at(), at(16));
    assert_eq!(replies.borrow().len(), 0);
}

#[test]
fn a_rival_has_stopped_when_its_beat_stands_still_for_a_whole_term() {
    let mut rival = Rival::default();
    rival.seen(1, at(0));
    rival.seen(1, at(8));
    assert_eq!(rival.stalled(at(11), TERM), None);
    assert_eq!(rival.stalled(at(12), TERM), Some(1));
    rival.seen(2, at(12));
    assert_eq!(rival.stalled(at(23), TERM), None);
    assert_eq!(rival.stalled(at(24), TERM), Some(2));
}
