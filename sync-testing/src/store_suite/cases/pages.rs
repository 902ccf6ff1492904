//! Applying pages: which of them count, and what they leave behind.

use std::time::Duration;

use sync_core::{
    model::{MutationId, Page, Scope},
    store::{ApplyOutcome, Conflict, Resolution, ScopeRow},
    time::Timestamp,
};

use crate::store_suite::{
    Failure,
    database::{ACCOUNT, Database, Device, key, state},
    failure::{Outcome, equal, holds},
    held::Held,
};

pub(super) async fn a_page_brings_its_records_and_its_cursor_together(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "one", 3)?.put("b", "two", 4)?;
    let page = Page::from(page);
    let next = page.next.clone();
    device.pull("baby", page).await?;
    let row = device.scope("baby").await?;
    equal("the cursor", row.cursor.as_ref(), Some(&next))?;
    equal("a's state", device.word("a").await?.as_deref(), Some("one"))?;
    equal("b's state", device.word("b").await?.as_deref(), Some("two"))?;

    let device = database.reopen(device).await?;
    let row = device.scope("baby").await?;
    equal("the cursor, reopened", row.cursor.as_ref(), Some(&next))?;
    let found = device.word("a").await?;
    equal("a's state, reopened", found.as_deref(), Some("one"))?;
    let found = device.word("b").await?;
    equal("b's state, reopened", found.as_deref(), Some("two"))
}

pub(super) async fn a_repeated_page_is_stale_and_changes_nothing(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let asked = device.ask("baby").await?;
    let page = Page::from(device.page().put("a", "one", 3)?);
    let first = device.apply(asked.clone(), page.clone()).await?;
    holds(
        matches!(first, ApplyOutcome::Applied(_)),
        "the page is applied the first time",
    )?;
    let before = Held::read(&*device.store).await?;
    let again = device.apply(asked.clone(), page.clone()).await?;
    equal("the second outcome", again, ApplyOutcome::Stale)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "a stale page changes nothing")?;

    device
        .pull("baby", device.page().put("a", "two", 4)?)
        .await?;
    let again = device.apply(asked, page).await?;
    equal("the outcome after a later page", again, ApplyOutcome::Stale)?;
    equal("the state", device.word("a").await?.as_deref(), Some("two"))
}

pub(super) async fn a_page_that_was_asked_from_another_cursor_is_stale(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let from_nothing = device.ask("baby").await?;
    device
        .pull("baby", device.page().put("a", "one", 3)?)
        .await?;
    let from_first = device.ask("baby").await?;
    device
        .pull("baby", device.page().put("a", "two", 4)?)
        .await?;
    let before = Held::read(&*device.store).await?;
    for (asked, what) in [
        (from_nothing, "the outcome of a page from the start"),
        (from_first, "the outcome of a page from an older cursor"),
    ] {
        let page = device.page().put("a", "other", 9)?;
        equal(what, device.apply(asked, page).await?, ApplyOutcome::Stale)?;
    }
    let after = Held::read(&*device.store).await?;
    holds(before == after, "stale pages change nothing")
}

pub(super) async fn a_page_of_another_generation_is_stale(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    // From the start, as the next pull will ask again: only the generation tells the two apart.
    let asked = device.ask("baby").await?;
    device.resync("baby", false).await?;
    let before = Held::read(&*device.store).await?;
    let page = device.page().put("a", "old", 3)?;
    let outcome = device.apply(asked, page).await?;
    equal("the outcome", outcome, ApplyOutcome::Stale)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "a stale page changes nothing")?;
    device
        .pull("baby", device.page().put("a", "new", 4)?)
        .await?;
    equal("the state", device.word("a").await?.as_deref(), Some("new"))
}

pub(super) async fn a_page_of_another_epoch_changes_nothing(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    device
        .pull("baby", device.page().put("a", "one", 3)?)
        .await?;
    let before = Held::read(&*device.store).await?;
    let asked = device.ask("baby").await?;
    let page = device.page().put("a", "restored", 2)?.epoch("e2");
    let outcome = device.apply(asked, page).await?;
    equal("the outcome", outcome, ApplyOutcome::OtherEpoch)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "a page of another epoch changes nothing")?;
    // It is no reason to refuse the scope's own history.
    device
        .pull("baby", device.page().put("a", "two", 4)?)
        .await?;
    equal("the state", device.word("a").await?.as_deref(), Some("two"))
}

