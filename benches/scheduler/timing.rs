//! Criterion's figures of the same: wall time, with the spread that it has.

use criterion::{BatchSize, Criterion, Throughput};

use crate::day::Recording;

const EVENTS: usize = 10_000;

pub(crate) fn run() {
    let mut criterion = Criterion::default();
    let mut group = criterion.benchmark_group("scheduler");
    group.throughput(Throughput::Elements(EVENTS as u64));
    group.bench_function("events", |bencher| {
        let recording = Recording::of_day(EVENTS);
        bencher.iter_batched(|| recording.clone(), Recording::play, BatchSize::LargeInput);
    });
    group.finish();
    criterion.final_summary();
}
