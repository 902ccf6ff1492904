//! Applying pulled pages: what the store takes over what the same takes by hand.
//!
//! Both sides start from the bytes of a page and end with the same rows in a file. The figure is the processor's time
//! from the first byte to the closed file, so that nothing is put off until after the clock has stopped.
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has failed"
)]

mod baseline;
mod ours;
mod pragmas;
mod rows;
mod timing;
mod workload;

use std::{
    env,
    fs::{self, File},
    path::{Path, PathBuf},
    time::Duration,
};

use benches::{
    Mode, lines,
    measure::{Cost, Series, cost, in_turn},
};
use tempfile::TempDir;

use baseline::Baseline;
use ours::Ours;
use workload::{Operation, SCOPE, Workload};

fn main() {
    let mode = Mode::asked();
    if mode == Mode::Timing {
        return timing::run();
    }
    let scale = Scale {
        records: mode.pick(100_000, 2_000),
        others: mode.pick(1_000_000, 10_000),
        pending: 1_000,
        changes_of_large: mode.pick(20_000, 2_000),
        rounds: mode.pick(5, 1),
    };
    let folder = TempDir::new().unwrap();
    pragmas::print(folder.path());
    let large = Large::fill(folder.path(), scale.others);
    let asked = |page: &usize| env::args().any(|argument| argument == page.to_string());
    let pages = [5_000, 500];
    let all = !pages.iter().any(asked);
    for page in pages.into_iter().filter(|page| all || asked(page)) {
        let measured = measure(folder.path(), &large, scale, page);
        for operation in Operation::ALL {
            report(&measured, scale, operation, page);
        }
    }
}

#[derive(Clone, Copy)]
struct Scale {
    /// Records that the pages are about.
    records: usize,
    /// Other records in the large database.
    others: usize,
    /// Edits of other records that wait in the outbox.
    pending: usize,
    /// Records that the pages are about in the large database, where each change takes longer.
    changes_of_large: usize,
    rounds: usize,
}

impl Scale {
    /// Records that the pages are about, and other ones that pages have brought before.
    fn beside(self, beside: Beside) -> (usize, usize) {
        match beside {
            Beside::Nothing | Beside::Pending => (self.records, 0),
            Beside::Large => (self.changes_of_large, self.others),
        }
    }
}

/// Files that hold many other records already.
struct Large {
    ours: PathBuf,
    baseline: PathBuf,
    /// The number of the last change.
    seq: u64,
}

impl Large {
    fn fill(folder: &Path, records: usize) -> Self {
        let large = Self {
            ours: folder.join("large-store.db"),
            baseline: folder.join("large-baseline.db"),
            seq: records as u64,
        };
        let mut ours = Ours::open(&large.ours);
        let mut baseline = Baseline::open(&large.baseline);
        for page in Workload::new(2, records, 5_000, 0).pages(Operation::Insert) {
            baseline.apply(SCOPE, &page);
            ours.apply(page);
        }
        ours.close();
        large
    }
}

/// One side in one setting, and what its rounds cost.
struct Measured {
    side: Side,
    beside: Beside,
    file: PathBuf,
    costs: [Series; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Ours,
    Baseline,
}

/// What is in the database beside the records that the pages are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// Edits of other records wait in the outbox.
    Pending,
    /// Many other records.
    Large,
}

/// What is measured, round by round: each with an operation before the next operation begins.
const MEASURED: [(Side, Beside); 5] = [
    (Side::Ours, Beside::Nothing),
    (Side::Baseline, Beside::Nothing),
    (Side::Ours, Beside::Pending),
    (Side::Baseline, Beside::Large),
    (Side::Ours, Beside::Large),
];

fn measure(folder: &Path, large: &Large, scale: Scale, page: usize) -> Vec<Measured> {
    let mut measured: Vec<Measured> = MEASURED
        .iter()
        .enumerate()
        .map(|(n, (side, beside))| Measured {
            side: *side,
            beside: *beside,
            file: folder.join(format!("{n}.db")),
            costs: Default::default(),
        })
        .collect();
    for round in 0..scale.rounds {
        for one in &measured {
            one.prepare(large, scale);
        }
        let seed = 3 + round as u64;
        let mut small = Workload::new(seed, scale.records, page, large.seq);
        let mut of_large = Workload::new(seed, scale.changes_of_large, page, large.seq);
        for operation in Operation::ALL {
            let small: Vec<Vec<u8>> = small.pages(operation).collect();
            let of_large: Vec<Vec<u8>> = of_large.pages(operation).collect();
            in_turn(round, &mut measured, |one| {
                let pages = match one.beside {
                    Beside::Nothing | Beside::Pending => small.clone(),
                    Beside::Large => of_large.clone(),
                };
                let changes = scale.beside(one.beside).0;
                let cost = one.side.apply(&one.file, pages) / changes as u32;
                one.costs[operation as usize].push(cost);
            });
            check(&measured, scale, operation, Beside::Nothing);
            check(&measured, scale, operation, Beside::Pending);
            // It takes as long as all the rest, so only once.
            if round + 1 == scale.rounds {
                check(&measured, scale, operation, Beside::Large);
            }
        }
    }
    measured
}

