//! What becomes of an edit until it is sent.

use sync_core::{
    error::StoreErrorKind,
    model::Op,
    store::{Counts, Edit, Enqueued, EntryKind, Marks},
};

use crate::store_suite::{
    database::{Database, edit, key, state},
    failure::{Outcome, equal, fails, holds},
    held::Held,
};

pub(super) async fn an_edit_is_in_the_view_and_in_the_outbox(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let outcome = device
        .enqueue(vec![edit(key("a"), Op::Create(state("new")?))])
        .await?;
    let entries = device.entries().await?;
    equal("the number of entries", entries.len(), 1)?;
    let entry = &entries[0];
    equal(
        "the outcome",
        outcome,
        vec![Enqueued::Queued(entry.mutation.id)],
    )?;
    equal("the entry's record", &entry.mutation.key, &key("a"))?;
    equal(
        "the entry's operation",
        &entry.mutation.op,
        &Op::Create(state("new")?),
    )?;
    equal("the entry's state", entry.kind(), EntryKind::Pending)?;
    let counts = Counts {
        pending: 1,
        ..Counts::default()
    };
    equal("the counts", device.store.counts(None).await?, counts)?;
    let row = device.row("a").await?;
    equal(
        "the view",
        row.map(|row| (row.payload, row.marks)),
        Some((state("new")?, Marks::PENDING)),
    )
}

pub(super) async fn edits_enqueued_together_are_enqueued_all_or_none(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    device.create("a", "there").await?;
    let before = Held::read(&*device.store).await?;
    let expecting = Edit {
        expect: Some(state("something else")?),
        ..edit(key("a"), Op::Update(state("edited")?))
    };
    let together = vec![edit(key("b"), Op::Create(state("new")?)), expecting];
    let call = device.enqueue(together).await;
    fails("an edit of what has moved", call, &StoreErrorKind::Moved)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "a refused enqueue leaves no trace")
}
