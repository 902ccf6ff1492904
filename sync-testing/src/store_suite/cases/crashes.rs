//! What a crash leaves: all that was returned. A crash, here, is that every handle goes without a farewell.

use sync_core::{
    model::{Generation, Op, Page, Scope},
    store::{ApplyOutcome, EntryKind, Settlement},
};

use crate::store_suite::{
    database::{Database, Device, applied, conflict, edit, key, rejected, state},
    failure::{Outcome, equal, holds},
    held::Held,
};

/// Crashes, opens the database again, and demands that it holds what it held.
async fn crash(database: &Database<'_>, device: Device, after: &str) -> Outcome<Device> {
    let before = Held::read(&*device.store).await?;
    drop(device);
    let device = database.open().await?;
    holds(
        Held::read(&*device.store).await? == before,
        &format!("a crash after {after} changes nothing"),
    )?;
    Ok(device)
}

pub(super) async fn edits_survive_a_crash(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    device.create("a", "one").await?;
    let device = crash(database, device, "a create").await?;
    // It was never sent: what follows merges into it.
    device.update("a", "two").await?;
    let device = crash(database, device, "an edit that was merged").await?;
    let together = vec![
        edit(key("b"), Op::Create(state("one")?)),
        edit(key("toy/c"), Op::Create(state("one")?)),
    ];
    device.enqueue(together).await?;
    let device = crash(database, device, "edits enqueued together").await?;
    device.enqueue(vec![edit(key("toy/c"), Op::Delete)]).await?;
    let device = crash(database, device, "a create and its delete").await?;

    let waiting = device.entries().await?;
    let waiting: Vec<_> = waiting
        .into_iter()
        .map(|e| (e.mutation.key, e.mutation.op))
        .collect();
    let expected = [
        (key("a"), Op::Create(state("two")?)),
        (key("b"), Op::Create(state("one")?)),
    ];
    equal("the outbox", waiting, expected)
}

pub(super) async fn what_was_sent_is_known_to_be_sent_after_a_crash(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let sent = device.create("a", "sent").await?;
    device.take().await?;
    drop(device);

    let device = database.open().await?;
    let later = device.update("a", "later").await?;
    holds(
        sent != later,
        "an edit is not merged into one that was sent before the crash",
    )?;
    let taken = device.take().await?;
    let taken: Vec<_> = taken
        .entries
        .into_iter()
        .map(|t| t.entry.mutation)
        .collect();
    equal(
        "what goes out",
        taken
            .iter()
            .map(|m| (m.id, m.op.clone()))
            .collect::<Vec<_>>(),
        [
            (sent, Op::Create(state("sent")?)),
            (later, Op::Update(state("later")?)),
        ],
    )?;
    crash(database, device, "a batch was taken").await?;
    Ok(())
}

pub(super) async fn answers_survive_a_crash(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let applies = device.create("a", "mine").await?;
    let conflicts = device.create("b", "mine").await?;
    let fails = device.create("c", "mine").await?;
    device.take().await?;
    let answers = vec![
        Settlement::Answer(applies, applied(1)),
        Settlement::Answer(conflicts, conflict(Some(state("theirs")?), 2)),
        Settlement::Answer(fails, rejected()),
    ];
    device.settle(answers.clone()).await?;
    let device = crash(database, device, "answers were settled").await?;
    equal("what is sent again", device.send().await?, [])?;
    equal(
        "the applied edit",
        device.states("a").await?,
        [EntryKind::Acknowledged],
    )?;
    equal(
        "the refused edit",
        device.states("c").await?,
        [EntryKind::Failed],
    )?;
    equal(
        "the record in conflict",
        device.view("b").await?.as_deref(),
        Some(state("theirs")?.as_str()),
    )?;
    // The answers come again: their request was repeated.
    device.settle(answers).await?;
    let conflicts = device.store.conflicts(None).await?.len();
    equal("the number of conflicts", conflicts, 1)?;
    crash(database, device, "answers were settled again").await?;
    Ok(())
}

pub(super) async fn a_page_and_its_cursor_survive_a_crash_together(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let sent = device.create("c", "mine").await?;
    device.take().await?;
    let first = device.page().put("a", "one", 1)?.put("b", "one", 2)?.more();
    let (first, asked) = (Page::from(first), device.ask("baby").await?);
    device.apply(asked.clone(), first.clone()).await?;

    let device = crash(database, device, "a page").await?;
    let next = device.ask("baby").await?;
    equal("the next cursor", next.from.as_ref(), Some(&first.next))?;
    let again = device.apply(asked, first).await?;
    equal("the page again", again, ApplyOutcome::Stale)?;
    let second = device.page().remove("a", 3).put("c", "mine", 4)?.by(sent);
    device.pull("baby", second).await?;
    let device = crash(database, device, "a page that settled an edit").await?;
    equal("the record that was removed", device.view("a").await?, None)?;
    equal(
        "the one that was not",
        device.view("b").await?.as_deref(),
        Some(state("one")?.as_str()),
    )?;
    equal("the entries", device.entries().await?, [])
}

