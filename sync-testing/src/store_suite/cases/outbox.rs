//! What becomes of an edit until it is sent.

use sync_core::{
    error::StoreErrorKind,
    model::{Account, Op, Scope, Version},
    ordered::OrderedSet,
    store::{Counts, Edit, EnqueueRequest, Enqueued, EntryFilter, EntryKind, Marks, Pick},
};

use crate::store_suite::{
    database::{Database, Device, account, applied, edit, ids, json, key, rejected, state},
    failure::{Outcome, equal, fails, holds, succeeds},
    held::Held,
};

/// In milliseconds.
const HOUR: i64 = 60 * 60 * 1000;

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

pub(super) async fn entries_keep_the_order_of_the_store_over_scopes_and_after_reopening(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let mut order = Vec::new();
    for id in ["toy/b", "zoo/a", "baby/z", "toy/a", "baby/a"] {
        order.push(device.create(id, "new").await?);
    }
    equal("the order", device.order().await?, order.clone())?;
    let device = database.reopen(device).await?;
    order.push(device.create("ark/a", "new").await?);
    equal("the order after reopening", device.order().await?, order)?;
    let entries = device.entries().await?;
    let ascending = entries.windows(2).all(|pair| pair[0].seq < pair[1].seq);
    holds(ascending, "the sequence numbers ascend")
}

pub(super) async fn an_edit_merges_into_the_unsent_last_entry_of_its_record(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let create = device.create("a", "one").await?;
    // Another scope has a queue of its own.
    let elsewhere = device.create("toy/a", "elsewhere").await?;
    equal("the entry", device.update("a", "two").await?, create)?;
    let device = database.reopen(device).await?;
    equal("the entry", device.update("a", "three").await?, create)?;
    let order = device.order().await?;
    equal("the entries", order, vec![create, elsewhere])?;
    let op = device.entry(create).await?.mutation.op;
    equal("the entry's operation", op, Op::Create(state("three")?))?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("three"))
}

pub(super) async fn an_edit_merges_into_the_last_pending_entry_past_settled_ones(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let unsent = device.create("a", "one").await?;
    let later = [
        device.create("b", "b").await?,
        device.create("c", "c").await?,
    ];
    let skip = OrderedSet::from([unsent]);
    let pick = Pick {
        skip,
        ..Pick::default()
    };
    let taken = device.store.take(device.taking(pick, 10, u64::MAX)).await?;
    equal("what is sent", ids(&taken), later.to_vec())?;
    device.answer(later[0], applied(1)).await?;
    device.answer(later[1], rejected()).await?;
    let device = database.reopen(device).await?;
    equal(
        "the entry of a second edit, nothing pending being behind the first,",
        device.update("a", "two").await?,
        unsent,
    )?;
    let op = device.entry(unsent).await?.mutation.op;
    equal("the entry's operation", op, Op::Create(state("two")?))
}

pub(super) async fn an_edit_is_not_merged_past_another_record(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let parent = device.create("parent", "one").await?;
    let child = device.create("child", "of parent").await?;
    let again = device.update("parent", "two").await?;
    holds(again != parent, "the later edit has an entry of its own")?;
    let order = device.order().await?;
    equal("the entries", order, vec![parent, child, again])?;
    let first = device.entry(parent).await?.mutation;
    equal("the first edit", first.op, Op::Create(state("one")?))?;
    let last = device.entry(again).await?.mutation;
    equal("the later edit", last.op, Op::Update(state("two")?))?;
    equal("what the later edit follows", last.after, Some(parent))?;
    let word = device.word("parent").await?;
    equal("the view", word.as_deref(), Some("two"))
}

pub(super) async fn a_create_and_its_delete_that_were_never_sent_leave_nothing(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    device.create("a", "new").await?;
    let outcome = device.enqueue(vec![edit(key("a"), Op::Delete)]).await?;
    equal("the outcome", outcome, vec![Enqueued::Cancelled])?;
    let device = database.reopen(device).await?;
    equal("the entries", device.order().await?, vec![])?;
    let counts = device.store.counts(None).await?;
    equal("the counts", counts, Counts::default())?;
    equal("the view", device.word("a").await?, None)?;
    equal("what is sent", device.send().await?, vec![])
}

pub(super) async fn a_create_and_its_delete_over_what_was_sent_stay_a_delete(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let pulled = device.page().put("a", "pulled", 1)?;
    device.pull("baby", pulled).await?;
    let first = device.delete("a").await?;
    device.send().await?;
    let second = device.create("a", "again").await?;
    equal("the entry", device.delete("a").await?, second)?;
    let device = database.reopen(device).await?;
    equal("the entries", device.order().await?, vec![first, second])?;
    let op = device.entry(second).await?.mutation.op;
    equal("the second edit", op, Op::Delete)?;
    equal("the view", device.word("a").await?, None)
}

pub(super) async fn ids_ascend_while_the_wall_clock_steps_back(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let first = device.create("a", "one").await?;
    device.set_clock(-HOUR);
    let second = device.create("b", "two").await?;
    holds(first < second, "ids ascend while the wall clock steps back")?;
    let device = database.reopen(device).await?;
    let third = device.create("c", "three").await?;
    holds(second < third, "ids ascend after reopening")?;
    let order = vec![first, second, third];
    equal("the order", device.order().await?, order.clone())?;
    equal("what is sent", device.send().await?, order)
}

