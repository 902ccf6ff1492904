//! Mutations that lost to a concurrent edit.

use std::sync::Arc;

use sync_core::{
    model::{MutationId, Op, Payload, Scope, Version},
    policy::{Choice, Contest, MineAgain, Resolve},
    store::{Conflict, Marks, Pick, Resolution, SettleReport},
    time::Timestamp,
};

use crate::store_suite::{
    database::{ACCOUNT, Database, Device, conflict, key, state},
    failure::{Outcome, equal, holds, succeeds},
};

pub(super) async fn a_conflict_keeps_both_sides_until_it_is_acknowledged(
    database: &Database<'_>,
) -> Outcome {
    let device = pulled(database).await?;
    let update = device.update("a", "mine").await?;
    let delete = device.delete("b").await?;
    device.send().await?;
    let report = lose(&device, update, Some("theirs"), 6).await?;
    let second = lose(&device, delete, Some("theirs"), 7).await?;
    holds(!report.touched.is_empty(), "a conflict touches its record")?;
    let kept = vec![
        sides("a", update, Some("mine"), Some("theirs"), Some("pulled"))?,
        sides("b", delete, None, Some("theirs"), Some("pulled"))?,
    ];
    let reported: Vec<_> = report
        .conflicts
        .into_iter()
        .chain(second.conflicts)
        .collect();
    equal("what is reported", untimed(reported.clone()), kept)?;
    let device = database.reopen(device).await?;
    let found = device.store.conflicts(None).await?;
    equal("the conflicts", found, reported)?;
    for id in ["a", "b"] {
        let (word, marks) = (device.word(id).await?, device.marks(id).await?);
        equal("the view", word.as_deref(), Some("theirs"))?;
        equal("the marks", marks, Some(Marks::ACKNOWLEDGED))?;
    }
    // The pull of what won does not end it: the app has to.
    let page = device.page().put("a", "theirs", 6)?.put("b", "theirs", 7)?;
    device.pull("baby", page).await?;
    equal("the entries", device.order().await?, vec![])?;
    let found = device.store.conflicts(None).await?;
    equal("the number of conflicts", found.len(), 2)?;
    let call = device.store.acknowledge_conflicts(vec![update, delete]);
    let touched = call.await?;
    holds(!touched.is_empty(), "to acknowledge touches the record")?;
    let device = database.reopen(device).await?;
    let found = device.store.conflicts(None).await?;
    equal("what is left", found, vec![])
}

pub(super) async fn an_edit_that_lost_to_a_delete_is_gone_from_the_view_and_kept(
    database: &Database<'_>,
) -> Outcome {
    let device = pulled(database).await?;
    let id = device.update("a", "mine").await?;
    device.send().await?;
    lose(&device, id, None, 6).await?;
    let device = database.reopen(device).await?;
    equal("the view", device.word("a").await?, None)?;
    let found = untimed(device.store.conflicts(None).await?);
    let kept = sides("a", id, Some("mine"), None, Some("pulled"))?;
    equal("the conflicts", found, vec![kept])
}

pub(super) async fn a_conflict_that_is_kept_already_stays_as_it_is(
    database: &Database<'_>,
) -> Outcome {
    let device = pulled(database).await?;
    let id = device.update("a", "mine").await?;
    device.send().await?;
    lose(&device, id, Some("theirs"), 6).await?;
    let kept = device.store.conflicts(None).await?;
    equal("the number of conflicts", kept.len(), 1)?;
    // A page tells of the same mutation once more, as overwritten by something else.
    let page = device.page().put("a", "newer", 7)?;
    let page = page.overwrote(id, ACCOUNT, state("mine")?, 7);
    device.pull("baby", page).await?;
    let device = database.reopen(device).await?;
    let found = device.store.conflicts(None).await?;
    equal("the conflicts", found, kept)
}

pub(super) async fn conflicts_are_listed_by_scope_and_oldest_first(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let c = device.create("c", "mine").await?;
    let toy_b = device.create("toy/b", "mine").await?;
    let a = device.create("a", "mine").await?;
    let toy_a = device.create("toy/a", "mine").await?;
    let b = device.create("b", "mine").await?;
    device.send().await?;
    // The answers come in another order than that of the edits.
    for id in [b, toy_a, a, toy_b, c] {
        lose(&device, id, Some("theirs"), 6).await?;
    }
    let device = database.reopen(device).await?;
    for (scope, expected) in [
        (None, vec![b, toy_a, a, toy_b, c]),
        (Some("baby"), vec![b, a, c]),
        (Some("toy"), vec![toy_a, toy_b]),
        (Some("ark"), vec![]),
    ] {
        let found = device.store.conflicts(scope.map(Scope::from)).await?;
        let found: Vec<_> = found.iter().map(|c| c.mutation_id).collect();
        equal(&format!("the conflicts of {scope:?}"), found, expected)?;
    }
    Ok(())
}

pub(super) async fn acknowledging_a_conflict_leaves_the_others(database: &Database<'_>) -> Outcome {
    let device = pulled(database).await?;
    let first = device.update("a", "one").await?;
    device.send().await?;
    lose(&device, first, Some("theirs"), 6).await?;
    let second = device.update("a", "two").await?;
    let other = device.update("b", "three").await?;
    device.send().await?;
    lose(&device, second, Some("theirs"), 7).await?;
    lose(&device, other, Some("theirs"), 8).await?;
    let unknown = MutationId::following(Some(other), device.now(), 1);
    let call = device.store.acknowledge_conflicts(vec![unknown, first]);
    succeeds("acknowledging an unknown conflict, too", call.await)?;
    let device = database.reopen(device).await?;
    let left = device.store.conflicts(None).await?;
    let left: Vec<_> = left.iter().map(|c| c.mutation_id).collect();
    equal("what is left", left, vec![second, other])
}

