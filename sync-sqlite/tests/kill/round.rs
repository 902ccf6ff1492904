//! Rounds: a child starts, is killed, and what it leaves is compared.

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, UNIX_EPOCH},
};

use futures::executor::block_on;
use sync_core::time::Entropy;
use sync_sqlite::{SqliteStore, rusqlite::Connection};
use sync_testing::{SeededEntropy, store_suite::Contents};

use crate::{
    act::{Act, Report},
    child::Orders,
    oracle::{Fault, Oracle, Wrong},
    process::Process,
    tally::Tally,
};

/// After so many rounds there is a new file.
const ROUNDS_A_FILE: u64 = 20;
/// Every so manyth file gets pages of so many changes.
const LARGE_FILES: u64 = 5;
pub(crate) const LARGE: u64 = 10_000;

/// When a child is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after its start.
    Start(Duration),
    /// So long after it has begun so many acts.
    Acts(u64, Duration),
    /// So long after an act has been found to take long, as a large page does.
    Long(Duration),
}

/// A file, and what is known of it.
struct File {
    orders: Orders,
    oracle: Oracle,
}

struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, end: u64) -> u64 {
        u64::try_from(self.0.bits() % u128::from(end)).unwrap()
    }

    fn micros(&self, end: u64) -> Duration {
        Duration::from_micros(self.below(end))
    }
}

impl File {
    fn new(directory: &Path, number: u64, seed: u64) -> Self {
        let orders = Orders {
            path: directory.join(format!("{number}.db")),
            seed: seed.wrapping_add(number),
            large: if number % LARGE_FILES == 1 { LARGE } else { 0 },
            from: Some(0),
            checkpoint: 0,
            durability: 0,
        };
        Self {
            oracle: Oracle::new(orders.history()),
            orders,
        }
    }

    fn round(&mut self, dice: &Dice, tally: &mut Tally) -> Result<(), Wrong> {
        self.orders.checkpoint = [1, 30, 4_000][dice.below(3) as usize];
        self.orders.durability = dice.below(3) as u8;
        let moment = match dice.below(10) {
            0 | 1 => Moment::Start(dice.micros(20_000)),
            2..8 if self.orders.large > 0 => {
                let after = [5_000, 50_000, 300_000][dice.below(3) as usize];
                Moment::Long(dice.micros(after))
            }
            _ => {
                let after = [200, 2_000, 20_000][dice.below(3) as usize];
                Moment::Acts(1 + dice.below(40), dice.micros(after))
            }
        };
        let looked_at = dice.below(4) == 0;
        let outcome = run(&self.orders, moment, looked_at);
        let (reports, read) = outcome.map_err(|words| (Fault::Torn, words))?;

        if !reports.contains(&Report::Opened) {
            tally.while_opening += 1;
        }
        let done = |report: &&Report| matches!(report, Report::Done(Act::Step(_), _));
        tally.steps += reports.iter().filter(done).count() as u64;
        if let Some((_, answer)) = self.oracle.follow(&reports)? {
            tally.meet(&answer);
        }
        tally.reads += self.oracle.compare_seen(&read)?;
        // A process that starts again may make the call again that it does not know to have been made.
        for report in &reports {
            if let Report::Begun(Act::Step(n)) = report {
                self.orders.from = Some(n + dice.below(2));
            }
        }
        let held = match dice.below(3) {
            0 => hold(&self.orders.path)?,
            // The file itself stays as it was left: the next process finds the log, and has to recover.
            _ => hold(&copy(&self.orders.path))?,
        };
        self.oracle.compare(&held)
    }
}

/// Runs a child and kills it; returns what it has reported, and what a reader beside it has.
fn run(
    orders: &Orders,
    moment: Moment,
    looked_at: bool,
) -> Result<(Vec<Report>, Vec<Report>), String> {
    let reader = Orders {
        from: None,
        ..orders.clone()
    };
    let mut child = Process::start(orders);
    let reader = looked_at.then(|| Process::start(&reader));
    match moment {
        Moment::Start(after) => thread::sleep(after),
        Moment::Long(after) => {
            child.wait_for_a_long_act()?;
            thread::sleep(after);
        }
        Moment::Acts(mut acts, after) => {
            child.wait_for(Duration::MAX, |report| {
                acts -= u64::from(matches!(report, Report::Begun(_)));
                acts == 0
            })?;
            thread::sleep(after);
        }
    }
    let reports = child.kill()?;
    let read = reader.map_or(Ok(Vec::new()), Process::kill)?;
    Ok((reports, read))
}

/// A copy of what a killed process has left, log and all.
fn copy(path: &Path) -> PathBuf {
    let with = |path: &Path, tail: &str| PathBuf::from(format!("{}{tail}", path.display()));
    let to = path.with_extension("copy");
    for tail in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(with(&to, tail));
        if tail != "-shm" && with(path, tail).exists() {
            fs::copy(with(path, tail), with(&to, tail)).unwrap();
        }
    }
    to
}

/// All that a file holds.
pub(crate) fn hold(path: &Path) -> Result<Contents, Wrong> {
    let torn = |words: String| (Fault::Torn, words);
    let held = block_on(async {
        let store = SqliteStore::builder(path).inline().open().await?;
        Contents::read(&store).await
    });
    let held = held.map_err(|error| torn(error.to_string()))?;
    let conn = Connection::open(path).map_err(|error| torn(error.to_string()))?;
    let sound: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| torn(error.to_string()))?;
    if sound == "ok" {
        Ok(held)
    } else {
        Err(torn(sound))
    }
}

/// The number that a variable is set to.
fn set(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    Some(match text.as_str() {
        "fresh" => UNIX_EPOCH.elapsed().unwrap().as_secs(),
        text => text.parse().expect("a number"),
    })
}

pub(crate) fn a_killed_process_leaves_what_had_returned() -> Result<(), String> {
    let seed = set("SYNC_SEED").unwrap_or(0);
    let rounds = set("SYNC_ROUNDS").unwrap_or(100);
    let dice = Dice(SeededEntropy::new(seed));
    let directory = tempfile::tempdir().unwrap();
    let mut tally = Tally::default();
    let mut files = 0;
    let mut file = File::new(directory.path(), files, seed << 32);
    for round in 0..rounds {
        tally.rounds += 1;
        let outcome = file.round(&dice, &mut tally);
        let ends = outcome.is_err() || (round + 1) % ROUNDS_A_FILE == 0;
        if let Err(wrong) = outcome {
            tally.wrong.push((round, wrong));
        }
        if ends {
            files += 1;
            file = File::new(directory.path(), files, seed << 32);
        }
    }
    if !tally.wrong.is_empty() {
        return Err(format!("seed {seed}: {tally}"));
    }
    println!("seed {seed}: {tally}");
    // A run that hardly ever meets a call proves nothing.
    let met = tally.killed_in_a_call();
    if met * 3 < rounds || tally.steps < rounds {
        return Err(format!("too few calls were met: {tally}"));
    }
    Ok(())
}