pub(super) async fn a_page_of_ten_thousand_changes_is_applied_whole(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    // Ids in an order that is not the page's.
    let id = |n: u64| format!("r{:05}", n * 7919 % 10_007);
    let mut page = device.page();
    for n in 0..9_000 {
        page = page.put(&id(n), &n.to_string(), n + 1)?;
    }
    for n in 0..1_000 {
        page = page.remove(&id(n), 9_001 + n);
    }
    device.pull("baby", page).await?;
    let device = database.reopen(device).await?;
    let count = device.store.count(Scope::from("baby"), None).await?;
    equal("the number of records", count, 8_000)?;
    for n in [0, 999] {
        equal("a removed record", device.word(&id(n)).await?, None)?;
    }
    for n in [1_000, 4_998, 8_999] {
        let found = device.word(&id(n)).await?;
        equal("a record's state", found, Some(n.to_string()))?;
    }
    let row = device.scope("baby").await?;
    equal("the position scanned", row.through, Some(10_000))
}

pub(super) async fn of_a_record_that_comes_twice_in_a_page_the_last_change_stands(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    device.create("b", "edited").await?;
    let page = device.page().put("a", "one", 3)?.put("b", "one", 4)?;
    let page = page.put("c", "other", 5)?;
    let page = page.put("a", "two", 6)?.put("b", "two", 7)?;
    device.pull("baby", page).await?;
    let row = device.row("a").await?;
    equal(
        "the record",
        row.map(|row| (row.payload, row.seq)),
        Some((state("two")?, Some(6))),
    )?;
    equal(
        "the edit",
        device.word("b").await?.as_deref(),
        Some("edited"),
    )?;
    let listed = Held::read(&*device.store).await?.records.len();
    equal("the number of records", listed, 3)
}

pub(super) async fn a_delete_and_a_create_in_one_page_stand_in_their_order(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    device
        .pull("baby", device.page().put("a", "one", 1)?)
        .await?;
    let page = device.page().remove("a", 2).put("b", "one", 3)?;
    let page = page.put("a", "two", 4)?.remove("b", 5);
    device.pull("baby", page).await?;
    let found = device.word("a").await?;
    equal("what was created again", found.as_deref(), Some("two"))?;
    equal("what was deleted last", device.word("b").await?, None)
}

pub(super) async fn a_deleted_record_comes_back_with_a_later_page(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    device
        .pull("baby", device.page().put("a", "one", 1)?)
        .await?;
    device.pull("baby", device.page().remove("a", 2)).await?;
    equal("what was deleted", device.word("a").await?, None)?;
    device
        .pull("baby", device.page().put("a", "two", 3)?)
        .await?;
    let found = device.word("a").await?;
    equal("what was created again", found.as_deref(), Some("two"))?;
    device.pull("baby", device.page().remove("a", 4)).await?;
    equal("what was deleted again", device.word("a").await?, None)
}

pub(super) async fn a_remove_of_what_is_not_there_leaves_nothing(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let page = device.page().remove("a", 1).put("b", "one", 2)?;
    device.pull("baby", page.remove("c", 3)).await?;
    equal("what was never there", device.row("a").await?, None)?;
    equal("what came", device.word("b").await?.as_deref(), Some("one"))?;
    let count = device.store.count(Scope::from("baby"), None).await?;
    equal("the number of records", count, 1)
}

