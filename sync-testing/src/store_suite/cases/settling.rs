//! What the server's answers do.

use std::time::Duration;

use sync_core::{
    model::{MutationId, Op, Schema, Scope, Version},
    store::{
        Acknowledged, Counts, EntryKind, EntryState, FailReason, Marks, SettleReport,
        SettleRequest, Settlement, Tick,
    },
    transport::{ServerRecord, ServerTraits, Verdict},
};

use crate::store_suite::{
    Failure,
    database::{Database, Device, applied, conflict, ids, rejected, state},
    failure::{Outcome, equal, holds, succeeds},
    held::Held,
};

/// In milliseconds.
const HOUR: i64 = 60 * 60 * 1000;

const RETRY: Verdict = Verdict::Retry {
    after: None,
    resync: false,
};

pub(super) async fn an_applied_mutation_leaves_the_outbox_and_stays_in_the_view(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "pulled", 3)?;
    device.pull("baby", page).await?;
    let id = device.update("a", "mine").await?;
    device.send().await?;
    let report = device.answer(id, applied(5)).await?;
    equal("what was applied", report.applied, vec![id])?;
    holds(!report.touched.is_empty(), "a view was touched")?;
    let device = database.reopen(device).await?;
    let counts = Counts {
        acknowledged: 1,
        ..Counts::default()
    };
    equal("the counts", device.store.counts(None).await?, counts)?;
    equal("what is sent", device.send().await?, vec![])?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("mine"))?;
    let marks = device.marks("a").await?;
    equal("the marks", marks, Some(Marks::ACKNOWLEDGED))?;
    let version = acknowledged(&device, id).await?.version;
    equal("its version", version, Some(Version::new("e1", 5)))?;
    // Only a pull lets it go.
    let page = device.page().put("a", "mine", 5)?.by(id);
    device.pull("baby", page).await?;
    equal("the entries", device.order().await?, vec![])?;
    let (word, marks) = (device.word("a").await?, device.marks("a").await?);
    equal("the view", word.as_deref(), Some("mine"))?;
    equal("the marks", marks, Some(Marks::default()))
}

pub(super) async fn the_record_that_an_answer_carries_is_shown_in_the_place_of_what_was_sent(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let id = device.create("a", "mine").await?;
    device.send().await?;
    let record = ServerRecord {
        payload: Some(state("merged")?),
        schema: Schema(3),
        version: Some(Version::new("e1", 5)),
    };
    let verdict = Verdict::Applied {
        version: record.version.clone(),
        record: Some(record.clone()),
    };
    device.answer(id, verdict).await?;
    let device = database.reopen(device).await?;
    let shown = device.row("a").await?.map(|row| (row.payload, row.schema));
    equal("the view", shown, Some((state("merged")?, Schema(3))))?;
    let op = device.entry(id).await?.mutation.op;
    equal("what was sent", op, Op::Create(state("mine")?))?;
    let carried = acknowledged(&device, id).await?.carried;
    equal("what the answer carried", carried, Some(record))
}

pub(super) async fn an_answer_for_an_unknown_mutation_does_nothing(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let unsent = device.create("a", "one").await?;
    let unknown = MutationId::following(Some(unsent), device.now(), 1);
    let before = Held::read(&*device.store).await?;
    for (what, settlement) in [
        ("an answer", Settlement::Answer(unknown, applied(1))),
        ("a refusal", Settlement::Answer(unknown, rejected())),
        (
            "setting aside",
            Settlement::SetAside(unknown, FailReason::Poison, "why".to_owned()),
        ),
        ("forgetting", Settlement::Forgotten(unknown)),
        (
            "what was never sent",
            Settlement::Answer(unsent, applied(1)),
        ),
    ] {
        let report = succeeds(what, device.settle(vec![settlement]).await)?;
        equal(what, report, SettleReport::default())?;
    }
    let after = Held::read(&*device.store).await?;
    holds(before == after, "an unknown mutation's answer does nothing")
}

pub(super) async fn a_settlement_that_is_repeated_does_nothing(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let mut answers = Vec::new();
    for (id, verdict) in [
        ("applied", applied(4)),
        ("rejected", rejected()),
        ("conflict", conflict(Some(state("theirs")?), 5)),
    ] {
        answers.push(Settlement::Answer(
            device.create(id, "mine").await?,
            verdict,
        ));
    }
    device.send().await?;
    device.settle(answers.clone()).await?;
    let before = (Held::read(&*device.store).await?, tick(&device).await?);
    let device = database.reopen(device).await?;
    let report = device.settle(answers).await?;
    equal("the report", report, SettleReport::default())?;
    let after = (Held::read(&*device.store).await?, tick(&device).await?);
    holds(before == after, "a repeated settlement does nothing")
}

