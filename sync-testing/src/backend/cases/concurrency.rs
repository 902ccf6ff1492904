//! Gap safety: what a reader sees while many write. This is what a server with serial ids fails.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use futures::future::{join, join_all};
use sync_core::{
    model::{Cursor, EntityId, Scope},
    transport::Verdict,
};

use super::{
    super::{
        failure::{Broken, Outcome, equal, holds},
        session::{Log, MANY, word},
        trial::{Trial, over},
    },
    Case, case,
};

/// The reader's pages are short, so that many of their borders fall between writers.
const PAGE: u32 = 7;

pub(super) const CASES: &[Case] = &[
    case!(
        "gap safety",
        every_mutation_of_many_writers_is_pulled_exactly_once,
        "a reader that follows from page to page while all write gets each acknowledged mutation once"
    ),
    case!(
        "gap safety",
        batches_and_single_mutations_at_once_leave_no_gap,
        "a long batch that commits late and short ones that overtake it: the reader gets each mutation once"
    ),
    case!(
        "gap safety",
        a_reader_and_a_pull_from_the_start_agree_after_a_race_for_one_record,
        "after many edits of one record at once, whoever followed and whoever starts anew hold the same state of it"
    ),
];

async fn every_mutation_of_many_writers_is_pulled_exactly_once(trial: &Trial<'_>) -> Outcome {
    storm(trial, |_| 1).await
}

async fn batches_and_single_mutations_at_once_leave_no_gap(trial: &Trial<'_>) -> Outcome {
    storm(trial, |writer| if writer % 2 == 0 { 1 } else { 10 }).await
}

/// Writers on one scope, each of records of its own, and a reader that follows them.
async fn storm(trial: &Trial<'_>, batch: fn(usize) -> usize) -> Outcome {
    let scope = trial.scope().await?;
    let from = trial.me().end(&scope).await?;
    let (writers, edits) = (trial.target.writers, trial.target.edits);
    let writing = AtomicUsize::new(writers);
    let writes = (0..writers).map(|writer| {
        let (scope, writing) = (&scope, &writing);
        async move {
            let acknowledged = write(trial, scope, edits, batch(writer)).await;
            writing.fetch_sub(1, Ordering::SeqCst);
            acknowledged
        }
    });
    let (written, log) = join(join_all(writes), follow(trial, &scope, from, &writing)).await;
    let mut times: HashMap<EntityId, usize> = HashMap::new();
    for acknowledged in written {
        times.extend(acknowledged?.into_iter().map(|id| (id, 0)));
    }
    let log = log?;
    let mut strange = 0;
    for change in &log.changes {
        match times.get_mut(&change.entity_id) {
            Some(times) => *times += 1,
            None => strange += 1,
        }
    }
    let all = times.len();
    let missing = times.values().filter(|times| **times == 0).count();
    let repeated = times.values().filter(|times| **times > 1).count();
    let pages = log.sizes.len();
    holds(missing + repeated + strange == 0, || {
        format!(
            "of {all} acknowledged mutations of {writers} writers, {missing} never came, {repeated} came more than \
             once, {strange} changes nobody had made, in {pages} pages"
        )
    })?;
    Ok(format!(
        "{all} mutations of {writers} writers, each once, in {pages} pages"
    ))
}

/// Pushes new records, and returns those that were acknowledged: all of them.
async fn write(
    trial: &Trial<'_>,
    scope: &Scope,
    edits: usize,
    batch: usize,
) -> Outcome<Vec<EntityId>> {
    let mut acknowledged = Vec::new();
    for _ in 0..edits.div_ceil(batch) {
        acknowledged.extend(trial.fill(scope, batch).await?);
    }
    Ok(acknowledged)
}

/// Pulls on and on while anybody writes, then to the end.
async fn follow(
    trial: &Trial<'_>,
    scope: &Scope,
    mut cursor: Cursor,
    writing: &AtomicUsize,
) -> Outcome<Log> {
    let mut all = Log {
        changes: Vec::new(),
        next: cursor.clone(),
        sizes: Vec::new(),
    };
    loop {
        let last_round = writing.load(Ordering::SeqCst) == 0;
        let log = trial.me().drain(scope, Some(cursor), PAGE).await?;
        all.changes.extend(log.changes);
        all.sizes.extend(log.sizes);
        cursor = log.next;
        if last_round {
            all.next = cursor;
            return Ok(all);
        }
    }
}

async fn a_reader_and_a_pull_from_the_start_agree_after_a_race_for_one_record(
    trial: &Trial<'_>,
) -> Outcome {
    let scope = trial.scope().await?;
    let me = trial.me();
    let from = me.end(&scope).await?;
    let id = trial.id();
    let version = me.apply_one(&trial.create(&scope, &id, "first")).await?;
    trial.a_moment().await;
    let writers = trial.target.writers;
    let writing = AtomicUsize::new(writers);
    let edits = (0..writers).map(|writer| {
        let (scope, id, writing, version) = (&scope, &id, &writing, version.as_ref());
        async move {
            let edit = over(
                trial.update(scope, id, &format!("writer {writer}")),
                version,
            );
            let verdict = trial.me().push_one(&edit).await;
            writing.fetch_sub(1, Ordering::SeqCst);
            verdict
        }
    });
    let (verdicts, followed) = join(join_all(edits), follow(trial, &scope, from, &writing)).await;
    let mut applied = 0;
    for verdict in verdicts {
        match verdict? {
            Verdict::Applied { .. } => applied += 1,
            Verdict::Conflict { .. } => {}
            other => {
                return Err(Broken::new(format!(
                    "{} for an edit of the race",
                    word(&other)
                )));
            }
        }
    }
    holds(applied > 0, || "nobody won".to_owned())?;
    let followed = followed?;
    let anew = me.drain(&scope, None, MANY).await?;
    let state = |log: &Log| trial.text_put(log.of(&id).last().copied());
    equal(
        "what the reader holds at the end",
        state(&followed),
        state(&anew),
    )?;
    holds(state(&anew).as_deref() != Some("first"), || {
        "an edit was applied, and the log still has the state before".to_owned()
    })?;
    Ok(format!(
        "{writers} edits at once, {applied} of them applied, and one state"
    ))
}