pub(super) async fn mine_again_is_a_new_mutation_at_the_end_of_the_queue(
    database: &Database<'_>,
) -> Outcome {
    let mut device = pulled(database).await?;
    device.resolve = Arc::new(MineAgain);
    let id = device.update("a", "mine").await?;
    let queued = device.create("c", "earlier in the queue").await?;
    let request = device.taking(Pick::default(), 1, u64::MAX);
    device.store.take(request).await?;
    let report = lose(&device, id, Some("theirs"), 6).await?;
    let resolution = report.conflicts.iter().map(|c| c.resolution);
    let expected = vec![Resolution::Mine];
    equal("how it ended", resolution.collect::<Vec<_>>(), expected)?;
    let device = database.reopen(device).await?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("mine"))?;
    let sent = device.send().await?;
    let [first, again] = sent[..] else {
        return equal("the number of mutations sent", sent.len(), 2);
    };
    equal("what is sent first", first, queued)?;
    holds(again > queued, "what is put again has a new id")?;
    let entry = device.entry(again).await?;
    let made = (entry.mutation.op, entry.mutation.base_version, entry.again);
    let version = Some(Version::new("e1", 6));
    let expected = (Op::Update(state("mine")?), version, 1);
    equal("what is put again", made, expected)
}

pub(super) async fn an_edit_is_put_again_a_bounded_number_of_times(
    database: &Database<'_>,
) -> Outcome {
    let mut device = pulled(database).await?;
    device.resolve = Arc::new(MineAgain);
    device.update("a", "mine").await?;
    let mut sends = 0;
    for seq in 6..16 {
        for id in device.send().await? {
            sends += 1;
            lose(&device, id, Some("theirs"), seq).await?;
        }
        device = database.reopen(device).await?;
    }
    equal("how often it was sent", sends, 4)?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("theirs"))?;
    let found = device.store.conflicts(None).await?;
    let found: Vec<_> = found.iter().map(|c| c.resolution).collect();
    let mine = [Resolution::Mine; 3].into_iter();
    let expected: Vec<_> = mine.chain([Resolution::Theirs]).collect();
    equal("how they ended", found, expected)
}

pub(super) async fn a_merge_is_put_in_the_place_of_both(database: &Database<'_>) -> Outcome {
    let mut device = pulled(database).await?;
    device.resolve = Arc::new(Merges(state("both")?));
    let id = device.update("a", "mine").await?;
    device.send().await?;
    lose(&device, id, Some("theirs"), 6).await?;
    let device = database.reopen(device).await?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("both"))?;
    let found = untimed(device.store.conflicts(None).await?);
    let kept = Conflict {
        resolution: Resolution::Merged,
        ..sides("a", id, Some("mine"), Some("theirs"), Some("pulled"))?
    };
    equal("the conflicts", found, vec![kept])?;
    let sent = device.send().await?;
    let [merged] = sent[..] else {
        return equal("the number of mutations sent", sent.len(), 1);
    };
    let op = device.entry(merged).await?.mutation.op;
    equal("what is sent", op, Op::Update(state("both")?))
}

pub(super) async fn what_lost_a_conflict_hands_what_it_was_based_on_to_its_follower(
    database: &Database<'_>,
) -> Outcome {
    let device = pulled(database).await?;
    let first = device.update("a", "mine").await?;
    device.send().await?;
    let second = device.update("a", "newer").await?;
    lose(&device, first, Some("theirs"), 6).await?;
    let device = database.reopen(device).await?;
    let follower = device.entry(second).await?.mutation;
    let based = (follower.base_version, follower.after);
    let expected = (Some(Version::new("e1", 3)), None);
    equal("what the follower is based on", based, expected)?;
    let word = device.word("a").await?;
    equal("the view", word.as_deref(), Some("newer"))
}

/// A device that has pulled two records.
async fn pulled(database: &Database<'_>) -> Outcome<Device> {
    let device = database.open().await?;
    let page = device.page().put("a", "pulled", 3)?.put("b", "pulled", 4)?;
    device.pull("baby", page).await?;
    Ok(device)
}

/// The server says that a mutation lost to this state.
async fn lose(
    device: &Device,
    id: MutationId,
    theirs: Option<&str>,
    seq: u64,
) -> Outcome<SettleReport> {
    let theirs = theirs.map(state).transpose()?;
    Ok(device.answer(id, conflict(theirs, seq)).await?)
}

/// A conflict that the server won, without its time.
fn sides(
    record: &str,
    id: MutationId,
    mine: Option<&str>,
    theirs: Option<&str>,
    base: Option<&str>,
) -> Outcome<Conflict> {
    Ok(Conflict {
        mutation_id: id,
        key: key(record),
        mine: mine.map(state).transpose()?,
        theirs: theirs.map(state).transpose()?,
        base: base.map(state).transpose()?,
        resolution: Resolution::Theirs,
        at: Timestamp::from_millis(0),
    })
}

fn untimed(conflicts: Vec<Conflict>) -> Vec<Conflict> {
    let at = Timestamp::from_millis(0);
    let untimed = |conflict| Conflict { at, ..conflict };
    conflicts.into_iter().map(untimed).collect()
}

/// Ends every conflict with this record.
#[derive(Debug)]
struct Merges(Payload);

impl Resolve for Merges {
    fn resolve(&self, _: &Contest<'_>) -> Choice {
        Choice::Merged(self.0.clone())
    }
}
