//! Pulling a scope anew beside the live records, and sweeping out what the server no longer has.

use sync_core::{
    model::{Op, Schema, Scope, Version},
    store::{ApplyOutcome, EntryState, Marks},
    transport::{ServerRecord, Verdict},
};

use crate::store_suite::{
    Failure,
    database::{Database, Device, applied, rejected, state},
    failure::{Outcome, equal, holds},
    held::Held,
};

/// A database with records `a`, `b`, `c`, … of one word each, pulled in one page.
async fn with(database: &Database<'_>, ids: &[&str]) -> Outcome<Device> {
    let device = database.open().await?;
    let mut page = device.page();
    for (id, seq) in ids.iter().zip(1..) {
        page = page.put(id, "one", seq)?;
    }
    device.pull("baby", page).await?;
    Ok(device)
}

/// Ids that are kept.
async fn kept(device: &Device) -> Outcome<Vec<String>> {
    let rows = Held::read(&*device.store).await?.records;
    let ids = rows.iter().map(|row| row.key.entity_id.to_string());
    Ok(ids.collect())
}

pub(super) async fn a_resync_keeps_the_records_and_the_edits(database: &Database<'_>) -> Outcome {
    let device = with(database, &["a", "b", "c"]).await?;
    let failed = device.update("a", "failed").await?;
    device.send().await?;
    device.answer(failed, rejected()).await?;
    device.update("b", "pending").await?;
    let before = Held::read(&*device.store).await?;
    let touched = device.resync("baby", false).await?;
    holds(touched.is_empty(), "a resync touches no view by itself")?;
    let device = database.reopen(device).await?;
    let after = Held::read(&*device.store).await?;
    holds(
        before.records == after.records,
        "a resync keeps the records",
    )?;
    holds(before.entries == after.entries, "a resync keeps the edits")?;

    // They are there, beside what the new pull brings, until the sweep.
    device
        .pull("baby", device.page().put("b", "two", 9)?.more())
        .await?;
    let expected = [("a", "failed"), ("b", "pending"), ("c", "one")];
    for (id, word) in expected {
        equal(id, device.word(id).await?.as_deref(), Some(word))?;
    }
    let count = device.store.count(Scope::from("baby"), None).await?;
    equal("the number of records", count, 3)
}

pub(super) async fn a_resync_begins_with_no_cursor_and_a_new_generation(
    database: &Database<'_>,
) -> Outcome {
    let device = with(database, &["a"]).await?;
    device
        .pull("toy", device.page().put("a", "one", 1)?)
        .await?;
    let (before, other) = (device.scope("baby").await?, device.scope("toy").await?);
    device.resync("baby", false).await?;
    let device = database.reopen(device).await?;
    let row = device.scope("baby").await?;
    equal("the cursor", row.cursor, None)?;
    let raised = row.generation > before.generation;
    holds(raised, "a resync raises the scope's generation")?;
    holds(row.resync.is_some(), "the resync is under way")?;
    let untouched = device.scope("toy").await? == other;
    holds(untouched, "another scope is as it was")?;

    let page = device.page().put("a", "two", 4)?;
    holds(device.pull("baby", page).await?.sweep, "a sweep is to come")?;
    device.sweep_all("baby").await?;
    let row = device.scope("baby").await?;
    equal("the resync after the sweep", row.resync, None)?;
    equal("the state", device.word("a").await?.as_deref(), Some("two"))
}

pub(super) async fn a_sweep_removes_only_what_the_resync_did_not_bring(
    database: &Database<'_>,
) -> Outcome {
    let device = with(database, &["a", "b", "c", "d", "e"]).await?;
    let notes = device.page().put_as("note", "a", state("one")?, 6);
    let notes = notes.put_as("note", "c", state("one")?, 7);
    device.pull("baby", notes).await?;
    device
        .pull("toy", device.page().put("c", "one", 1)?)
        .await?;
    device.update("d", "edited").await?;
    device.create("f", "created").await?;
    device.resync("baby", false).await?;
    // One comes as it was, one has changed, one is new; the second page brings a note.
    let page = device.page().put("a", "one", 1)?.put("b", "two", 8)?;
    device.pull("baby", page.put("g", "new", 9)?.more()).await?;
    let page = device.page().put_as("note", "a", state("one")?, 6);
    device.pull("baby", page.through(9)).await?;
    device.sweep_all("baby").await?;
    equal(
        "the records",
        kept(&device).await?,
        ["a", "b", "d", "f", "g", "c"],
    )?;
    let notes = Held::read_types(&*device.store, &["note"]).await?.records;
    let notes: Vec<_> = notes.iter().map(|row| row.key.entity_id.as_str()).collect();
    equal("the notes", notes, ["a"])?;
    // What is gone beneath an edit is told by its mark.
    let marks = Marks::PENDING.with(Marks::REVIVED);
    equal("the marks of d", device.marks("d").await?, Some(marks))?;
    equal("d", device.word("d").await?.as_deref(), Some("edited"))
}

