//! Runs histories of the simulator and says what held: `cargo run --release -p simulate --example simulate -- --seeds 10000`.
//!
//! A seed decides its whole history. One that violates an invariant is made short and told as a timeline, with the
//! command that replays it. The exit code is 1 if one has.

mod stores;

use std::{
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, UNIX_EPOCH},
};

use clap::{Parser, ValueEnum};
use sync_testing::simulator::{Coverage, SimError, Simulation, Violation};

#[derive(Parser)]
struct Arguments {
    /// How many histories to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first seed, or `fresh`: one that no run had before.
    #[arg(long, default_value = "0", value_parser = first_seed)]
    from: u64,
    /// How many things happen in a history.
    #[arg(long, default_value_t = 150)]
    steps: usize,
    /// What the devices keep their data in.
    #[arg(long, value_enum, default_value_t = StoreKind::Memory)]
    store: StoreKind,
    /// How many histories run at a time; as many as there are processors, if it is not said.
    #[arg(long)]
    threads: Option<usize>,
    /// Tells the history of this seed, as a timeline.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["shrink", "seeds", "from"])]
    replay: Option<u64>,
    /// Tells the shortest history found that violates what this seed's violates.
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from"])]
    shrink: Option<u64>,
    /// Ends with the first violation, and prints one line about it.
    #[arg(long)]
    until_violation: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum StoreKind {
    Memory,
    Sqlite,
}

/// A history is made of many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// So many histories meet with everything that can happen.
const ENOUGH: usize = 3_000;

/// The first seed, as it is written on the command line.
fn first_seed(text: &str) -> Result<u64, String> {
    if text == "fresh" {
        let since = UNIX_EPOCH.elapsed().map_err(|error| error.to_string())?;
        return Ok(since.as_secs() * 1_000_000);
    }
    text.parse()
        .map_err(|_| format!("`{text}` is neither a number nor `fresh`"))
}

fn simulation(arguments: &Arguments) -> Simulation {
    let simulation = Simulation::new().steps(arguments.steps);
    match arguments.store {
        StoreKind::Memory => simulation,
        StoreKind::Sqlite => simulation.on(stores::SqliteFiles::new),
    }
}

fn run(arguments: &Arguments) -> Result<usize, Box<dyn std::error::Error>> {
    let simulation = simulation(arguments);
    if let Some(seed) = arguments.replay {
        let outcome = simulation.replay(seed)?;
        print!("{}", outcome.trace);
        return Ok(verdict(seed, outcome.violation.as_ref()));
    }
    if let Some(seed) = arguments.shrink {
        let Some(outcome) = simulation.shrink(seed)? else {
            return Ok(verdict(seed, None));
        };
        print!("{}", outcome.trace);
        return Ok(verdict(seed, outcome.violation.as_ref()));
    }
    run_many(arguments, &simulation)
}

fn verdict(seed: u64, violation: Option<&Violation>) -> usize {
    match violation {
        None => println!("seed {seed} violates nothing"),
        Some(violation) => println!("seed {seed} violates {violation}"),
    }
    usize::from(violation.is_some())
}

/// What is gathered over many histories.
#[derive(Default)]
struct Sum {
    coverage: Coverage,
    operations: Vec<usize>,
    violations: Vec<(u64, Violation)>,
    error: Option<(u64, SimError)>,
}

fn run_many(
    arguments: &Arguments,
    simulation: &Simulation,
) -> Result<usize, Box<dyn std::error::Error>> {
    let first = arguments.from;
    let threads = match arguments.threads {
        Some(threads) => threads.max(1),
        None => std::thread::available_parallelism()?.get(),
    };
    let end = first.saturating_add(arguments.seeds);
    println!(
        "seeds {first} to {}, {threads} at a time",
        end.saturating_sub(1)
    );
    let (begun, next) = (Instant::now(), AtomicU64::new(first));
    let sum = Mutex::new(Sum::default());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let own = run_some(arguments, simulation, &next, end);
                let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                sum.coverage.add(&own.coverage);
                sum.operations.extend(own.operations);
                sum.violations.extend(own.violations);
                sum.error = sum.error.take().or(own.error);
            });
        }
    });
    let mut sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((seed, error)) = sum.error {
        return Err(format!("seed {seed} could not be run: {error}").into());
    }
    sum.violations.sort_by_key(|(seed, _)| *seed);
    let missing = report(arguments, &mut sum, begun);
    if !arguments.until_violation
        && let Some((seed, _)) = sum.violations.first()
    {
        tell(arguments, simulation, *seed)?;
    }
    println!("violations: {}", sum.violations.len());
    Ok(sum.violations.len() + missing)
}

/// Runs histories until there are no more, on this thread.
fn run_some(arguments: &Arguments, simulation: &Simulation, next: &AtomicU64, end: u64) -> Sum {
    let mut sum = Sum::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return sum;
        }
        match simulation.run(seed) {
            Ok(outcome) => {
                sum.coverage.add(&outcome.coverage);
                sum.operations.push(outcome.operations);
                if let Some(violation) = outcome.violation {
                    sum.violations.push((seed, violation));
                    if arguments.until_violation {
                        next.store(end, Ordering::Relaxed);
                    }
                }
            }
            Err(error) => {
                sum.error = Some((seed, error));
                return sum;
            }
        }
    }
}

/// Says what was seen. Returns how much of what can happen did not, if there were histories enough for all of it.
fn report(arguments: &Arguments, sum: &mut Sum, begun: Instant) -> usize {
    for (seed, violation) in sum.violations.iter().take(20) {
        println!("seed {seed} violates {violation}");
    }
    if arguments.until_violation {
        return 0;
    }
    println!("\nhow often each thing happened:\n{}", sum.coverage);
    let missing = sum.coverage.missing();
    if !missing.is_empty() {
        println!("never happened: {}", missing.join(", "));
    }
    sum.operations.sort_unstable();
    let histories = sum.operations.len();
    let median = sum
        .operations
        .get(histories / 2)
        .copied()
        .unwrap_or_default();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{histories} histories in {seconds:.1} s, {:.0} a minute; {median} operations of the apps in the median one",
        histories as f64 / seconds * 60.0
    );
    match histories >= ENOUGH && sum.violations.is_empty() {
        true => missing.len(),
        false => 0,
    }
}

/// Tells a failing history, as short as it can be made.
fn tell(
    arguments: &Arguments,
    simulation: &Simulation,
    seed: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(outcome) = simulation.shrink(seed)? {
        println!(
            "\nthe shortest history found of seed {seed}:\n{}",
            outcome.trace
        );
    }
    let store = match arguments.store {
        StoreKind::Memory => "",
        StoreKind::Sqlite => " --store sqlite",
    };
    println!(
        "replay it with: cargo run --release -p simulate --example simulate -- --replay {seed} --steps {}{store}",
        arguments.steps
    );
    Ok(())
}