pub(super) async fn the_answers_of_a_batch_are_settled_together(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let theirs = Some(state("theirs")?);
    let held = device.create("toy/a", "mine").await?;
    let put_off = device.create("retry", "mine").await?;
    let lost = device.create("conflict", "mine").await?;
    let forbidden = device.create("forbidden", "mine").await?;
    let refused = device.create("ark/a", "mine").await?;
    device.send().await?;
    let answers = vec![
        Settlement::Answer(held, applied(4)),
        Settlement::Answer(put_off, RETRY),
        Settlement::Answer(lost, conflict(theirs, 5)),
        Settlement::Answer(forbidden, Verdict::Forbidden),
        Settlement::Answer(refused, rejected()),
    ];
    let report = device.settle(answers).await?;
    equal("what was applied", report.applied, vec![held])?;
    let conflicts: Vec<_> = report.conflicts.iter().map(|c| c.mutation_id).collect();
    equal("what lost a conflict", conflicts, vec![lost])?;
    let expected = vec![
        (forbidden, FailReason::Forbidden),
        (refused, FailReason::Rejected),
    ];
    equal("what failed", report.failed, expected)?;
    let device = database.reopen(device).await?;
    for (id, kind) in [
        ("toy/a", EntryKind::Acknowledged),
        ("retry", EntryKind::Pending),
        ("conflict", EntryKind::Acknowledged),
        ("forbidden", EntryKind::Failed),
        ("ark/a", EntryKind::Failed),
    ] {
        equal(id, device.states(id).await?, vec![kind])?;
    }
    equal("what is sent again", device.send().await?, vec![put_off])
}

pub(super) async fn edits_made_while_a_push_is_in_flight_are_not_settled_by_its_answer(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let first = device.create("a", "one").await?;
    let batch = device.send().await?;
    equal("what is in flight", batch, vec![first])?;
    let second = device.update("a", "two").await?;
    let other = device.create("b", "new").await?;
    let third = device.update("a", "three").await?;
    let report = device.answer(first, applied(1)).await?;
    equal("what was applied", report.applied, vec![first])?;
    let kinds = vec![
        EntryKind::Acknowledged,
        EntryKind::Pending,
        EntryKind::Pending,
    ];
    equal("the record's entries", device.states("a").await?, kinds)?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("three"))?;
    let device = database.reopen(device).await?;
    let next = device.send().await?;
    equal("what is sent next", next, vec![second, other, third])?;
    // Nor does a pull of the first take the later ones away.
    let page = device.page().put("a", "one", 1)?.by(first);
    device.pull("baby", page).await?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("three"))
}

pub(super) async fn the_tick_rises_with_a_settlement_and_tells_pulls_apart(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let id = device.create("a", "mine").await?;
    device.send().await?;
    let began_before = device.ask("baby").await?;
    let without_version = Verdict::Applied {
        version: None,
        record: None,
    };
    device.answer(id, without_version).await?;
    let device = database.reopen(device).await?;
    let after = tick(&device).await?;
    holds(after > began_before.began, "a settlement raises the tick")?;
    let stamped = acknowledged(&device, id).await?.tick;
    equal("the tick of what was settled", stamped, after)?;
    // It may have been read before the server had the mutation.
    device.apply(began_before, device.page()).await?;
    equal("the entries", device.order().await?, vec![id])?;
    device.pull("baby", device.page()).await?;
    equal("the entries", device.order().await?, vec![])
}

pub(super) async fn how_long_the_server_keeps_verdicts_is_kept_with_the_scopes_of_its_answers(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let id = device.create("a", "one").await?;
    device.create("toy/a", "elsewhere").await?;
    device.send().await?;
    let kept = Some(Duration::from_secs(60 * 60));
    let request = SettleRequest {
        verdict_retention: kept,
        ..device.settling(vec![Settlement::Answer(id, RETRY)])
    };
    device.store.settle(request).await?;
    let device = database.reopen(device).await?;
    for (scope, expected) in [("baby", kept), ("toy", None)] {
        let (row, _) = device.store.scope(Scope::from(scope)).await?;
        equal(scope, row.verdict_retention, expected)?;
    }
    device.set_clock(2 * HOUR);
    let taken = device.take().await?;
    let expected = vec![(Scope::from("baby"), id)];
    equal("what is forgotten", taken.forgotten, expected)
}

pub(super) async fn what_the_server_has_forgotten_ends_as_outcome_unknown(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let unseen = device.create("unseen", "mine").await?;
    let seen = device.create("toy/seen", "mine").await?;
    device.send().await?;
    device.set_clock(400 * 24 * HOUR);
    // The scopes are pulled to their ends; one pull shows what became of the mutation.
    device.pull("baby", device.page()).await?;
    let page = device.page().put("seen", "mine", 4)?.by(seen);
    device.pull("toy", page).await?;
    let forgotten = vec![Settlement::Forgotten(unseen), Settlement::Forgotten(seen)];
    let report = device.settle(forgotten).await?;
    let expected = vec![(unseen, FailReason::OutcomeUnknown)];
    equal("what failed", report.failed, expected)?;
    let device = database.reopen(device).await?;
    equal("the entries", device.order().await?, vec![unseen])?;
    let marks = device.marks("unseen").await?;
    equal("the marks", marks, Some(Marks::FAILED))?;
    let (word, pulled) = (device.word("unseen").await?, device.word("toy/seen").await?);
    equal("what is unknown", word.as_deref(), Some("mine"))?;
    equal("what was seen", pulled.as_deref(), Some("mine"))
}

