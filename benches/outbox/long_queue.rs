//! Enqueueing, taking and settling with 100,000 edits pending, over the same with none.
//!
//! Both databases hold the same records; in one, each of the first 100,000 has an edit that waits in the same scope.

use std::path::Path;

use benches::{
    Mode, lines,
    measure::{Series, cost, in_turn},
    records::{Random, page},
};
use uuid::Uuid;

use crate::{
    PAGE, each,
    edits::{Kind, Queued},
    ours::Ours,
};

/// How many edits are enqueued by one call to fill the queue.
const TOGETHER: usize = 500;

/// A database, and what the calls on it cost.
struct Side {
    ours: Ours,
    enqueue: Series,
    take: Series,
    settle: Series,
}

pub(crate) fn run(folder: &Path, mode: Mode) {
    let waiting = mode.pick(100_000, 1_000);
    let (rounds, batches) = (mode.pick(9, 1), 2);
    let edits = batches * 100;
    let mut random = Random(2);
    let ids: Vec<Uuid> = (0..waiting + rounds * edits)
        .map(|_| random.uuid())
        .collect();
    let (waiting, edited) = ids.split_at(waiting);
    let mut sides = [
        Side::fill(&folder.join("empty.db"), &ids, &[]),
        Side::fill(&folder.join("long.db"), &ids, waiting),
    ];
    for (round, ids) in edited.chunks(edits).enumerate() {
        let edits = ids
            .iter()
            .map(|id| Queued::new(&mut random, Kind::Update, *id));
        let edits: Vec<Queued> = edits.collect();
        in_turn(round, &mut sides, |side| side.round(&edits, batches));
    }
    let [none, many] = &sides;
    assert_eq!(
        (none.ours.pending(), many.ours.pending()),
        (0, waiting.len() as u64)
    );
    let calls = [
        ("outbox/enqueue", &none.enqueue, &many.enqueue),
        ("outbox/take", &none.take, &many.take),
        ("outbox/settle", &none.settle, &many.settle),
    ];
    for (name, none, many) in calls {
        println!(
            "\n{name}: {} an edit with none pending, {} with {}; processor (wall)",
            each(none, edits),
            each(many, edits),
            waiting.len(),
        );
        lines::flat(name, many.over(none));
    }
}

impl Side {
    fn fill(file: &Path, ids: &[Uuid], waiting: &[Uuid]) -> Self {
        let mut ours = Ours::open(file);
        let mut random = Random(3);
        for ids in ids.chunks(PAGE) {
            ours.apply(page(&mut random, ids, ours.seq(), true));
        }
        for ids in waiting.chunks(TOGETHER) {
            let edits = ids
                .iter()
                .map(|id| Queued::new(&mut random, Kind::Update, *id));
            ours.enqueue_together(edits.map(|edit| edit.ours()));
        }
        Self {
            ours,
            enqueue: Series::default(),
            take: Series::default(),
            settle: Series::default(),
        }
    }

    /// Enqueues edits, and pushes as many from the head of the queue.
    fn round(&mut self, edits: &[Queued], batches: usize) {
        let ours = &mut self.ours;
        let edits = edits.iter().map(Queued::ours).collect();
        self.enqueue.push(cost(|| ours.enqueue(edits)).1);
        let (mut take, mut settle) = (Series::default(), Series::default());
        for _ in 0..batches {
            let (batch, spent) = cost(|| ours.take());
            take.push(spent);
            settle.push(cost(|| ours.settle(&batch)).1);
        }
        self.take.push(take.total());
        self.settle.push(settle.total());
        ours.confirm();
    }
}
