//! Entries that were set aside: what the user wrote stays until the app decides.

use sync_core::{
    model::{Op, Version},
    store::{EntryKind, EntryState, FailReason, Marks, Settlement},
    transport::Verdict,
};

use crate::store_suite::{
    Failure,
    database::{Database, Device, applied, key, rejected, state},
    failure::{Outcome, equal, holds},
    held::Held,
};

pub(super) async fn a_rejected_create_and_its_dependent_update_are_set_aside_together(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let create = device.create("a", "one").await?;
    device.send().await?;
    let update = device.update("a", "two").await?;
    let other = device.create("b", "free").await?;
    let report = device.answer(create, rejected()).await?;
    let expected = vec![
        (create, FailReason::Rejected),
        (update, FailReason::Predecessor),
    ];
    equal("what failed", report.failed, expected)?;
    holds(!report.touched.is_empty(), "a view was touched")?;
    let device = database.reopen(device).await?;
    let both = vec![EntryKind::Failed, EntryKind::Failed];
    equal("the record's entries", device.states("a").await?, both)?;
    equal("what is sent", device.send().await?, vec![other])
}

pub(super) async fn what_was_refused_stays_in_the_view_marked(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("b", "pulled", 3)?;
    device.pull("baby", page).await?;
    let create = device.create("a", "one").await?;
    let update = device.update("b", "mine").await?;
    device.send().await?;
    device.update("a", "two").await?;
    device.answer(create, rejected()).await?;
    device.answer(update, Verdict::Forbidden).await?;
    let device = database.reopen(device).await?;
    shows(&device, "a", "two", Marks::FAILED).await?;
    shows(&device, "b", "mine", Marks::FAILED).await?;
    // A pull moves what lies beneath, not what the user wrote.
    let page = device.page().put("a", "theirs", 4)?.put("b", "theirs", 5)?;
    device.pull("baby", page).await?;
    shows(&device, "a", "two", Marks::FAILED).await?;
    shows(&device, "b", "mine", Marks::FAILED).await
}

pub(super) async fn retrying_makes_one_new_mutation_at_the_end_of_the_queue(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "pulled", 3)?;
    device.pull("baby", page).await?;
    let first = device.update("a", "one").await?;
    device.send().await?;
    let second = device.update("a", "two").await?;
    device.answer(first, rejected()).await?;
    let page = device.page().put("a", "theirs", 8)?;
    device.pull("baby", page).await?;
    let queued = device.create("b", "earlier in the queue").await?;
    let (again, touched) = device.store.retry(key("a"), device.stamp()).await?;
    let Some(again) = again else {
        return Err(Failure::broken("a failed record should be retried"));
    };
    holds(again > second, "what is retried has a new id")?;
    holds(!touched.is_empty(), "a view was touched")?;
    let device = database.reopen(device).await?;
    equal("the entries", device.order().await?, vec![queued, again])?;
    let mutation = device.entry(again).await?.mutation;
    equal("its edit", mutation.op, Op::Update(state("two")?))?;
    let base = Some(Version::new("e1", 3));
    equal("what it is based on", mutation.base_version, base)?;
    shows(&device, "a", "two", Marks::PENDING).await?;
    equal("what is sent", device.send().await?, vec![queued, again])?;
    let (none, _) = device.store.retry(key("a"), device.stamp()).await?;
    equal("retrying what is not failed", none, None)
}

pub(super) async fn a_new_edit_takes_the_failed_ones_up(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let create = device.create("a", "one").await?;
    device.send().await?;
    device.answer(create, rejected()).await?;
    let edit = device.update("a", "two").await?;
    holds(edit != create, "the new edit has an id of its own")?;
    let device = database.reopen(device).await?;
    equal("the entries", device.order().await?, vec![edit])?;
    let op = device.entry(edit).await?.mutation.op;
    equal("the edit", op, Op::Create(state("two")?))?;
    shows(&device, "a", "two", Marks::PENDING).await
}

