//! Emptying the database: when that is refused, and what nothing is left of.

use sync_core::{
    error::StoreErrorKind,
    model::{Account, MutationId, Op},
    store::ApplyOutcome,
};

use crate::store_suite::{
    database::{Database, Device, account, applied, conflict, edit, key, rejected, state},
    failure::{Outcome, equal, fails, holds},
    held::Held,
};

/// A database with a record `a` and an edit of it that was sent.
async fn with_a_sent_edit(database: &Database<'_>) -> Outcome<(Device, MutationId)> {
    let device = database.open().await?;
    device
        .pull("baby", device.page().put("a", "one", 1)?)
        .await?;
    let edit = device.update("a", "mine").await?;
    device.send().await?;
    Ok((device, edit))
}

async fn is_refused(device: &Device, while_there_is: &str) -> Outcome {
    let before = Held::read(&*device.store).await?;
    let what = format!("a wipe while there is {while_there_is}");
    let call = device.store.wipe(false).await;
    fails(&what, call, &StoreErrorKind::Invalid)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "a refused wipe changes nothing")?;
    // The database is still bound, and still led by the same engine.
    device.take().await?;
    Ok(())
}

/// Wipes without force, and demands that nothing of the records is left.
async fn wipes(device: &Device) -> Outcome {
    device.store.wipe(false).await?;
    let held = Held::read(&*device.store).await?;
    equal("the number of scopes", held.scopes.len(), 0)?;
    equal("the record", device.word("a").await?, None)
}

pub(super) async fn a_wipe_is_refused_while_an_edit_is_not_synced(
    database: &Database<'_>,
) -> Outcome {
    let (device, _) = with_a_sent_edit(&database.another("pending")).await?;
    is_refused(&device, "a pending edit").await?;

    let (device, edit) = with_a_sent_edit(&database.another("failed")).await?;
    device.answer(edit, rejected()).await?;
    is_refused(&device, "a failed edit").await?;

    let (device, edit) = with_a_sent_edit(&database.another("acknowledged")).await?;
    device.answer(edit, applied(2)).await?;
    is_refused(&device, "an acknowledged edit").await?;
    let page = device.page().put("a", "mine", 2)?;
    device.pull("baby", page).await?;
    wipes(&device).await
}

pub(super) async fn a_wipe_is_refused_while_the_app_has_something_to_acknowledge(
    database: &Database<'_>,
) -> Outcome {
    let (device, lost) = with_a_sent_edit(&database.another("conflict")).await?;
    let theirs = state("theirs")?;
    device.answer(lost, conflict(Some(theirs), 2)).await?;
    let page = device.page().put("a", "theirs", 2)?;
    device.pull("baby", page).await?;
    equal("the edits that are left", device.order().await?, [])?;
    is_refused(&device, "a conflict").await?;
    device.store.acknowledge_conflicts(vec![lost]).await?;
    wipes(&device).await?;

    let (device, edit) = with_a_sent_edit(&database.another("revoked")).await?;
    device.purge("baby").await?;
    is_refused(&device, "a revoked edit").await?;
    device.store.acknowledge_revoked(vec![edit]).await?;
    wipes(&device).await
}

pub(super) async fn a_forced_wipe_leaves_nothing(database: &Database<'_>) -> Outcome {
    let (device, lost) = with_a_sent_edit(database).await?;
    device.answer(lost, conflict(None, 2)).await?;
    device.create("toy/a", "revoked").await?;
    device.purge("toy").await?;
    device.create("b", "pending").await?;
    device.resync("baby", false).await?;
    device.store.wipe(true).await?;
    let store = database.store().await?;
    let held = Held::read(&*store).await?;
    equal("the number of scopes", held.scopes.len(), 0)?;
    equal("the number of edits", held.entries.len(), 0)?;
    equal("the counts", held.counts, Default::default())?;
    equal("the number of conflicts", held.conflicts.len(), 0)?;
    equal("the number of revoked edits", held.revoked.len(), 0)?;
    for id in ["a", "b", "toy/a"] {
        equal(id, device.row(id).await?, None)?;
    }
    // The next one finds a database like a new one.
    let device = database.open().await?;
    equal("what there is to send", device.send().await?, [])?;
    let edit = device.create("a", "new").await?;
    equal("what there is to send", device.send().await?, [edit])
}

pub(super) async fn a_wipe_unbinds_the_database(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let another = Account::from("another");
    let bound = StoreErrorKind::OtherAccount { bound: account() };
    let call = device.store.bind(another.clone()).await;
    fails("binding to another account before", call, &bound)?;
    device.store.wipe(false).await?;
    let call = device.store.lead(account()).await;
    fails(
        "leading while it is not bound",
        call,
        &StoreErrorKind::Invalid,
    )?;
    let create = edit(key("a"), Op::Create(state("mine")?));
    let call = device.enqueue(vec![create]).await;
    fails(
        "enqueueing while it is not bound",
        call,
        &StoreErrorKind::Invalid,
    )?;

    let store = database.store().await?;
    let call = store.bind(another.clone()).await;
    equal("whether another account may have it", call.is_ok(), true)?;
    let bound = StoreErrorKind::OtherAccount { bound: another };
    let call = store.lead(account()).await;
    fails("leading for the former account", call, &bound)
}

pub(super) async fn a_wipe_ends_the_lead(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let asked = device.ask("baby").await?;
    let page = device.page().put("a", "one", 1)?;
    device.store.wipe(false).await?;
    device.store.bind(account()).await?;
    let call = device.apply(asked, page).await;
    fails("a page for the lead before", call, &StoreErrorKind::Fenced)?;
    let call = device.take().await;
    fails("a batch for the lead before", call, &StoreErrorKind::Fenced)?;
    let fence = device.store.lead(account()).await?;
    holds(fence > device.fence, "the fence goes on rising")
}

pub(super) async fn a_page_on_its_way_is_stale_after_a_wipe(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    // Nothing is kept of one scope, something of the other.
    device
        .pull("toy", device.page().put("a", "one", 1)?)
        .await?;
    device.resync("toy", false).await?;
    let on_their_way = [device.ask("baby").await?, device.ask("toy").await?];
    device.store.wipe(false).await?;
    let device = database.reopen(device).await?;
    for asked in on_their_way {
        let page = device.page().put("a", "another account's", 4)?;
        let outcome = device.apply(asked, page).await?;
        equal("the outcome", outcome, ApplyOutcome::Stale)?;
    }
    equal("baby/a", device.word("baby/a").await?, None)?;
    equal("toy/a", device.word("toy/a").await?, None)
}