pub(super) async fn a_refusal_by_a_server_without_verdicts_waits_for_a_pull_that_began_after_it(
    database: &Database<'_>,
) -> Outcome {
    let device = without_verdicts(database).await?;
    let id = device.create("a", "mine").await?;
    doubt(&device, id, rejected()).await?;
    let device = database.reopen(device).await?;
    let taken = device.take().await?;
    equal("what is sent", ids(&taken), vec![])?;
    let baby = Scope::from("baby");
    holds(taken.waiting.contains(&baby), "the scope waits for a pull")?;
    let now = tick(&device).await?;
    // A pull that began before the refusal says nothing about it.
    let early = Tick(now.0.saturating_sub(1));
    let report = device
        .settle(vec![Settlement::Judge(baby.clone(), early)])
        .await?;
    equal("an early judgement", report, SettleReport::default())?;
    device.pull("baby", device.page()).await?;
    let device = database.reopen(device).await?;
    let report = device.settle(vec![Settlement::Judge(baby, now)]).await?;
    let expected = vec![(id, FailReason::Rejected)];
    equal("what failed", report.failed, expected)?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("mine"))
}

pub(super) async fn a_doubted_create_whose_record_was_pulled_since_was_applied(
    database: &Database<'_>,
) -> Outcome {
    let device = without_verdicts(database).await?;
    let id = device.create("a", "mine").await?;
    doubt(&device, id, rejected()).await?;
    let began = tick(&device).await?;
    // Somebody else has changed it already.
    let page = device.page().put("a", "theirs", 4)?;
    device.pull("baby", page).await?;
    let word = device.word("a").await?;
    equal("the view before", word.as_deref(), Some("mine"))?;
    let device = database.reopen(device).await?;
    let judge = Settlement::Judge(Scope::from("baby"), began);
    let report = device.settle(vec![judge]).await?;
    equal("what was applied", report.applied, vec![id])?;
    equal("the entries", device.order().await?, vec![])?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("theirs"))
}

pub(super) async fn a_doubted_conflict_that_a_pull_bears_out_keeps_both_sides(
    database: &Database<'_>,
) -> Outcome {
    let device = without_verdicts(database).await?;
    let page = device.page().put("a", "pulled", 3)?;
    device.pull("baby", page).await?;
    let id = device.update("a", "mine").await?;
    doubt(&device, id, conflict(Some(state("theirs")?), 6)).await?;
    equal("the conflicts", device.store.conflicts(None).await?, vec![])?;
    let device = database.reopen(device).await?;
    let began = tick(&device).await?;
    let page = device.page().put("a", "theirs", 6)?;
    device.pull("baby", page).await?;
    let judge = Settlement::Judge(Scope::from("baby"), began);
    device.settle(vec![judge]).await?;
    let conflicts = device.store.conflicts(None).await?.into_iter();
    let sides: Vec<_> = conflicts
        .map(|c| (c.mutation_id, c.mine, c.theirs))
        .collect();
    let both = (id, Some(state("mine")?), Some(state("theirs")?));
    equal("the conflicts", sides, vec![both])?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("theirs"))
}

/// A device of a server that does not repeat its verdicts.
async fn without_verdicts(database: &Database<'_>) -> Outcome<Device> {
    let mut device = database.open().await?;
    device.traits = ServerTraits {
        idempotent: false,
        ordered: false,
        ..ServerTraits::default()
    };
    Ok(device)
}

/// Sends a mutation twice; the first answer is lost, the second refuses what may have been applied.
async fn doubt(device: &Device, id: MutationId, verdict: Verdict) -> Outcome {
    device.send().await?;
    device.send().await?;
    let report = device.answer(id, verdict).await?;
    let expected = SettleReport {
        doubted: vec![(Scope::from("baby"), id)],
        ..SettleReport::default()
    };
    equal("what a doubted refusal does", report, expected)
}

async fn acknowledged(device: &Device, id: MutationId) -> Outcome<Acknowledged> {
    match device.entry(id).await?.state {
        EntryState::Acknowledged(acknowledged) => Ok(acknowledged),
        other => Err(Failure::broken(format!(
            "an entry should be acknowledged, and is {other:?}"
        ))),
    }
}

async fn tick(device: &Device) -> Outcome<Tick> {
    Ok(device.ask("baby").await?.began)
}
