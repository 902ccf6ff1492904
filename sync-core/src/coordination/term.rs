//! Leases that are a row in a database: how long one lasts, and how it is told that another one has stopped.

use std::{sync::Arc, time::Duration};

use futures::channel::oneshot;

use crate::{
    error::StoreError,
    time::{Clock, Time, Timestamp},
};

/// A renewal under way: whether the row still named the holder. One whose sender is dropped has failed.
pub type Renewal = oneshot::Receiver<Result<bool, StoreError>>;

/// How a lease ended that nobody gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The row names somebody else: there is nothing to give up any more.
    Taken,
    /// It could not be renewed in time. The row may still name the holder.
    RunOut,
}

/// The term of a lease that its holder renews: asked for at each third of it, and more often once a renewal has failed.
///
/// For stores whose [`Leadership`](super::Leadership) is a row that must be renewed; what writes the row is theirs.
#[derive(Debug)]
pub struct Term {
    clock: Arc<dyn Clock>,
    length: Duration,
    renew_at: Time,
    ends_at: Time,
    /// A renewal under way, and when it was asked for. It outlives the future of [`Term::lost`].
    renewing: Option<(Time, Renewal)>,
}

impl Term {
    /// The term of a lease that was asked for at `began` and granted since.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, length: Duration, began: Time) -> Self {
        Self {
            clock,
            length,
            renew_at: began + length / 3,
            ends_at: began + length,
            renewing: None,
        }
    }

    /// When it ends, unless it is renewed.
    #[must_use]
    pub fn ends_at(&self) -> Time {
        self.ends_at
    }

    /// Keeps the lease, each time by a renewal that `renew` starts, until the time by the wall clock that it is given;
    /// resolves only when the lease is lost. Dropping the future is safe, and stops no renewal that has been started;
    /// call it again to go on.
    pub async fn lost(&mut self, renew: impl Fn(Timestamp) -> Renewal) -> Lost {
        loop {
            let (asked, renewed) = match &mut self.renewing {
                Some((asked, renewed)) => (*asked, renewed.await),
                None => {
                    self.clock.sleep_until(self.renew_at).await;
                    let until = self.clock.wall() + self.length;
                    self.renewing = Some((self.clock.now(), renew(until)));
                    continue;
                }
            };
            self.renewing = None;
            match renewed {
                Ok(Ok(true)) => {
                    self.renew_at = asked + self.length / 3;
                    self.ends_at = asked + self.length;
                }
                Ok(Ok(false)) => return Lost::Taken,
                Ok(Err(_)) | Err(_) => {
                    let now = self.clock.now();
                    if now >= self.ends_at {
                        return Lost::RunOut;
                    }
                    self.renew_at = (now + self.length / 12).min(self.ends_at);
                }
            }
        }
    }
}

/// What is known about whoever holds the lease, by the beat that changes with each renewal.
///
/// The wall clock says when a lease has run out, but it may have been set back since: a beat that stands still for
/// a whole term, by the clock that cannot be set, says it too.
#[derive(Debug, Default)]
pub struct Rival<B> {
    seen: Option<(B, Time)>,
}

impl<B: Copy + PartialEq> Rival<B> {
    /// The row showed this beat.
    pub fn seen(&mut self, beat: B, now: Time) {
        if self.seen.is_none_or(|(seen, _)| seen != beat) {
            self.seen = Some((beat, now));
        }
    }

    /// The beat that has stood still for a whole term, if it has.
    #[must_use]
    pub fn stalled(&self, now: Time, term: Duration) -> Option<B> {
        let (beat, since) = self.seen?;
        (now.since(since) >= term).then_some(beat)
    }
}