pub(super) async fn a_sweep_goes_in_steps_of_its_limit(database: &Database<'_>) -> Outcome {
    let ids = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let device = with(database, &ids).await?;
    device.resync("baby", false).await?;
    let page = device.page().put("e", "one", 5)?;
    device.pull("baby", page.through(10)).await?;
    let mut left = ids.len();
    for _ in 0..=ids.len() {
        let step = device.sweep("baby", 3).await?;
        let now = kept(&device).await?.len();
        let removed = left.saturating_sub(now);
        holds(removed <= 3, "a step removes no more than its limit")?;
        left = now;
        if step.done {
            return equal("what is left", kept(&device).await?, ["e"]);
        }
    }
    Err(Failure::broken("a sweep should come to its end"))
}

pub(super) async fn a_sweep_goes_on_after_reopening(database: &Database<'_>) -> Outcome {
    let mut device = with(database, &["a", "b", "c", "d", "e", "f"]).await?;
    device.resync("baby", false).await?;
    device
        .pull("baby", device.page().put("c", "one", 3)?.more())
        .await?;
    // The pull goes on where it was, too.
    device = database.reopen(device).await?;
    let page = device.page().put("f", "one", 6)?;
    device.pull("baby", page.through(6)).await?;
    for _ in 0..10 {
        device = database.reopen(device).await?;
        if device.sweep("baby", 2).await?.done {
            equal("what is left", kept(&device).await?, ["c", "f"])?;
            device = database.reopen(device).await?;
            let row = device.scope("baby").await?;
            return equal("the resync after the sweep", row.resync, None);
        }
    }
    Err(Failure::broken(
        "a sweep should go on where it stopped, and come to its end",
    ))
}

pub(super) async fn a_sweep_without_a_resync_does_nothing(database: &Database<'_>) -> Outcome {
    let device = with(database, &["a", "b"]).await?;
    let before = Held::read(&*device.store).await?;
    for scope in ["baby", "never seen"] {
        let step = device.sweep(scope, 10).await?;
        holds(step.done, "there is nothing to sweep")?;
        holds(step.touched.is_empty(), "no view is touched")?;
    }
    let after = Held::read(&*device.store).await?;
    holds(before == after, "such a sweep changes nothing")
}

pub(super) async fn a_sweep_before_the_pull_has_drained_removes_nothing(
    database: &Database<'_>,
) -> Outcome {
    let device = with(database, &["a", "b"]).await?;
    device.resync("baby", false).await?;
    device
        .pull("baby", device.page().put("c", "one", 4)?.more())
        .await?;
    let before = Held::read(&*device.store).await?;
    let step = device.sweep("baby", 10).await?;
    holds(step.done, "there is nothing to sweep yet")?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "such a sweep changes nothing")?;
    equal("the records", kept(&device).await?, ["a", "b", "c"])
}

pub(super) async fn a_new_epoch_puts_applied_edits_back_at_their_old_place(
    database: &Database<'_>,
) -> Outcome {
    let device = with(database, &["a"]).await?;
    let first = device.update("a", "two").await?;
    device.send().await?;
    device.answer(first, applied(9)).await?;
    let second = device.create("b", "later").await?;
    let elsewhere = device.create("toy/a", "elsewhere").await?;
    let page = device.page().put("a", "one", 3)?.epoch("e2");
    let asked = device.ask("baby").await?;
    let outcome = device.apply(asked, page).await?;
    equal("the outcome", outcome, ApplyOutcome::OtherEpoch)?;
    device.resync("baby", true).await?;
    let device = database.reopen(device).await?;
    equal("the view", device.word("a").await?.as_deref(), Some("two"))?;
    let entry = device.entry(first).await?;
    let sent = matches!(&entry.state, EntryState::Pending(p) if p.sent_at.is_some());
    holds(sent, "the edit is in the outbox again, marked as sent")?;

    // Until a page has shown which history the server is in, nothing of the scope goes.
    equal("what goes first", device.send().await?, [elsewhere])?;
    device
        .pull("baby", device.page().put("a", "one", 1)?.epoch("e2"))
        .await?;
    let all = [first, second, elsewhere];
    equal("the order in which all go", device.send().await?, all)?;
    device.sweep_all("baby").await?;
    equal("the view", device.word("a").await?.as_deref(), Some("two"))?;
    let row = device.scope("baby").await?;
    let epoch = row.epoch().map(|epoch| epoch.as_str());
    equal("the epoch", epoch, Some("e2"))
}

pub(super) async fn a_new_epoch_puts_an_edit_back_with_the_payload_as_sent(
    database: &Database<'_>,
) -> Outcome {
    let device = with(database, &["a"]).await?;
    let edit = device.update("a", "mine").await?;
    device.send().await?;
    let version = Some(Version::new("e1", 9));
    let merged = ServerRecord {
        payload: Some(state("merged")?),
        schema: Schema(1),
        version: version.clone(),
    };
    let record = Some(merged);
    device
        .answer(edit, Verdict::Applied { version, record })
        .await?;
    equal(
        "the view",
        device.word("a").await?.as_deref(),
        Some("merged"),
    )?;
    device.resync("baby", true).await?;
    let device = database.reopen(device).await?;
    equal("the view", device.word("a").await?.as_deref(), Some("mine"))?;
    device.pull("baby", device.page().epoch("e2")).await?;
    let taken = device.take().await?.entries;
    let ops: Vec<_> = taken.iter().map(|taken| &taken.entry.mutation.op).collect();
    equal("what goes", ops, [&Op::Update(state("mine")?)])
}
