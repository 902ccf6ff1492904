//! What goes out, in which order, and how often.

use std::sync::Arc;

use sync_core::{
    model::{EntityType, MutationId, Op, Payload, Schema, Scope},
    ordered::OrderedSet,
    policy::Upgrade,
    store::{EntryState, Pending, Pick, TakeRequest, TakenEntry},
    transport::ServerTraits,
};

use crate::store_suite::{
    Failure,
    database::{Database, Device, applied, ids, state},
    failure::{Outcome, equal, holds},
};

/// In milliseconds.
const DAY: i64 = 24 * 60 * 60 * 1000;

pub(super) async fn mutations_go_out_in_the_order_of_their_enqueueing(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let mut order = Vec::new();
    for id in ["b", "toy/a", "a", "ark/a"] {
        order.push(device.create(id, "new").await?);
    }
    equal("what is sent", device.send().await?, order.clone())?;
    order.push(device.update("b", "newer").await?);
    let device = database.reopen(device).await?;
    equal("what is sent", device.send().await?, order)
}

pub(super) async fn what_was_taken_is_never_merged_into_also_after_reopening(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let sent = device.create("a", "one").await?;
    let sent_elsewhere = device.create("toy/a", "one").await?;
    device.send().await?;
    let next = device.update("a", "two").await?;
    holds(next != sent, "what was taken is not merged into")?;
    let device = database.reopen(device).await?;
    let next = device.update("toy/a", "two").await?;
    let what = "what was taken is not merged into after reopening";
    holds(next != sent_elsewhere, what)?;
    for id in [sent, sent_elsewhere] {
        let op = device.entry(id).await?.mutation.op;
        equal("what was taken", op, Op::Create(state("one")?))?;
    }
    Ok(())
}

pub(super) async fn what_was_taken_is_taken_again_until_it_is_settled(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let first = device.create("a", "one").await?;
    let second = device.create("b", "two").await?;
    let both = vec![first, second];
    equal("what is taken", device.send().await?, both.clone())?;
    equal("what is taken again", device.send().await?, both.clone())?;
    let device = database.reopen(device).await?;
    equal("what is taken after reopening", device.send().await?, both)?;
    device.answer(first, applied(1)).await?;
    equal("what is left", device.send().await?, vec![second])
}

pub(super) async fn each_taking_is_counted_and_the_first_is_remembered(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let id = device.create("a", "one").await?;
    let unsent = pending(&device, id).await?;
    equal("before", (unsent.sent_at, unsent.sends), (None, 0))?;
    let request = device.taking(Pick::default(), 1, u64::MAX);
    let first = request.now;
    device.store.take(request).await?;
    device.take().await?;
    let device = database.reopen(device).await?;
    let taken = device.take().await?;
    let sent = pending(&device, id).await?;
    let expected = (Some(first), 3);
    equal("after", (sent.sent_at, sent.sends), expected)?;
    let stored = device.entries().await?;
    let batch = taken.entries.into_iter().map(|taken| taken.entry);
    equal("the batch", batch.collect::<Vec<_>>(), stored)
}

pub(super) async fn a_batch_holds_no_more_than_was_asked_for(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let mut all = Vec::new();
    for id in ["a", "toy/a", "b"] {
        // 15 bytes each.
        all.push(device.create(id, "new").await?);
    }
    for (max_count, max_bytes, expected) in [
        (1, u64::MAX, &all[..1]),
        (2, u64::MAX, &all[..2]),
        (9, u64::MAX, &all[..]),
        (9, 29, &all[..1]),
        (9, 30, &all[..2]),
        (2, 1_000, &all[..2]),
    ] {
        let found = some(&device, Pick::default(), max_count, max_bytes).await?;
        let what = format!("{max_count} entries or {max_bytes} bytes");
        equal(&what, found, expected)?;
    }
    Ok(())
}

pub(super) async fn an_entry_that_is_too_large_for_a_batch_goes_alone_and_in_its_turn(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let small = device.create("a", "small").await?;
    let large = device.create("b", &"large".repeat(100)).await?;
    let last = device.create("c", "last").await?;
    for expected in [small, large, last] {
        let batch = some(&device, Pick::default(), 9, 20).await?;
        equal("the batch", batch, vec![expected])?;
        device.answer(expected, applied(1)).await?;
    }
    Ok(())
}

pub(super) async fn only_what_may_go_is_taken_and_marked_as_sent(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let a = device.create("a", "new").await?;
    let toy = device.create("toy/a", "new").await?;
    let b = device.create("b", "new").await?;
    let ark = device.create("ark/a", "new").await?;
    let only = Pick {
        only: Some(Scope::from("toy")),
        ..Pick::default()
    };
    equal("one scope", some(&device, only, 9, 99).await?, vec![toy])?;
    let hold = Pick {
        hold: OrderedSet::from([Scope::from("baby"), Scope::from("toy")]),
        ..Pick::default()
    };
    let others = some(&device, hold, 9, 99).await?;
    equal("all but two scopes", others, vec![ark])?;
    let skip = Pick {
        only: Some(Scope::from("baby")),
        skip: OrderedSet::from([a]),
        ..Pick::default()
    };
    let others = some(&device, skip, 9, 99).await?;
    equal("all of a scope but one mutation", others, vec![b])?;
    let unsent = device.entry(a).await?;
    holds(!unsent.was_sent(), "what was left out is not sent")?;
    for id in [toy, b, ark] {
        let sends = pending(&device, id).await?.sends;
        equal("how often an entry was taken", sends, 1)?;
    }
    Ok(())
}