/// Both sides hold the same rows, and as many as they should.
fn check(measured: &[Measured], scale: Scale, operation: Operation, beside: Beside) {
    let baseline = match beside {
        Beside::Nothing | Beside::Pending => Beside::Nothing,
        Beside::Large => beside,
    };
    let ours = find(measured, Side::Ours, beside);
    let baseline = find(measured, Side::Baseline, baseline);
    let same = rows::assert_same(&ours.file, &baseline.file);
    let (records, others) = scale.beside(beside);
    let left = match operation {
        Operation::Insert | Operation::Update => records,
        Operation::Delete => 0,
    };
    assert_eq!(same, left + others);
}

impl Measured {
    /// A file as it is before the round.
    fn prepare(&self, large: &Large, scale: Scale) {
        for suffix in ["", "-wal", "-shm"] {
            let mut file = self.file.clone().into_os_string();
            file.push(suffix);
            // There is none before the first round.
            let _ = fs::remove_file(file);
        }
        match (self.side, self.beside) {
            (_, Beside::Nothing) => {}
            (Side::Ours, Beside::Large) => copy(&large.ours, &self.file),
            (Side::Baseline, Beside::Large) => copy(&large.baseline, &self.file),
            (_, Beside::Pending) => {
                let ours = Ours::open(&self.file);
                ours.enqueue(scale.pending);
                ours.close();
            }
        }
    }
}

/// Copies a file to the disk: what is left to be written would hold up the first one to wait for the disk.
fn copy(from: &Path, to: &Path) {
    fs::copy(from, to).unwrap();
    File::open(to).unwrap().sync_all().unwrap();
}

impl Side {
    fn apply(self, file: &Path, pages: Vec<Vec<u8>>) -> Cost {
        match self {
            Self::Ours => {
                let mut ours = Ours::open(file);
                let run = || {
                    for page in pages {
                        ours.apply(page);
                    }
                    ours.close();
                };
                cost(run).1
            }
            Self::Baseline => {
                let mut baseline = Baseline::open(file);
                let run = || {
                    for page in pages {
                        baseline.apply(SCOPE, &page);
                    }
                    drop(baseline);
                };
                cost(run).1
            }
        }
    }
}

fn find(measured: &[Measured], side: Side, beside: Beside) -> &Measured {
    let one = measured
        .iter()
        .find(|one| one.side == side && one.beside == beside);
    one.unwrap()
}

fn report(measured: &[Measured], scale: Scale, operation: Operation, page: usize) {
    let series = |side, beside| &find(measured, side, beside).costs[operation as usize];
    let name = format!("{}/{page}", operation.name());
    println!("\n{name}: microseconds a change, processor (wall)");
    for one in measured {
        let costs = &one.costs[operation as usize];
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        println!(
            "  {:8} beside {:8} {:6.2} ({:.2})",
            format!("{:?}", one.side).to_lowercase(),
            format!("{:?}", one.beside).to_lowercase(),
            micros(costs.cpu()),
            micros(costs.wall()),
        );
    }
    let ours = series(Side::Ours, Beside::Nothing);
    let baseline = series(Side::Baseline, Beside::Nothing);
    let (ours_large, baseline_large) = (
        series(Side::Ours, Beside::Large),
        series(Side::Baseline, Beside::Large),
    );
    lines::ratio(&format!("apply/sqlite/{name}"), ours.over(baseline));
    let pending = series(Side::Ours, Beside::Pending);
    lines::flat(&format!("apply/{name}/pending"), pending.over(ours));
    lines::flat(&format!("apply/{name}/large"), ours_large.over(ours));
    println!(
        "  beside {} others the baseline takes {:.2} times what it took, and the store {:.2} of that",
        scale.others,
        baseline_large.over(baseline),
        ours_large.over(baseline_large),
    );
}
