//! Enqueueing one edit, over one transaction of record and outbox row.

use std::path::Path;

use benches::{
    Mode, lines,
    measure::{Series, cost, interleave},
    records::{Random, page, payload},
};
use uuid::Uuid;

use crate::{
    PAGE,
    baseline::Baseline,
    each,
    edits::{Kind, Queued},
    ours::{Ours, pragmas},
};

pub(crate) fn run(folder: &Path, mode: Mode) {
    let (rounds, edits) = (mode.pick(9, 1), mode.pick(200, 20));
    let mut random = Random(1);
    let mut pulled: Vec<Uuid> = (0..mode.pick(10_000, 100)).map(|_| random.uuid()).collect();
    let mut ours = Ours::open(&folder.join("store.db"));
    let mut baseline = Baseline::open(&folder.join("baseline.db"));
    for ids in pulled.chunks(PAGE) {
        ours.apply(page(&mut random, ids, ours.seq(), true));
        let records: Vec<(String, String)> = ids
            .iter()
            .map(|id| {
                let payload = payload(&mut random, *id, 0);
                (id.to_string(), payload.as_str().to_owned())
            })
            .collect();
        baseline.fill(&records);
    }
    println!("store:   {}", Ours::pragmas(&folder.join("pragmas.db")));
    println!("by hand: {}", pragmas(&baseline.conn).unwrap());

    let kinds = [
        (Kind::Update, "outbox/enqueue"),
        (Kind::Create, "outbox/enqueue/create"),
        (Kind::Delete, "outbox/enqueue/delete"),
    ];
    for (kind, name) in kinds {
        let batches: Vec<Vec<Queued>> = (0..rounds)
            .map(|_| {
                let of = |_| {
                    let id = match kind {
                        Kind::Create => random.uuid(),
                        Kind::Update | Kind::Delete => pulled.pop().unwrap(),
                    };
                    Queued::new(&mut random, kind, id)
                };
                (0..edits).map(of).collect()
            })
            .collect();
        let (mut our_costs, mut their_costs) = (Series::default(), Series::default());
        let (mut ours_next, mut theirs_next) = (batches.iter(), batches.iter());
        let mut by_us = || {
            let batch = ours_next.next().unwrap();
            let edits = batch.iter().map(Queued::ours).collect();
            our_costs.push(cost(|| ours.enqueue(edits)).1);
        };
        let mut by_hand = || {
            let batch = theirs_next.next().unwrap();
            let run = || {
                batch
                    .iter()
                    .for_each(|edit| baseline.enqueue(&edit.by_hand()))
            };
            their_costs.push(cost(run).1);
        };
        interleave(rounds, &mut [&mut by_us, &mut by_hand]);
        println!(
            "\n{name}: {} by the store, {} by hand; processor (wall)",
            each(&our_costs, edits),
            each(&their_costs, edits)
        );
        lines::ratio(name, our_costs.over(&their_costs));
    }
    assert_eq!(ours.pending(), baseline.queued());
    assert_eq!(ours.records(), baseline.records());
}
