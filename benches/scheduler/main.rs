//! The scheduler: how many events a second it takes in, each with the actions that follow polled and the next
//! deadline asked for, as the driver does.
//!
//! The events are those of an app in use ([`day`]), recorded beforehand.

mod day;
mod timing;

use std::time::Duration;

use benches::{
    Mode, lines,
    measure::{Series, cost},
};

use day::Recording;

fn main() {
    let mode = Mode::asked();
    if mode == Mode::Timing {
        return timing::run();
    }
    let (rounds, events) = (mode.pick(11, 1), mode.pick(500_000, 20_000));
    let recording = Recording::of_day(events);
    assert!(
        recording.actions > events as u64 / 4,
        "little was asked for"
    );
    println!("{events} events, {} actions", recording.actions);
    let mut costs = Series::default();
    for _ in 0..rounds {
        let recording = recording.clone();
        costs.push(cost(|| recording.play()).1);
    }
    let nanos = |time: Duration| time.as_secs_f64() * 1e9 / events as f64;
    println!(
        "{:.0} ns an event, processor ({:.0} wall)",
        nanos(costs.cpu()),
        nanos(costs.wall())
    );
    lines::rate("scheduler", events as f64 / costs.cpu().as_secs_f64());
}