pub(super) async fn a_batch_names_the_cursor_of_each_of_its_scopes(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "pulled", 3)?;
    device.pull("baby", page).await?;
    device.pull("ark", device.page()).await?;
    device.update("a", "mine").await?;
    device.create("toy/a", "mine").await?;
    device.create("b", "mine").await?;
    let (baby, _) = device.store.scope(Scope::from("baby")).await?;
    holds(
        baby.cursor.is_some(),
        "a scope that was pulled has a cursor",
    )?;
    let mut cursors = device.take().await?.cursors;
    cursors.sort_by(|(one, _), (other, _)| one.cmp(other));
    let expected = vec![(baby.scope, baby.cursor), (Scope::from("toy"), None)];
    equal("the cursors", cursors, expected)
}

pub(super) async fn a_server_that_handles_a_record_once_a_batch_gets_one_mutation_of_it(
    database: &Database<'_>,
) -> Outcome {
    let mut device = database.open().await?;
    device.traits = ServerTraits {
        ordered: false,
        ..ServerTraits::default()
    };
    let first = device.create("a", "one").await?;
    let other = device.create("b", "new").await?;
    let second = device.update("a", "two").await?;
    equal("what is sent", device.send().await?, vec![first, other])?;
    let unsent = device.entry(second).await?;
    holds(!unsent.was_sent(), "a follower is not marked as sent")?;
    for id in [first, other] {
        device.answer(id, applied(1)).await?;
    }
    equal("what is sent next", device.send().await?, vec![second])
}

pub(super) async fn what_the_server_has_forgotten_is_left_out_with_its_scope(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let old = device.create("a", "old").await?;
    device.send().await?;
    device.create("b", "behind it").await?;
    device.set_clock(31 * DAY);
    let elsewhere = device.create("toy/a", "elsewhere").await?;
    let device = database.reopen(device).await?;
    let taken = device.take().await?;
    let expected = vec![(Scope::from("baby"), old)];
    equal("what is forgotten", &taken.forgotten, &expected)?;
    equal("what is sent", ids(&taken), vec![elsewhere])
}

pub(super) async fn a_payload_is_brought_up_to_date_before_it_first_goes_and_never_after(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let sent = device.create("a", "old").await?;
    device.send().await?;
    let fresh = device.create("b", "old").await?;
    let request = TakeRequest {
        upgrade: Arc::new(ToSchema2(state("upgraded")?)),
        ..device.taking(Pick::default(), 9, u64::MAX)
    };
    let taken = device.store.take(request).await?;
    holds(!taken.touched.is_empty(), "an upgrade touches a view")?;
    let device = database.reopen(device).await?;
    for (id, record, word, schema) in [
        (sent, "a", "old", Schema(1)),
        (fresh, "b", "upgraded", Schema(2)),
    ] {
        let of_id = |t: &&TakenEntry| t.entry.mutation.id == id;
        let taken = taken.entries.iter().find(of_id);
        let stored = device.entry(id).await?.mutation;
        let sent = taken.map(|t| &t.entry.mutation);
        equal("what is stored as it was sent", sent, Some(&stored))?;
        let expected = (Op::Create(state(word)?), schema);
        equal("a payload", (stored.op, stored.schema), expected)?;
        let shown = device.word(record).await?;
        equal("the view", shown.as_deref(), Some(word))?;
    }
    Ok(())
}

async fn some(
    device: &Device,
    pick: Pick,
    max_count: u32,
    max_bytes: u64,
) -> Outcome<Vec<MutationId>> {
    let request = device.taking(pick, max_count, max_bytes);
    Ok(ids(&device.store.take(request).await?))
}

async fn pending(device: &Device, id: MutationId) -> Outcome<Pending> {
    match device.entry(id).await?.state {
        EntryState::Pending(pending) => Ok(pending),
        other => Err(Failure::broken(format!(
            "an entry should be pending, and is {other:?}"
        ))),
    }
}

/// Brings everything to the format version 2, as this payload.
#[derive(Debug)]
struct ToSchema2(Payload);

impl Upgrade for ToSchema2 {
    fn upgrade(
        &self,
        _: &EntityType,
        schema: Schema,
        _: &Payload,
    ) -> Result<Option<(Payload, Schema)>, String> {
        Ok((schema < Schema(2)).then(|| (self.0.clone(), Schema(2))))
    }
}
