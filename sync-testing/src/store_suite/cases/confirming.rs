//! Pulls over edits: what the view shows, and when a pull has shown what an edit wrote.

use sync_core::{
    model::Version,
    store::{EntryKind, Marks},
    transport::{ServerTraits, Verdict},
};

use crate::store_suite::{
    database::{Database, Device, applied, key, rejected},
    failure::{Outcome, equal, holds},
};

async fn with_a(database: &Database<'_>) -> Outcome<Device> {
    let device = database.open().await?;
    device
        .pull("baby", device.page().put("a", "one", 3)?)
        .await?;
    Ok(device)
}

async fn is(device: &Device, what: &str, word: Option<&str>, marks: Option<Marks>) -> Outcome {
    let found = (device.word("a").await?, device.marks("a").await?);
    equal(what, (found.0.as_deref(), found.1), (word, marks))
}

pub(super) async fn a_pulled_change_does_not_show_over_a_pending_edit(
    database: &Database<'_>,
) -> Outcome {
    let device = with_a(database).await?;
    let edit = device.update("a", "mine").await?;
    device.create("b", "mine").await?;
    let page = device.page().put("a", "theirs", 4)?.put("b", "theirs", 5)?;
    device.pull("baby", page).await?;
    let pending = Some(Marks::PENDING);
    is(&device, "the edited record", Some("mine"), pending).await?;
    equal("b", device.word("b").await?.as_deref(), Some("mine"))?;
    device.pull("baby", device.page().remove("a", 6)).await?;
    equal("a", device.word("a").await?.as_deref(), Some("mine"))?;
    // What the edit was based on stays what the user saw.
    let based_on = device.entry(edit).await?.mutation.base_version;
    equal("its base version", based_on, Some(Version::new("e1", 3)))
}

pub(super) async fn what_was_pulled_under_an_edit_shows_once_the_edit_is_discarded(
    database: &Database<'_>,
) -> Outcome {
    let device = with_a(database).await?;
    let edit = device.update("a", "mine").await?;
    device.send().await?;
    device
        .pull("baby", device.page().put("a", "theirs", 4)?)
        .await?;
    device.answer(edit, rejected()).await?;
    let failed = Some(Marks::FAILED);
    is(&device, "the failed edit", Some("mine"), failed).await?;
    device
        .pull("baby", device.page().put("a", "newer", 5)?)
        .await?;
    is(&device, "the failed edit", Some("mine"), failed).await?;
    let device = database.reopen(device).await?;
    let (dropped, _) = device.store.discard(key("a")).await?;
    equal("the number of discarded edits", dropped.len(), 1)?;
    let none = Some(Marks::default());
    is(&device, "the record", Some("newer"), none).await?;
    let row = device.row("a").await?;
    equal("its number", row.and_then(|row| row.seq), Some(5))
}

pub(super) async fn an_own_mutation_in_a_page_settles_it(database: &Database<'_>) -> Outcome {
    let device = with_a(database).await?;
    let first = device.update("a", "two").await?;
    device.send().await?;
    // The answer is lost, and the server's own words differ from what was sent.
    let second = device.update("a", "three").await?;
    let page = device.page().put("a", "two, merged", 4)?.by(first);
    let outcome = device.pull("baby", page).await?;
    equal("what the page has settled", outcome.confirmed, [first])?;
    equal("what is left", device.order().await?, [second])?;
    let pending = Some(Marks::PENDING);
    is(&device, "the later edit", Some("three"), pending).await?;
    // Its answer comes after all.
    device.answer(first, applied(4)).await?;
    equal("what is left", device.order().await?, [second])
}

