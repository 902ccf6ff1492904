//! How long to wait after failures.

use std::time::Duration;

use super::{Settings, random::Random};
use crate::time::Time;

/// Exponential backoff with full jitter above a floor, and the server's `Retry-After`.
///
/// Each failure draws the wait from between [`Settings::retry_spacing`] and `backoff_base × 2^(failures − 1)`, at
/// most [`Settings::backoff_cap`].
#[derive(Clone, Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
    /// Drawn; a manual sync or a reconnect lifts it.
    drawn: Option<Time>,
    /// The least distance from the last failure; nothing but success lifts it.
    floor: Option<Time>,
    /// What the server asked for; nothing but success lifts it.
    asked: Option<Time>,
}

impl Backoff {
    /// How many failures there were since the last success.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Another failure.
    pub(super) fn fail(
        &mut self,
        now: Time,
        retry_after: Option<Duration>,
        settings: &Settings,
        random: &mut Random,
    ) {
        self.failures = self.failures.saturating_add(1);
        self.wait(self.failures, now, retry_after, settings, random);
    }

    /// Another failure, the first of which costs no time: what it waits for has a pace of its own.
    pub(super) fn fail_leniently(
        &mut self,
        now: Time,
        retry_after: Option<Duration>,
        settings: &Settings,
        random: &mut Random,
    ) {
        self.failures = self.failures.saturating_add(1);
        if self.failures > 1 || retry_after.is_some() {
            self.wait(self.failures - 1, now, retry_after, settings, random);
        }
    }

    fn wait(
        &mut self,
        failures: u32,
        now: Time,
        retry_after: Option<Duration>,
        settings: &Settings,
        random: &mut Random,
    ) {
        let doublings = failures.saturating_sub(1).min(30);
        let ceiling = settings
            .backoff_base
            .saturating_mul(1 << doublings)
            .min(settings.backoff_cap);
        self.drawn = Some(now + random.between(settings.retry_spacing, ceiling));
        self.space(now, settings);
        if let Some(asked) = retry_after {
            // Everybody was asked to come back at the same moment.
            let jitter = random.between(Duration::ZERO, settings.backoff_base);
            self.asked = Some(now + asked.min(settings.retry_after_cap) + jitter);
        }
    }

    /// Keeps the least distance from what happened now, without counting it as a failure.
    pub(super) fn space(&mut self, now: Time, settings: &Settings) {
        self.floor = Some(now + settings.retry_spacing);
    }

    /// Success: nothing is left of the failures.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// A manual sync or a reconnect: the failures are forgiven; the floor and the server's word are kept.
    pub(super) fn forgive(&mut self) {
        self.failures = 0;
        self.drawn = None;
    }

    /// The wait is over, and the failures stay counted.
    pub(super) fn release(&mut self) {
        self.drawn = None;
        self.floor = None;
        self.asked = None;
    }

    /// When the wait ends; none if there is none.
    pub(super) fn until(&self) -> Option<Time> {
        self.drawn.max(self.floor).max(self.asked)
    }

    /// Whether the server has asked not to be asked now.
    pub(super) fn is_asked(&self, now: Time) -> bool {
        self.asked.is_some_and(|asked| asked > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(failures: u32, retry_after: Option<u64>) -> (Backoff, Duration) {
        let (settings, mut random) = (Settings::default(), Random::new(1));
        let mut backoff = Backoff::default();
        let now = Time::from_millis(1_000);
        for _ in 0..failures {
            backoff.fail(
                now,
                retry_after.map(Duration::from_secs),
                &settings,
                &mut random,
            );
        }
        let wait = backoff.until().unwrap().since(now);
        (backoff, wait)
    }

    #[test]
    fn the_wait_grows_up_to_its_cap_and_never_falls_below_the_floor() {
        let settings = Settings::default();
        for failures in 1..100 {
            let (_, wait) = after(failures, None);
            let ceiling = settings.backoff_base * (1 << (failures - 1).min(10));
            assert!(wait >= settings.retry_spacing);
            assert!(wait <= ceiling.min(settings.backoff_cap));
        }
        assert!((5..30).any(|failures| after(failures, None).1 > Duration::from_secs(20)));
    }

    #[test]
    fn waits_are_spread_over_all_there_is() {
        let (settings, mut random) = (Settings::default(), Random::new(1));
        let mut waits: Vec<_> = (0..100)
            .map(|_| {
                let (mut backoff, now) = (Backoff::default(), Time::default());
                for _ in 0..7 {
                    backoff.fail(now, None, &settings, &mut random);
                }
                backoff.until().unwrap().since(now).as_secs()
            })
            .collect();
        waits.sort_unstable();
        assert!(waits[10] < 15 && waits[90] > 45, "{waits:?}");
    }

    #[test]
    fn a_retry_after_is_the_least_wait_and_is_capped() {
        let (_, wait) = after(1, Some(90));
        assert!(wait >= Duration::from_secs(90) && wait <= Duration::from_secs(91));
        let (_, wait) = after(1, Some(1_000_000));
        assert!(wait <= Duration::from_secs(3_601));
    }

    #[test]
    fn forgiving_keeps_the_floor_and_the_servers_word() {
        let now = Time::from_millis(1_000);
        let (mut backoff, _) = after(9, None);
        backoff.forgive();
        assert_eq!(backoff.until(), Some(now + Duration::from_millis(500)));
        let (mut backoff, wait) = after(9, Some(90));
        backoff.forgive();
        assert_eq!(backoff.until(), Some(now + wait));
        backoff.reset();
        assert_eq!(backoff.until(), None);
    }
}
