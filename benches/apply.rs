//! Applying pulled pages: how many changes a second a store takes in.
#![allow(missing_docs, reason = "criterion's macros make undocumented items")]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot be set up has failed"
)]

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures::executor::block_on;
use sync_core::{
    model::{Change, ChangeOp, Cursor, Page, Payload, Schema},
    store::{ApplyRequest, Fence, MemoryStore, Store, Tick},
    time::Timestamp,
    transport::ServerTraits,
};
use sync_sqlite::SqliteStore;
use tempfile::TempDir;

const CHANGES: u32 = 10_000;

/// A change with a random-looking UUID and 250 bytes of JSON.
fn change(n: u32) -> Change {
    let scattered = u128::from(n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    let hex = format!("{scattered:032x}");
    let id = format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    );
    let note = "x".repeat(170);
    let json = format!(r#"{{"id":"{id}","amount_ml":{n:06},"note":"{note}"}}"#);
    Change {
        entity_type: "feed_log".into(),
        entity_id: id.into(),
        op: ChangeOp::Put(Payload::parse(json).unwrap()),
        schema: Schema(1),
        seq: Some(u64::from(n) + 1),
        mutation_id: None,
        overwritten: Vec::new(),
    }
}

fn pages(size: u32) -> Vec<Page> {
    let changes: Vec<Change> = (0..CHANGES).map(change).collect();
    let chunks = changes.chunks(size as usize);
    let last = chunks.len() - 1;
    chunks
        .enumerate()
        .map(|(n, changes)| Page {
            changes: changes.to_vec(),
            next: Cursor::from(n.to_string()),
            has_more: n < last,
            through: changes.last().and_then(|change| change.seq),
            epoch: Some("e".into()),
            verdict_retention: None,
        })
        .collect()
}

async fn open(store: &impl Store) -> Fence {
    store.bind("alice".into()).await.unwrap();
    store.lead("alice".into()).await.unwrap()
}

async fn apply_all(store: &impl Store, fence: Fence, pages: Vec<Page>) {
    let mut from = None;
    let (row, _) = store.scope("baby-1".into()).await.unwrap();
    for page in pages {
        let next = page.next.clone();
        let request = ApplyRequest {
            fence,
            scope: "baby-1".into(),
            generation: row.generation,
            from,
            began: Tick(0),
            now: Timestamp::from_millis(0),
            traits: ServerTraits::default(),
            page,
        };
        store.apply(request).await.unwrap();
        from = Some(next);
    }
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply/insert");
    group.sample_size(10);
    group.throughput(Throughput::Elements(u64::from(CHANGES)));
    for size in [500, 5_000] {
        let pages = pages(size);
        group.bench_function(BenchmarkId::new("memory", size), |bencher| {
            let set_up = || {
                let store = MemoryStore::new();
                let fence = block_on(open(&store));
                (store, fence, pages.clone())
            };
            let run = |(store, fence, pages)| block_on(apply_all(&store, fence, pages));
            bencher.iter_batched(set_up, run, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("sqlite", size), |bencher| {
            let set_up = || {
                let folder = TempDir::new().unwrap();
                let builder = SqliteStore::builder(folder.path().join("bench.sqlite")).inline();
                let store = block_on(builder.open()).unwrap();
                let fence = block_on(open(&store));
                (folder, store, fence, pages.clone())
            };
            let run = |(folder, store, fence, pages): (TempDir, SqliteStore, Fence, Vec<Page>)| {
                block_on(apply_all(&store, fence, pages));
                (folder, store)
            };
            bencher.iter_batched(set_up, run, BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, apply);
criterion_main!(benches);
