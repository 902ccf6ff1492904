//! The numbers that the scheduler goes by.

use std::time::Duration;

/// Every number of the scheduler. The defaults suit an app that people look at.
///
/// A value that would make the scheduler stall or spin is raised to the smallest one that does not: counts to 1,
/// and the spacings, [`backoff_base`](Self::backoff_base) and [`poll_interval`](Self::poll_interval) to 10 ms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long after one pull of an active scope the next begins: 5 s. [`Duration::MAX`] turns polling off;
    /// a push to an active scope is then followed by a pull, as it is for one that is not active.
    pub poll_interval: Duration,
    /// How old an active scope may be before becoming visible pulls it: `None`, half the poll interval.
    pub stale_after: Option<Duration>,
    /// Whether a hidden app polls: no, because a tab that nobody sees should cost nothing.
    pub poll_hidden: bool,
    /// How long after the start the first flush and the first pulls begin: 1 s, which leaves the start to the app.
    pub initial_delay: Duration,
    /// How long the pulls that follow a flush wait for its first round: 2 s, so that a push that hangs does not
    /// hold them back.
    pub flush_wait: Duration,
    /// How many scopes are pulled at a time: 4, which leaves a browser two of its six connections to a host.
    pub parallel_pulls: usize,
    /// The shortest time between the beginnings of two pulls of a scope: 250 ms. It bounds what a flood of pokes
    /// costs.
    pub pull_spacing: Duration,
    /// The shortest time between a failed request and the next of its kind: 500 ms. Unlike the backoff it is
    /// kept when a manual sync or a reconnect resets, and bounds what a flood of those costs.
    pub retry_spacing: Duration,
    /// What the first backoff is drawn from, doubled with each further failure: up to 1 s.
    pub backoff_base: Duration,
    /// What no backoff exceeds: 60 s, so that a server that is back is noticed within a minute.
    pub backoff_cap: Duration,
    /// What no `Retry-After` exceeds: 1 h, so that a wrong one does not stop an app for days.
    pub retry_after_cap: Duration,
    /// The most mutations in a batch: 100.
    pub batch_count: u32,
    /// The most bytes of payload in a batch: 512 KiB, half of what many proxies let through.
    pub batch_bytes: u64,
    /// After how many answered batches a limit that a 413 has halved is doubled again: 8, so that finding it anew
    /// costs little.
    pub regrow_after: u32,
    /// After how many failures of one and the same batch it is narrowed down: 3. A refusal of the batch as a whole
    /// (400, 409, 422) narrows it down at once.
    pub narrow_after: u32,
    /// How often a mutation is sent alone and refused, while another goes through, before it is set aside: 3.
    pub poison_attempts: u32,
    /// The shortest time between two of those attempts: 5 s, longer than most deployments take to restart.
    pub poison_spacing: Duration,
    /// The shortest time between the two refusals that make a revocation: 5 s.
    pub confirm_after: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll_interval: Duration::from_secs(5),
            stale_after: None,
            poll_hidden: false,
            initial_delay: Duration::from_secs(1),
            flush_wait: Duration::from_secs(2),
            parallel_pulls: 4,
            pull_spacing: Duration::from_millis(250),
            retry_spacing: Duration::from_millis(500),
            backoff_base: Duration::from_secs(1),
            backoff_cap: Duration::from_secs(60),
            retry_after_cap: Duration::from_secs(60 * 60),
            batch_count: 100,
            batch_bytes: 512 * 1024,
            regrow_after: 8,
            narrow_after: 3,
            poison_attempts: 3,
            poison_spacing: Duration::from_secs(5),
            confirm_after: Duration::from_secs(5),
        }
    }
}

impl Settings {
    /// How old an active scope may be before becoming visible pulls it.
    #[must_use]
    pub fn staleness(&self) -> Duration {
        self.stale_after.unwrap_or(self.poll_interval / 2)
    }

    /// Whether active scopes are polled at all.
    #[must_use]
    pub fn polls(&self) -> bool {
        self.poll_interval != Duration::MAX
    }

    /// The same settings with nothing in them that would stall or spin.
    pub(super) fn bounded(self) -> Self {
        const SHORTEST: Duration = Duration::from_millis(10);
        Self {
            poll_interval: self.poll_interval.max(SHORTEST),
            parallel_pulls: self.parallel_pulls.max(1),
            pull_spacing: self.pull_spacing.max(SHORTEST),
            retry_spacing: self.retry_spacing.max(SHORTEST),
            backoff_base: self.backoff_base.max(SHORTEST),
            backoff_cap: self.backoff_cap.max(self.backoff_base).max(SHORTEST),
            batch_count: self.batch_count.max(1),
            batch_bytes: self.batch_bytes.max(1),
            regrow_after: self.regrow_after.max(1),
            narrow_after: self.narrow_after.max(1),
            poison_attempts: self.poison_attempts.max(1),
            poison_spacing: self.poison_spacing.max(SHORTEST),
            ..self
        }
    }
}
