//! Runs histories of the simulator, and says what held.
#![allow(clippy::unwrap_used, reason = "draft")]

use std::time::Instant;

use sync_testing::{Simulation, simulator::Coverage};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let at = arguments.iter().position(|a| a == name)?;
        arguments.get(at + 1)?.parse::<u64>().ok()
    };
    let simulation = Simulation::new().steps(value("--steps").unwrap_or(200) as usize);
    if let Some(seed) = value("--replay") {
        let outcome = simulation.replay(seed).unwrap();
        println!("{}", outcome.trace);
        println!("{:?}", outcome.violation.map(|v| v.to_string()));
        return;
    }
    if let Some(seed) = value("--shrink") {
        if let Some(outcome) = simulation.shrink(seed).unwrap() {
            println!("{}", outcome.trace);
            println!("{:?}", outcome.violation.map(|v| v.to_string()));
        }
        return;
    }
    let (from, seeds) = (
        value("--from").unwrap_or(0),
        value("--seeds").unwrap_or(1000),
    );
    let begun = Instant::now();
    let mut coverage = Coverage::default();
    let (mut violations, mut operations) = (0, 0);
    for seed in from..from + seeds {
        let outcome = simulation.run(seed).unwrap();
        coverage.add(&outcome.coverage);
        operations += outcome.operations;
        if let Some(violation) = outcome.violation {
            violations += 1;
            if violations <= 20 {
                println!("seed {seed}: {violation}");
            }
        }
    }
    print!("{coverage}");
    println!("missing: {:?}", coverage.missing());
    let rate = seeds as f64 / begun.elapsed().as_secs_f64() * 60.0;
    println!(
        "{seeds} histories, {} operations each, {rate:.0} a minute",
        operations / seeds as usize
    );
    println!("violations: {violations}");
}
