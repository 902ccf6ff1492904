//! Many edits in one call, over the same number in calls of few: what one costs must not grow with how many there are.

use std::path::Path;

use benches::{
    Mode, lines,
    measure::{Series, cost, in_turn},
    records::Random,
};

use crate::{
    each,
    edits::{Kind, Queued},
    ours::Ours,
};

/// How many a call has on the side of few.
const FEW: usize = 1_000;

pub(crate) fn run(folder: &Path, mode: Mode) {
    let (many, rounds) = (mode.pick(50_000, 2 * FEW), mode.pick(5, 1));
    let mut random = Random(4);
    let mut sides = [many, FEW].map(|call| {
        let file = folder.join(format!("together-{call}.db"));
        (call, Ours::open(&file), Series::default())
    });
    for round in 0..rounds {
        let creates = (0..many).map(|_| {
            let id = random.uuid();
            Queued::new(&mut random, Kind::Create, id)
        });
        let creates: Vec<Queued> = creates.collect();
        in_turn(round, &mut sides, |(call, ours, series)| {
            let (_, spent) = cost(|| {
                for creates in creates.chunks(*call) {
                    ours.enqueue_together(creates.iter().map(Queued::ours));
                }
            });
            series.push(spent);
        });
    }
    let [(_, _, at_once), (_, _, in_calls)] = &sides;
    println!(
        "\noutbox/enqueue_together: {} an edit in a call of {many}, {} in calls of {FEW}; processor (wall)",
        each(at_once, many),
        each(in_calls, many),
    );
    lines::flat("outbox/enqueue_together", at_once.over(in_calls));
}
