//! The scheduler: how many events a second it takes in.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sync_core::{
    model::Scope,
    scheduler::{Event, Scheduler, Settings},
    time::Time,
};

const EVENTS: u64 = 1_000;

fn scheduler(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scheduler");
    group.throughput(Throughput::Elements(EVENTS));
    group.bench_function("events", |bencher| {
        let mut scheduler = Scheduler::new(Settings::default(), 1);
        scheduler.handle(Time::from_millis(0), Event::Started);
        for n in 0..10 {
            let scope = Scope::from(format!("baby-{n}"));
            scheduler.handle(Time::from_millis(0), Event::Activated(scope));
        }
        // Some are in flight and never end: what comes in meanwhile is remembered, and nothing else.
        while scheduler.poll_action().is_some() {}
        let mut now = 0;
        bencher.iter(|| {
            for n in 0..EVENTS {
                now += 1;
                let event = match n % 4 {
                    0 => Event::Enqueued,
                    1 => Event::Poked(Scope::from("baby-1")),
                    2 => Event::Timer,
                    _ => Event::Visible(n % 8 < 4),
                };
                scheduler.handle(Time::from_millis(now), event);
                while scheduler.poll_action().is_some() {}
                std::hint::black_box(scheduler.next_deadline());
            }
        });
    });
    group.finish();
}

criterion_group!(benches, scheduler);
criterion_main!(benches);
