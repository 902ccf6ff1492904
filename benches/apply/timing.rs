//! The same in wall time, with its spread: `cargo bench --bench apply -- timing`.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use tempfile::TempDir;

use crate::{
    ours::Ours,
    workload::{Operation, Workload},
};

const CHANGES: usize = 10_000;

pub(crate) fn run() {
    let mut criterion = Criterion::default();
    insert(&mut criterion);
    criterion.final_summary();
}

fn insert(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply/insert");
    group.sample_size(10);
    group.throughput(Throughput::Elements(CHANGES as u64));
    for page in [500, 5_000] {
        let mut workload = Workload::new(1, CHANGES, page, 0);
        let pages: Vec<Vec<u8>> = workload.pages(Operation::Insert).collect();
        group.bench_function(BenchmarkId::new("sqlite", page), |bencher| {
            let set_up = || {
                let folder = TempDir::new().unwrap();
                let ours = Ours::open(&folder.path().join("bench.db"));
                (folder, ours, pages.clone())
            };
            let run = |(folder, mut ours, pages): (TempDir, Ours, Vec<Vec<u8>>)| {
                for page in pages {
                    ours.apply(page);
                }
                (folder, ours)
            };
            bencher.iter_batched(set_up, run, BatchSize::PerIteration);
        });
    }
    group.finish();
}