pub(super) async fn an_applied_edit_shows_until_its_change_comes(
    database: &Database<'_>,
) -> Outcome {
    let device = with_a(database).await?;
    let edit = device.update("a", "two").await?;
    device.send().await?;
    device.answer(edit, applied(9)).await?;
    let acknowledged = Some(Marks::ACKNOWLEDGED);
    let what = "the view before its change";
    for seq in 4..8 {
        device
            .pull("baby", device.page().put("b", "other", seq)?.more())
            .await?;
        is(&device, what, Some("two"), acknowledged).await?;
    }
    device
        .pull("baby", device.page().put("a", "theirs", 8)?)
        .await?;
    is(&device, what, Some("two"), acknowledged).await?;
    let device = database.reopen(device).await?;
    is(&device, what, Some("two"), acknowledged).await?;
    device
        .pull("baby", device.page().put("a", "two", 9)?.by(edit).more())
        .await?;
    let none = Some(Marks::default());
    is(&device, "the view after it", Some("two"), none).await?;
    equal("what is left", device.order().await?, [])
}

pub(super) async fn an_applied_edit_leaves_when_a_drained_pull_has_passed_it(
    database: &Database<'_>,
) -> Outcome {
    let device = with_a(database).await?;
    let edit = device.update("a", "two").await?;
    device.send().await?;
    device.answer(edit, applied(9)).await?;
    let acknowledged = Some(Marks::ACKNOWLEDGED);
    let page = device.page().through(8);
    device.pull("baby", page).await?;
    is(
        &device,
        "the view before its version",
        Some("two"),
        acknowledged,
    )
    .await?;
    let page = device.page().put("b", "other", 11)?.more();
    device.pull("baby", page).await?;
    let what = "the view while there is more";
    is(&device, what, Some("two"), acknowledged).await?;
    // Another's delete came later, and is forgotten: nothing of the record is brought any more.
    device.pull("baby", device.page().through(12)).await?;
    equal("what is left", device.order().await?, [])?;
    let none = Some(Marks::default());
    is(&device, "the view after it", Some("one"), none).await
}

pub(super) async fn an_applied_delete_does_not_come_back(database: &Database<'_>) -> Outcome {
    let device = with_a(database).await?;
    let edit = device.update("a", "two").await?;
    device.send().await?;
    let delete = device.delete("a").await?;
    device.send().await?;
    device.answer(edit, applied(5)).await?;
    device.answer(delete, applied(6)).await?;
    equal("the view", device.word("a").await?, None)?;
    let page = device.page().put("a", "two", 5)?.by(edit).more();
    device.pull("baby", page).await?;
    equal(
        "the view after the edit's change",
        device.word("a").await?,
        None,
    )?;
    equal("what is left", device.order().await?, [delete])?;
    let page = device.page().remove("a", 6).by(delete);
    device.pull("baby", page).await?;
    equal(
        "the view after the delete's change",
        device.word("a").await?,
        None,
    )?;
    equal("what is left", device.order().await?, [])
}

pub(super) async fn without_versions_an_applied_edit_waits_for_a_pull_that_began_after_its_answer(
    database: &Database<'_>,
) -> Outcome {
    let mut device = database.open().await?;
    device.traits = ServerTraits {
        idempotent: false,
        ordered: false,
        ..ServerTraits::default()
    };
    device
        .pull("baby", device.page().put("a", "one", 1)?.bare())
        .await?;
    let edit = device.update("a", "two").await?;
    device.send().await?;
    let began_before = device.ask("baby").await?;
    let verdict = Verdict::Applied {
        version: None,
        record: None,
    };
    device.answer(edit, verdict).await?;
    let page = device.page().put("b", "other", 1)?.bare();
    device.apply(began_before, page).await?;
    let acknowledged = Some(Marks::ACKNOWLEDGED);
    let what = "the view after a pull that began before";
    is(&device, what, Some("two"), acknowledged).await?;
    equal(
        "its state",
        device.states("a").await?,
        [EntryKind::Acknowledged],
    )?;
    let page = device.page().put("a", "two", 1)?.bare();
    device.pull("baby", page).await?;
    let none = Some(Marks::default());
    let what = "the view after a pull that began after";
    is(&device, what, Some("two"), none).await?;
    holds(device.order().await?.is_empty(), "the edit has left")
}
