//! Several handles on one database, and several calls at once.

use std::{cell::Cell, collections::BTreeSet, pin::pin};

use futures::future::{join, maybe_done};
use sync_core::{
    error::StoreError,
    model::{EntityType, MutationId, Op, Page, Scope},
    store::{EntryFilter, ListRequest, Store},
};

use crate::store_suite::{
    database::{Database, conflict, edit, json, key, state},
    failure::{Outcome, equal, holds},
    held::Held,
    polled::{polled, yielded},
};

pub(super) async fn what_one_handle_has_written_every_handle_reads(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let other = database.store().await?;
    // Often, for a view that lags behind does so only sometimes.
    for n in 0..20 {
        let (id, word) = (format!("r{}", n % 4), format!("word-{n}"));
        device.update(&id, &word).await?;
        let seen = other.get(key(&id)).await?;
        let seen = seen.map(|row| row.payload.as_str().to_owned());
        let written = state(&word)?;
        equal(
            "what the other handle reads",
            seen.as_deref(),
            Some(written.as_str()),
        )?;
        equal(
            "what its own handle reads",
            device.view(&id).await?.as_deref(),
            Some(written.as_str()),
        )?;
    }
    let pull = device.page().put("pulled", "one", 1)?;
    device.pull("baby", pull).await?;
    let id = device.create("toy/a", "mine").await?;
    device.take().await?;
    device
        .answer(id, conflict(Some(state("theirs")?), 1))
        .await?;
    device.create("zoo/a", "mine").await?;
    let (zoo, at) = (Scope::from("zoo"), device.now());
    device.store.purge(zoo, at, device.fence).await?;

    let (here, there) = (
        Held::read(&*device.store).await?,
        Held::read(&*other).await?,
    );
    holds(here == there, "both handles list the same")?;
    equal(
        "the conflicts on the other handle",
        there.conflicts.len(),
        1,
    )?;
    equal(
        "the revoked mutations on the other handle",
        there.revoked.len(),
        1,
    )
}

pub(super) async fn edits_of_several_handles_are_numbered_as_one(
    database: &Database<'_>,
) -> Outcome {
    let one = database.open().await?;
    let two = database.open().await?;
    // The clock of an app's second process may be behind.
    two.set_clock(-3_600_000);
    let mut ids = Vec::new();
    for n in 0..6 {
        let device = if n % 2 == 0 { &one } else { &two };
        ids.push(device.create(&format!("r{n}"), "new").await?);
    }
    let entries = one.entries().await?;
    let listed: Vec<MutationId> = entries.iter().map(|entry| entry.mutation.id).collect();
    equal(
        "the entries, in the order in which they were enqueued",
        &listed,
        &ids,
    )?;
    holds(
        entries.is_sorted_by(|a, b| a.seq < b.seq),
        "their sequence numbers ascend",
    )?;
    equal(
        "the number of different ids",
        ids.iter().collect::<BTreeSet<_>>().len(),
        6,
    )?;
    equal("the batch", two.send().await?, ids)
}

pub(super) async fn calls_take_effect_in_the_order_in_which_they_were_first_polled(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let store = &device.store;
    let enqueue = |id: &str, op: Op| store.enqueue(device.enqueueing(vec![edit(key(id), op)]));
    // Made in one order, polled in another, awaited in a third.
    let third = enqueue("a", Op::Update(state("third")?));
    let fourth = enqueue("b", Op::Create(state("fourth")?));
    let second = device.take();
    let first = enqueue("a", Op::Create(state("first")?));
    let mut first = pin!(maybe_done(first));
    let mut second = pin!(maybe_done(second));
    let mut third = pin!(maybe_done(third));
    let mut fourth = pin!(maybe_done(fourth));
    polled(1, first.as_mut()).await;
    polled(1, second.as_mut()).await;
    polled(1, third.as_mut()).await;
    polled(1, fourth.as_mut()).await;
    join(
        join(fourth.as_mut(), second.as_mut()),
        join(third.as_mut(), first.as_mut()),
    )
    .await;
    for enqueued in [first, third, fourth].map(|mut call| call.as_mut().take_output()) {
        enqueued.transpose()?;
    }
    let taken = second.take_output().transpose()?.unwrap_or_default();
    equal(
        "what was taken after the first edit and before the second",
        taken.entries.len(),
        1,
    )?;

    let entries = device.entries().await?;
    let ops: Vec<_> = entries
        .into_iter()
        .map(|e| (e.mutation.key, e.mutation.op))
        .collect();
    let expected = [
        (key("a"), Op::Create(state("first")?)),
        (key("a"), Op::Update(state("third")?)),
        (key("b"), Op::Create(state("fourth")?)),
    ];
    equal("the outbox", ops, expected)
}

/// Reads again and again while a call is under way, and demands that what is read satisfies `whole`.
async fn read_meanwhile<T>(
    call: impl Future<Output = Result<T, StoreError>>,
    store: &dyn Store,
    whole: impl AsyncFn(&dyn Store) -> Outcome,
) -> Outcome {
    let ended = Cell::new(false);
    let call = async {
        let outcome = call.await;
        ended.set(true);
        outcome
    };
    let reads = async {
        loop {
            whole(store).await?;
            if ended.get() {
                return whole(store).await;
            }
            yielded().await;
        }
    };
    let (call, reads) = join(call, reads).await;
    call?;
    reads
}

/// The states of the records of a scope, by id.
async fn listed(store: &dyn Store) -> Outcome<Vec<String>> {
    let request = ListRequest {
        scope: Scope::from("baby"),
        entity_type: EntityType::from("log"),
        after: None,
        limit: None,
    };
    let rows = store.list(request).await?;
    Ok(rows
        .iter()
        .map(|row| row.payload.as_str().to_owned())
        .collect())
}

async fn all_alike(store: &dyn Store) -> Outcome {
    let states = listed(store).await?;
    let different: BTreeSet<&String> = states.iter().collect();
    holds(
        different.len() <= 1 && states.len() % 20 == 0,
        "a list shows all records of a call changed, or none",
    )
}

pub(super) async fn a_read_sees_no_half_of_edits_enqueued_together(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let other = database.store().await?;
    for round in 0..10 {
        let mut edits = Vec::new();
        for n in 0..20 {
            edits.push(edit(
                key(&format!("r{n}")),
                Op::Update(state(&format!("s{round}"))?),
            ));
        }
        let store = if round % 2 == 0 {
            &device.store
        } else {
            &other
        };
        let whole = async |store: &dyn Store| {
            all_alike(store).await?;
            let pending = store.counts(None).await?.pending;
            let entries = store.entries(EntryFilter::default()).await?;
            holds(
                pending % 20 == 0 && entries.len() % 20 == 0,
                "all edits of a call are in the outbox, or none",
            )
        };
        read_meanwhile(device.enqueue(edits), &**store, whole).await?;
    }
    equal("the number of records", listed(&*other).await?.len(), 20)
}

pub(super) async fn a_read_sees_no_half_of_a_page(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let other = database.store().await?;
    for round in 0..10 {
        let mut page = device.page();
        for (seq, n) in (round * 20 + 1..).zip(0..20) {
            page = page.put_as("log", &format!("r{n}"), json(&round.to_string())?, seq);
        }
        let asked = device.ask("baby").await?;
        let page = Page::from(page);
        let store = if round % 2 == 0 {
            &device.store
        } else {
            &other
        };
        read_meanwhile(device.apply(asked, page), &**store, all_alike).await?;
    }
    equal("the number of records", listed(&*other).await?.len(), 20)
}
