//! What a call costs, and how the costs of two sides compare.

use std::{
    ops::Div,
    time::{Duration, Instant},
};

use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};

/// What a call cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The processor's time that the whole process used meanwhile, all threads, in its own code and in the kernel's.
    pub cpu: Duration,
    /// The time that went by.
    pub wall: Duration,
}

impl Div<u32> for Cost {
    type Output = Self;

    /// The share of one of so many.
    fn div(self, many: u32) -> Self {
        Self {
            cpu: self.cpu / many,
            wall: self.wall / many,
        }
    }
}

/// Runs a call, and says what it cost.
pub fn cost<T>(call: impl FnOnce() -> T) -> (T, Cost) {
    let (wall, cpu) = (Instant::now(), cpu_time());
    let answer = call();
    let cost = Cost {
        cpu: cpu_time().saturating_sub(cpu),
        wall: wall.elapsed(),
    };
    (answer, cost)
}

fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the usage of this process");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// What the rounds of one side cost, in their order.
#[derive(Clone, Debug, Default)]
pub struct Series(Vec<Cost>);

impl Series {
    /// Adds the cost of the next round.
    pub fn push(&mut self, cost: Cost) {
        self.0.push(cost);
    }

    /// What all rounds cost together.
    #[must_use]
    pub fn total(&self) -> Cost {
        Cost {
            cpu: self.0.iter().map(|cost| cost.cpu).sum(),
            wall: self.0.iter().map(|cost| cost.wall).sum(),
        }
    }

    /// The median of the processor's time.
    ///
    /// # Panics
    /// When there was no round.
    #[must_use]
    pub fn cpu(&self) -> Duration {
        Duration::from_secs_f64(median(self.0.iter().map(|cost| cost.cpu.as_secs_f64())))
    }

    /// The median of the time that went by.
    ///
    /// # Panics
    /// When there was no round.
    #[must_use]
    pub fn wall(&self) -> Duration {
        Duration::from_secs_f64(median(self.0.iter().map(|cost| cost.wall.as_secs_f64())))
    }

    /// How much more of the processor's time this took than another series: the median of the quotients of rounds
    /// that belong together, so that a slow minute of the machine weighs on both.
    ///
    /// # Panics
    /// When there was no round.
    #[must_use]
    pub fn over(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        median(pairs.map(|(ours, theirs)| ours.cpu.as_secs_f64() / theirs.cpu.as_secs_f64()))
    }
}

/// Runs the sides in turn for some rounds, every other round backwards, so that none always comes after the same one.
pub fn interleave(rounds: usize, sides: &mut [&mut dyn FnMut()]) {
    for round in 0..rounds {
        in_turn(round, sides, |side| side());
    }
}

/// One round of [`interleave`]: runs each side, in an order that depends on the number of the round.
pub fn in_turn<T>(round: usize, sides: &mut [T], run: impl FnMut(&mut T)) {
    if round.is_multiple_of(2) {
        sides.iter_mut().for_each(run);
    } else {
        sides.iter_mut().rev().for_each(run);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    assert!(!values.is_empty(), "no round was measured");
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len().is_multiple_of(2) {
        f64::midpoint(values[middle - 1], values[middle])
    } else {
        values[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(millis: &[u64]) -> Series {
        let cost = |millis: &u64| Cost {
            cpu: Duration::from_millis(*millis),
            wall: Duration::from_millis(2 * millis),
        };
        Series(millis.iter().map(cost).collect())
    }

    #[test]
    fn a_slow_round_does_not_move_the_median() {
        let series = series(&[10, 11, 500, 12, 9]);
        assert_eq!(series.cpu(), Duration::from_millis(11));
        assert_eq!(series.wall(), Duration::from_millis(22));
    }

    #[test]
    fn a_slow_minute_of_the_machine_weighs_on_both_sides() {
        let (ours, theirs) = (series(&[8, 80, 8]), series(&[10, 100, 10]));
        assert!((ours.over(&theirs) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn every_other_round_runs_backwards() {
        let order = std::cell::RefCell::new(String::new());
        let mut first = || order.borrow_mut().push('a');
        let mut second = || order.borrow_mut().push('b');
        interleave(3, &mut [&mut first, &mut second]);
        assert_eq!(*order.borrow(), "abbaab");
    }

    #[test]
    fn work_costs_processor_time_and_waiting_does_not() {
        let (_, worked) = cost(|| {
            let started = Instant::now();
            let mut n = 0_u64;
            while started.elapsed() < Duration::from_millis(50) {
                n = std::hint::black_box(n + 1);
            }
        });
        assert!(worked.cpu > Duration::ZERO);
        assert!(worked.wall >= Duration::from_millis(50));
    }
}