pub(super) async fn discarding_restores_the_view_as_it_was(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "pulled", 3)?;
    device.pull("baby", page).await?;
    let before = Held::read(&*device.store).await?;
    let update = device.update("a", "one").await?;
    let create = device.create("b", "new").await?;
    device.send().await?;
    let follower = device.update("a", "two").await?;
    device.answer(update, rejected()).await?;
    device.answer(create, rejected()).await?;
    for (id, expected) in [("a", vec![update, follower]), ("b", vec![create])] {
        let (dropped, touched) = device.store.discard(key(id)).await?;
        let dropped: Vec<_> = dropped.iter().map(|entry| entry.mutation.id).collect();
        equal("what was dropped", dropped, expected)?;
        holds(!touched.is_empty(), "a view was touched")?;
    }
    let device = database.reopen(device).await?;
    shows(&device, "a", "pulled", Marks::default()).await?;
    equal("the view of a create", device.word("b").await?, None)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "it is as if the edits had never been")?;
    let (dropped, _) = device.store.discard(key("a")).await?;
    equal("discarding what is not failed", dropped, vec![])
}

pub(super) async fn discarding_leaves_what_is_not_failed(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let first = device.create("a", "one").await?;
    device.send().await?;
    let refused = device.update("a", "two").await?;
    device.answer(first, applied(4)).await?;
    device.send().await?;
    device.answer(refused, rejected()).await?;
    let other = device.create("b", "refused too").await?;
    device.send().await?;
    device.answer(other, rejected()).await?;
    device.store.discard(key("a")).await?;
    let device = database.reopen(device).await?;
    equal("the entries", device.order().await?, vec![first, other])?;
    shows(&device, "a", "one", Marks::ACKNOWLEDGED).await?;
    shows(&device, "b", "refused too", Marks::FAILED).await
}

pub(super) async fn a_failed_delete_stays_listed_with_the_state_beneath_it(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "pulled", 3)?;
    device.pull("baby", page).await?;
    let delete = device.delete("a").await?;
    device.send().await?;
    equal("the view before", device.word("a").await?, None)?;
    device.answer(delete, rejected()).await?;
    let device = database.reopen(device).await?;
    equal("the entries", device.order().await?, vec![delete])?;
    shows(&device, "a", "pulled", Marks::FAILED).await?;
    let page = device.page().put("a", "theirs", 4)?;
    device.pull("baby", page).await?;
    shows(&device, "a", "theirs", Marks::FAILED).await?;
    device.store.retry(key("a"), device.stamp()).await?;
    equal("the view of the retried", device.word("a").await?, None)
}

pub(super) async fn what_was_set_aside_keeps_its_reason_and_message(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let mut set_aside = Vec::new();
    for (record, reason, message) in [
        ("a", FailReason::Poison, "refused \"alone\", n times"),
        ("toy/b", FailReason::TooLarge, "größer als erlaubt"),
        ("c", FailReason::Rejected, ""),
    ] {
        let id = device.create(record, "mine").await?;
        set_aside.push((id, reason, message.to_owned()));
    }
    device.send().await?;
    let settlements = set_aside.iter().cloned();
    let settlements = settlements.map(|(id, why, words)| Settlement::SetAside(id, why, words));
    let request = device.settling(settlements.collect());
    let at = request.stamp.now;
    let report = device.store.settle(request).await?;
    let expected = set_aside.iter().map(|(id, reason, _)| (*id, *reason));
    equal("what failed", report.failed, expected.collect::<Vec<_>>())?;
    let device = database.reopen(device).await?;
    for (id, reason, message) in set_aside {
        let EntryState::Failed(failed) = device.entry(id).await?.state else {
            return Err(Failure::broken("what was set aside should be failed"));
        };
        let kept = (failed.reason, failed.message, failed.at);
        equal("what is kept", kept, (reason, message, at))?;
    }
    equal("what is sent", device.send().await?, vec![])
}

async fn shows(device: &Device, id: &str, word: &str, marks: Marks) -> Outcome {
    let what = format!("the view of {id}");
    equal(&what, device.word(id).await?.as_deref(), Some(word))?;
    let what = format!("the marks of {id}");
    equal(&what, device.marks(id).await?, Some(marks))
}
