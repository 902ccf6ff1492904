//! Purging a scope to which access was lost.

use sync_core::{
    model::{MutationId, Scope},
    store::{ApplyOutcome, Counts, Revoked},
};

use crate::store_suite::{
    database::{Database, Device, applied, conflict, rejected, state},
    failure::{Outcome, equal, holds},
    held::Held,
};

/// One record pulled, one edit of another pending.
async fn fill(device: &Device, scope: &str) -> Outcome<MutationId> {
    device
        .pull(scope, device.page().put("a", "one", 1)?)
        .await?;
    device.create(&format!("{scope}/b"), "mine").await
}

/// All that is held but for one scope.
async fn beside(device: &Device, scope: &str) -> Outcome<Held> {
    let mut held = Held::read(&*device.store).await?;
    held.scopes.retain(|row| row.scope.as_str() != scope);
    held.entries
        .retain(|entry| entry.mutation.key.scope.as_str() != scope);
    held.records.retain(|row| row.key.scope.as_str() != scope);
    held.counts = Counts::default();
    held.revoked.clear();
    Ok(held)
}

fn ids(revoked: &[Revoked]) -> Vec<MutationId> {
    revoked.iter().map(|revoked| revoked.mutation.id).collect()
}

pub(super) async fn a_purge_of_one_scope_leaves_the_others_as_they_were(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    for scope in ["ba", "baby", "baby2", "toy"] {
        fill(&device, scope).await?;
    }
    let before = beside(&device, "baby").await?;
    let purged = device.purge("baby").await?;
    equal("the number of revoked mutations", purged.revoked, 1)?;
    let device = database.reopen(device).await?;
    let after = beside(&device, "baby").await?;
    holds(before == after, "other scopes are as they were")?;

    let row = device.scope("baby").await?;
    equal("the cursor", row.cursor, None)?;
    equal("whether it was ever pulled", row.pulled, false)?;
    equal("the position scanned", row.through, None)?;
    equal("the epoch", row.epochs.len(), 0)?;
    let scope = Scope::from("baby");
    let count = device.store.count(scope.clone(), None).await?;
    equal("the number of records", count, 0)?;
    let counts = device.store.counts(Some(scope)).await?;
    equal("the counts", counts, Counts::default())?;
    equal("a", device.word("baby/a").await?, None)?;
    equal("b", device.word("baby/b").await?, None)
}

pub(super) async fn a_page_on_its_way_is_stale_after_a_purge(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    // Asked from the start, as the next one will be: only the generation tells them apart.
    let asked = device.ask("baby").await?;
    let before = device.scope("baby").await?.generation;
    device.purge("baby").await?;
    let device = database.reopen(device).await?;
    let raised = device.scope("baby").await?.generation > before;
    holds(raised, "a purge raises the generation")?;
    let page = device.page().put("a", "one", 1)?;
    let outcome = device.apply(asked, page).await?;
    equal("the outcome", outcome, ApplyOutcome::Stale)?;
    equal("what it brought", device.word("a").await?, None)?;

    fill(&device, "baby").await?;
    let asked = device.ask("baby").await?;
    device.purge("baby").await?;
    let page = device.page().put("a", "two", 2)?;
    let outcome = device.apply(asked, page).await?;
    equal("the outcome", outcome, ApplyOutcome::Stale)?;
    equal("what it brought", device.word("a").await?, None)
}

pub(super) async fn a_purge_hands_over_what_was_not_synced(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    device
        .pull("baby", device.page().put("a", "one", 1)?)
        .await?;
    let acknowledged = device.update("a", "two").await?;
    let failed = device.create("b", "failed").await?;
    device.send().await?;
    let pending = device.update("a", "three").await?;
    device.answer(acknowledged, applied(5)).await?;
    device.answer(failed, rejected()).await?;
    let other = device.create("toy/a", "elsewhere").await?;
    let unsynced = [
        device.entry(acknowledged).await?,
        device.entry(failed).await?,
        device.entry(pending).await?,
    ];
    let purged = device.purge("baby").await?;
    equal("the number of revoked mutations", purged.revoked, 3)?;
    let revoked = device.store.revoked().await?;
    let handed_over: Vec<_> = revoked.iter().map(|revoked| &revoked.mutation).collect();
    holds(
        handed_over
            == unsynced
                .iter()
                .map(|entry| &entry.mutation)
                .collect::<Vec<_>>(),
        "what was pending or failed, or accepted and not pulled, is handed over, in its order",
    )?;
    equal("what is left to send", device.send().await?, [other])
}

pub(super) async fn revoked_mutations_stay_until_they_are_acknowledged(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let first = fill(&device, "baby").await?;
    let second = fill(&device, "toy").await?;
    device.purge("toy").await?;
    device.purge("baby").await?;
    // A scope that comes back and goes again adds to the list.
    let third = fill(&device, "baby").await?;
    device.purge("baby").await?;
    let before = device.store.revoked().await?;
    equal("the list", ids(&before), [second, first, third])?;
    let device = database.reopen(device).await?;
    let after = device.store.revoked().await?;
    holds(before == after, "the list is there after reopening")?;

    device.store.acknowledge_revoked(vec![first, first]).await?;
    let device = database.reopen(device).await?;
    let left = device.store.revoked().await?;
    equal("what was not acknowledged", ids(&left), [second, third])?;
    // What is known no more is no error.
    device.store.acknowledge_revoked(vec![first]).await?;
    device
        .store
        .acknowledge_revoked(vec![third, second])
        .await?;
    equal("what is left", device.store.revoked().await?.len(), 0)
}

pub(super) async fn conflicts_outlive_the_purge_of_their_scope(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    device
        .pull("baby", device.page().put("a", "one", 1)?)
        .await?;
    let lost = device.update("a", "mine").await?;
    device.send().await?;
    device
        .answer(lost, conflict(Some(state("theirs")?), 2))
        .await?;
    device.purge("baby").await?;
    let device = database.reopen(device).await?;
    let conflicts = device.store.conflicts(None).await?;
    let kept: Vec<_> = conflicts
        .iter()
        .map(|conflict| conflict.mutation_id)
        .collect();
    equal("the conflicts", kept, [lost])?;
    equal(
        "what was lost is not revoked",
        device.store.revoked().await?.len(),
        0,
    )
}

pub(super) async fn a_purged_scope_begins_anew(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    fill(&device, "baby").await?;
    device.purge("baby").await?;
    let edit = device.create("b", "again").await?;
    equal("b", device.word("b").await?.as_deref(), Some("again"))?;
    // Its history may be another one now.
    let page = device.page().put("a", "two", 1)?.epoch("e2");
    device.pull("baby", page).await?;
    let device = database.reopen(device).await?;
    equal("a", device.word("a").await?.as_deref(), Some("two"))?;
    equal("what there is to send", device.send().await?, [edit])
}