pub(super) async fn a_resync_goes_on_after_a_crash_at_each_of_its_steps(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let mut page = device.page();
    for (seq, id) in (1..).zip(["a", "b", "c", "d", "e"]) {
        page = page.put(id, "old", seq)?;
    }
    device.pull("baby", page).await?;
    device.update("b", "edited").await?;
    let scope = || Scope::from("baby");
    device.store.resync(scope(), false, device.fence).await?;
    let device = crash(database, device, "a resync has begun").await?;
    let page = device.page().put("c", "new", 6)?.more();
    device.pull("baby", page).await?;
    let device = crash(database, device, "a page of a resync").await?;
    let page = device.page().put("e", "new", 7)?;
    let applied = device.pull("baby", page).await?;
    holds(applied.sweep, "the last page of a resync asks for a sweep")?;

    let mut device = crash(database, device, "the last page of a resync").await?;
    let mut done = false;
    // A step for each record, and one that finds none.
    for _ in 0..8 {
        done = device.store.sweep(scope(), 1, device.fence).await?.done;
        device = crash(database, device, "a step of a sweep").await?;
        if done {
            break;
        }
    }
    holds(done, "a sweep comes to its end")?;
    let mut left = Vec::new();
    for id in ["a", "b", "c", "d", "e"] {
        left.extend(device.view(id).await?);
    }
    let (edited, new) = (state("edited")?, state("new")?);
    equal(
        "what is left",
        left,
        [edited.as_str(), new.as_str(), new.as_str()],
    )
}

pub(super) async fn what_the_app_decides_survives_a_crash(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let mut refused = Vec::new();
    for id in ["a", "b"] {
        refused.push(Settlement::Answer(
            device.create(id, "mine").await?,
            rejected(),
        ));
    }
    let lost = device.create("c", "mine").await?;
    device.take().await?;
    device.settle(refused).await?;
    device
        .answer(lost, conflict(Some(state("theirs")?), 1))
        .await?;

    device.store.retry(key("a"), device.stamp()).await?;
    let device = crash(database, device, "a retry").await?;
    equal(
        "the retried edit",
        device.states("a").await?,
        [EntryKind::Pending],
    )?;
    device.store.discard(key("b")).await?;
    let device = crash(database, device, "a discard").await?;
    equal("the discarded record", device.view("b").await?, None)?;
    device.store.acknowledge_conflicts(vec![lost]).await?;
    let device = crash(database, device, "a conflict was acknowledged").await?;
    equal("the conflicts", device.store.conflicts(None).await?, [])?;

    let (baby, at) = (Scope::from("baby"), device.now());
    device.store.purge(baby.clone(), at, device.fence).await?;
    let device = crash(database, device, "a purge").await?;
    let revoked = device.store.revoked().await?;
    equal("the number of revoked mutations", revoked.len(), 1)?;
    let ids = revoked.iter().map(|r| r.mutation.id).collect();
    device.store.acknowledge_revoked(ids).await?;
    let device = crash(database, device, "a revoked mutation was acknowledged").await?;
    let (purged, _) = device.store.scope(baby.clone()).await?;
    device.store.wipe(false).await?;
    drop(device);
    let device = database.open().await?;
    let (wiped, _) = device.store.scope(baby).await?;
    holds(
        wiped.generation > purged.generation && purged.generation > Generation(1),
        "purge and wipe raise the generation for good",
    )
}

pub(super) async fn a_crash_sets_no_counter_back(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let first = device.fence;
    let earlier = device.create("a", "gone").await?;
    let entries = device.entries().await?;
    let seq = entries.first().map(|entry| entry.seq);
    device.take().await?;
    device.answer(earlier, applied(1)).await?;
    let (_, tick) = device.store.scope(Scope::from("baby")).await?;
    let page = device.page().put("a", "gone", 1)?.by(earlier);
    device.pull("baby", page).await?;
    equal("the entries", device.entries().await?, [])?;
    drop(device);

    let device = database.open().await?;
    holds(
        device.fence > first,
        "the token of a lead is higher than those before the crash",
    )?;
    // The wall clock stands before the one of the first edit, and no entry is left.
    device.set_clock(-1_000_000);
    let later = device.create("b", "new").await?;
    let entries = device.entries().await?;
    holds(
        entries.first().map(|entry| entry.seq) > seq,
        "a sequence number is higher than those before the crash",
    )?;
    holds(
        later > earlier,
        "an id is higher than those before the crash",
    )?;
    device.take().await?;
    device.answer(later, applied(2)).await?;
    let (_, ticked) = device.store.scope(Scope::from("baby")).await?;
    holds(
        ticked > tick,
        "a settlement counts on from those before the crash",
    )
}