pub(super) async fn what_an_edit_was_based_on_is_kept_whatever_is_pulled_since(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let unpulled = device.create("toy/a", "new").await?;
    let page = device.page().put("a", "pulled", 3)?.through(8);
    device.pull("baby", page).await?;
    let update = device.update("a", "mine").await?;
    let create = device.create("b", "new").await?;
    device.send().await?;
    let page = device.page().put("a", "theirs", 9)?;
    device.pull("baby", page).await?;
    let follower = device.update("a", "mine again").await?;
    let device = database.reopen(device).await?;
    let version = |seq| Some(Version::new("e1", seq));
    for (what, id, base_version, after) in [
        ("an edit of a scope never pulled", unpulled, None, None),
        ("an edit of a pulled record", update, version(3), None),
        ("an edit of an absent record", create, version(8), None),
        (
            "an edit over a pending one",
            follower,
            version(3),
            Some(update),
        ),
    ] {
        let mutation = device.entry(id).await?.mutation;
        let based = (mutation.base_version, mutation.after);
        equal(what, based, (base_version, after))?;
    }
    Ok(())
}

pub(super) async fn an_edit_for_another_account_is_refused_and_leaves_no_trace(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    device.create("a", "mine").await?;
    let before = Held::read(&*device.store).await?;
    let request = EnqueueRequest {
        account: Account::from("bob"),
        ..device.enqueueing(vec![edit(key("b"), Op::Create(state("his")?))])
    };
    let bound = account();
    let kind = StoreErrorKind::OtherAccount { bound };
    let call = device.store.enqueue(request).await;
    fails("an edit for another account", call, &kind)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "a refused edit leaves no trace")
}

pub(super) async fn what_an_edit_expects_is_compared_by_meaning_not_by_spelling(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let expecting = |payload| Edit {
        expect: Some(payload),
        ..edit(key("a"), Op::Delete)
    };
    let held = json(r#"{"ml":120.0,"name":"Zo\u00eb","side":"left"}"#)?;
    device.queue(key("a"), Op::Create(held)).await?;
    device.send().await?;
    let other = json(r#"{"ml":121,"name":"Zoë","side":"left"}"#)?;
    let call = device.enqueue(vec![expecting(other)]).await;
    let what = "an edit that expects another record";
    fails(what, call, &StoreErrorKind::Moved)?;
    let spelt = json(r#"{ "side": "left", "name": "Zoë", "ml": 120 }"#)?;
    let call = device.enqueue(vec![expecting(spelt.clone())]).await;
    succeeds("an edit that expects the record spelt otherwise", call)?;
    let call = device.enqueue(vec![expecting(spelt)]).await;
    let what = "an edit that expects a record where there is none";
    fails(what, call, &StoreErrorKind::Moved)
}

pub(super) async fn the_counts_are_those_of_the_entries(database: &Database<'_>) -> Outcome {
    let device = entries_of_all_states(database).await?;
    let of = |pending, failed, acknowledged| Counts {
        pending,
        failed,
        acknowledged,
    };
    for (scope, expected) in [
        (None, of(2, 1, 2)),
        (Some("baby"), of(1, 1, 1)),
        (Some("toy"), of(1, 0, 1)),
        (Some("unknown"), of(0, 0, 0)),
    ] {
        let counts = device.store.counts(scope.map(Scope::from)).await?;
        equal(&format!("the counts of {scope:?}"), counts, expected)?;
    }
    Ok(())
}

pub(super) async fn entries_are_listed_by_scope_and_record_and_state(
    database: &Database<'_>,
) -> Outcome {
    let device = entries_of_all_states(database).await?;
    let all = [
        "baby/acknowledged",
        "toy/acknowledged",
        "baby/failed",
        "toy/a",
        "baby/pending",
    ];
    let of_baby = ["baby/acknowledged", "baby/failed", "baby/pending"];
    let pending = Some(EntryKind::Pending);
    for (scope, record, kind, expected) in [
        (None, None, None, &all[..]),
        (Some("baby"), None, None, &of_baby),
        (None, None, pending, &["toy/a", "baby/pending"]),
        (None, None, Some(EntryKind::Failed), &["baby/failed"]),
        (Some("toy"), None, pending, &["toy/a"]),
        (None, Some("toy/a"), None, &["toy/a"]),
        (None, Some("baby/failed"), pending, &[]),
        (Some("toy"), Some("baby/failed"), None, &[]),
        (Some("unknown"), None, None, &[]),
    ] {
        let filter = EntryFilter {
            scope: scope.map(Scope::from),
            key: record.map(key),
            state: kind,
        };
        let entries = device.store.entries(filter).await?;
        let found = entries.into_iter().map(|entry| entry.mutation.key);
        equal(
            &format!("the entries of {scope:?}, {record:?}, {kind:?}"),
            found.collect::<Vec<_>>(),
            expected.iter().map(|id| key(id)).collect::<Vec<_>>(),
        )?;
    }
    Ok(())
}

/// A database with two entries in the outbox, one failed and two acknowledged ones, that was opened again.
async fn entries_of_all_states(database: &Database<'_>) -> Outcome<Device> {
    let device = database.open().await?;
    for (id, verdict) in [
        ("acknowledged", applied(1)),
        ("toy/acknowledged", applied(1)),
        ("failed", rejected()),
    ] {
        let id = device.create(id, "new").await?;
        device.send().await?;
        device.answer(id, verdict).await?;
    }
    device.create("toy/a", "new").await?;
    device.create("pending", "new").await?;
    database.reopen(device).await
}