pub(super) async fn pages_of_two_scopes_with_the_same_ids_do_not_mix(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "baby's", 1)?.put("b", "baby's", 2)?;
    device.pull("baby", page).await?;
    let page = device.page().put("a", "toy's", 1)?.put("b", "toy's", 2)?;
    device.pull("toy", page).await?;
    device.pull("toy", device.page().remove("b", 3)).await?;
    device.update("toy/a", "edited").await?;
    let expected = [
        ("baby/a", Some("baby's")),
        ("baby/b", Some("baby's")),
        ("toy/a", Some("edited")),
        ("toy/b", None),
    ];
    for (id, word) in expected {
        equal(id, device.word(id).await?.as_deref(), word)?;
    }
    let (baby, toy) = (device.scope("baby").await?, device.scope("toy").await?);
    holds(baby.cursor != toy.cursor, "each scope has its own cursor")?;
    equal("baby's position scanned", baby.through, Some(2))?;
    equal("toy's position scanned", toy.through, Some(3))
}

pub(super) async fn what_a_page_says_of_its_scope_is_kept(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let retention = Duration::from_secs(3_600);
    let page = device.page().put("a", "one", 3)?.through(7).more();
    device
        .pull("baby", page.keeping_verdicts(retention))
        .await?;
    let row = device.scope("baby").await?;
    let said = |row: &ScopeRow| (row.pulled, row.through, row.drained, row.verdict_retention);
    let expected = (true, Some(7), None, Some(retention));
    equal("what is kept of the first page", said(&row), expected)?;
    equal("its end", row.synced_at, None)?;

    device.pull("baby", device.page().through(9)).await?;
    let device = database.reopen(device).await?;
    let row = device.scope("baby").await?;
    let expected = (true, Some(9), Some(9), Some(retention));
    equal("what is kept of the last page", said(&row), expected)?;
    holds(row.synced_at.is_some(), "the end of the pull is kept")?;
    let epoch = row.epoch().map(|epoch| epoch.as_str());
    equal("the epoch", epoch, Some("e1"))?;
    let listed = device.store.scopes().await?;
    holds(listed == [row], "the list of scopes shows the same row")
}

pub(super) async fn an_overwritten_edit_becomes_a_conflict_once(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let stranger = |n| MutationId::following(None, Timestamp::from_millis(5), n);
    let (own, anothers) = (stranger(1), stranger(2));
    // A first pull has nothing to tell: what it brings is older than this database.
    device.pull("baby", device.page().through(3)).await?;
    let page = device.page().put("a", "theirs", 5)?;
    let page = page.overwrote(own, ACCOUNT, state("mine")?, 5);
    let page = page.overwrote(anothers, "another", state("another's")?, 5);
    let applied = device.pull("baby", page.more()).await?;
    let conflict = the_one(device.store.conflicts(None).await?)?;
    holds(
        applied.conflicts == [conflict.clone()],
        "the page reports the conflict that is kept",
    )?;
    equal("the conflict's mutation", conflict.mutation_id, own)?;
    equal("the conflict's record", &conflict.key, &key("a"))?;
    let sides = (conflict.mine, conflict.theirs, conflict.resolution);
    let expected = (
        Some(state("mine")?),
        Some(state("theirs")?),
        Resolution::Overwritten,
    );
    equal("the conflict's sides", sides, expected)?;

    // What supersedes the winner carries the mark on, in the same pull and in a later one.
    tell_again(&device, own, 7).await?;
    the_one(device.store.conflicts(None).await?)?;
    device.store.acknowledge_conflicts(vec![own]).await?;
    let device = database.reopen(device).await?;
    tell_again(&device, own, 9).await?;
    let conflicts = device.store.conflicts(None).await?;
    equal("what is left to tell", conflicts.len(), 0)
}

async fn tell_again(device: &Device, own: MutationId, seq: u64) -> Outcome {
    let page = device.page().put("a", "newer", seq)?;
    let page = page.overwrote(own, ACCOUNT, state("mine")?, 5);
    let applied = device.pull("baby", page).await?;
    equal("the page's conflicts", applied.conflicts.len(), 0)
}

fn the_one(conflicts: Vec<Conflict>) -> Outcome<Conflict> {
    match <[Conflict; 1]>::try_from(conflicts) {
        Ok([conflict]) => Ok(conflict),
        Err(conflicts) => Err(Failure::broken(format!(
            "there should be one conflict; there are {}",
            conflicts.len()
        ))),
    }
}
