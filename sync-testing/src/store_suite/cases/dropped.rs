//! What is left of a call whose future was dropped: all of it, or nothing.

use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::{Cursor, MutationId, Op, Scope},
    store::{Fence, Settlement, Store},
};

use crate::store_suite::{
    database::{Database, Device, account, applied, conflict, edit, key, rejected, state},
    failure::{Failure, Outcome, holds},
    held::Held,
    page::PageOf,
    polled::polled,
};

/// A store that asks to be polled for ever is followed for so long.
const MOST_POLLS: usize = 200;

/// All that can be told of a database from outside.
#[derive(PartialEq)]
struct Seen {
    held: Held,
    /// Whether the token that led at first still does.
    leads: bool,
    /// Why the account may not lead: it is bound to another, or to none.
    refused: Option<StoreErrorKind>,
}

impl Seen {
    /// The last look at a database: it takes the lead.
    async fn read(store: &dyn Store, fence: Fence) -> Result<Self, StoreError> {
        let held = Held::read(store).await?;
        Ok(Self {
            held,
            leads: store.sweep(Scope::from("nowhere"), 1, fence).await.is_ok(),
            refused: match store.lead(account()).await {
                Ok(_) => None,
                Err(error) => Some(error.kind().clone()),
            },
        })
    }
}

/// Makes a call on one fresh database after another, each prepared alike, and drops its future after one poll, after
/// two, and so on until it ends. What a store that is opened then finds is the state before or the one after.
async fn all_or_nothing<T, R>(
    database: &Database<'_>,
    prepare: impl AsyncFn(&Device) -> Outcome<T>,
    call: impl AsyncFn(&Device, T) -> Result<R, StoreError>,
) -> Outcome {
    let before = database.another("before");
    let device = before.open().await?;
    prepare(&device).await?;
    let before = Seen::read(&*device.store, device.fence).await?;

    let after = database.another("after");
    let device = after.open().await?;
    let prepared = prepare(&device).await?;
    call(&device, prepared).await?;
    let after = Seen::read(&*device.store, device.fence).await?;
    holds(before != after, "the call does something")?;

    for polls in 1..=MOST_POLLS {
        let database = database.another(&polls.to_string());
        let device = database.open().await?;
        let fence = device.fence;
        let prepared = prepare(&device).await?;
        let ended = match polled(polls, call(&device, prepared)).await {
            Some(outcome) => {
                outcome?;
                true
            }
            None => {
                // How the engine waits for what it has abandoned. The database may be bound to nobody.
                let _ = device.enqueue(Vec::new()).await;
                false
            }
        };
        drop(device);
        let found = Seen::read(&*database.store().await?, fence).await?;
        if ended {
            return holds(
                found == after,
                "a call that has ended is there when the database is opened again",
            );
        }
        if found != before && found != after {
            return Err(Failure::broken(format!(
                "a call that was dropped after poll {polls} should be whole or absent, and is neither"
            )));
        }
    }
    Ok(())
}

/// A page of a name of its own: twins get the same.
fn page(next: &str) -> PageOf {
    PageOf::new(Cursor::from(next))
}

pub(super) async fn a_call_that_was_never_polled_has_no_effect(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    device
        .pull("baby", page("c1").put("a", "pulled", 1)?)
        .await?;
    let id = device.create("b", "edited").await?;
    let (store, fence) = (&device.store, device.fence);
    let before = Held::read(&**store).await?;
    let scope = || Scope::from("baby");
    let asked = device.ask("baby").await?;

    drop(store.enqueue(device.enqueueing(vec![edit(key("b"), Op::Delete)])));
    drop(store.take(device.taking(Default::default(), 10, u64::MAX)));
    drop(store.settle(device.settling(vec![Settlement::Answer(id, rejected())])));
    drop(store.apply(device.applying(asked, page("c2").remove("a", 2).into())));
    drop(store.resync(scope(), true, fence));
    drop(store.purge(scope(), device.now(), fence));
    drop(store.wipe(true));
    drop(store.lead(account()));
    device.enqueue(Vec::new()).await?;

    holds(
        Held::read(&**store).await? == before,
        "a call whose future was never polled was never made",
    )?;
    let taken = device.send().await;
    holds(
        taken.is_ok_and(|taken| taken == [id]),
        "the lead stays where it was",
    )
}

pub(super) async fn an_enqueue_that_was_dropped_is_whole_or_absent(
    database: &Database<'_>,
) -> Outcome {
    let prepare = async |device: &Device| {
        device
            .pull("baby", page("c1").put("a", "pulled", 1)?)
            .await?;
        device.create("b", "first").await?;
        Ok(vec![
            edit(key("b"), Op::Update(state("second")?)),
            edit(key("a"), Op::Delete),
            edit(key("toy/c"), Op::Create(state("new")?)),
        ])
    };
    let call = async |device: &Device, edits| device.enqueue(edits).await;
    all_or_nothing(database, prepare, call).await
}

pub(super) async fn a_take_that_was_dropped_is_whole_or_absent(database: &Database<'_>) -> Outcome {
    let prepare = async |device: &Device| {
        device.create("a", "one").await?;
        device.create("b", "two").await?;
        device.create("toy/c", "three").await
    };
    let call = async |device: &Device, _| device.take().await;
    all_or_nothing(database, prepare, call).await
}

pub(super) async fn a_settlement_that_was_dropped_is_whole_or_absent(
    database: &Database<'_>,
) -> Outcome {
    let prepare = async |device: &Device| {
        let applies = device.create("a", "one").await?;
        let conflicts = device.create("b", "two").await?;
        let fails = device.create("toy/c", "three").await?;
        device.take().await?;
        device.update("toy/c", "four").await?;
        Ok(vec![
            Settlement::Answer(applies, applied(1)),
            Settlement::Answer(conflicts, conflict(Some(state("theirs")?), 2)),
            Settlement::Answer(fails, rejected()),
        ])
    };
    let call = async |device: &Device, answers| device.settle(answers).await;
    all_or_nothing(database, prepare, call).await
}

/// A record with two failed entries.
async fn failed(device: &Device) -> Outcome {
    let id = device.create("a", "refused").await?;
    device.take().await?;
    device.update("a", "after that").await?;
    device.answer(id, rejected()).await?;
    Ok(())
}

pub(super) async fn a_retry_or_a_discard_that_was_dropped_is_whole_or_absent(
    database: &Database<'_>,
) -> Outcome {
    let retry = async |device: &Device, ()| device.store.retry(key("a"), device.stamp()).await;
    all_or_nothing(&database.another("retry"), failed, retry).await?;
    let discard = async |device: &Device, ()| device.store.discard(key("a")).await;
    all_or_nothing(&database.another("discard"), failed, discard).await
}

pub(super) async fn a_binding_or_a_lead_that_was_dropped_is_whole_or_absent(
    database: &Database<'_>,
) -> Outcome {
    let unbound = async |device: &Device| Ok(device.store.wipe(true).await?);
    let bind = async |device: &Device, _| device.store.bind(account()).await;
    all_or_nothing(&database.another("bind"), unbound, bind).await?;
    let bound = async |_: &Device| Ok(());
    let lead = async |device: &Device, ()| device.store.lead(account()).await;
    all_or_nothing(&database.another("lead"), bound, lead).await
}

pub(super) async fn a_page_that_was_dropped_is_applied_whole_or_not_at_all(
    database: &Database<'_>,
) -> Outcome {
    let prepare = async |device: &Device| {
        let first = page("c1").put("a", "one", 1)?.put("b", "two", 2)?;
        device.pull("baby", first).await?;
        device.update("a", "edited").await?;
        let sent = device.create("c", "sent").await?;
        device.take().await?;
        let second = page("c2").put("a", "theirs", 3)?.remove("b", 4);
        let second = second.put("c", "sent", 5)?.by(sent).put("d", "new", 6)?;
        Ok((device.ask("baby").await?, second))
    };
    let call = async |device: &Device, (asked, page)| device.apply(asked, page).await;
    all_or_nothing(database, prepare, call).await
}

pub(super) async fn a_resync_that_was_dropped_has_begun_or_has_not(
    database: &Database<'_>,
) -> Outcome {
    let prepare = async |device: &Device| {
        device
            .pull("baby", page("c1").put("a", "pulled", 1)?)
            .await?;
        let id = device.create("b", "edited").await?;
        device.take().await?;
        Ok(device.answer(id, applied(2)).await?)
    };
    let call = async |device: &Device, _| {
        device
            .store
            .resync(Scope::from("baby"), true, device.fence)
            .await
    };
    all_or_nothing(database, prepare, call).await
}

pub(super) async fn a_step_of_a_sweep_that_was_dropped_is_whole_or_absent(
    database: &Database<'_>,
) -> Outcome {
    let prepare = async |device: &Device| {
        let first = page("c1").put("a", "gone", 1)?.put("b", "gone", 2)?;
        let first = first.put("c", "gone", 3)?.put("d", "stays", 4)?;
        device.pull("baby", first).await?;
        let scope = Scope::from("baby");
        device.store.resync(scope, false, device.fence).await?;
        device.pull("baby", page("c2").put("d", "stays", 4)?).await
    };
    let call = async |device: &Device, _| {
        device
            .store
            .sweep(Scope::from("baby"), 2, device.fence)
            .await
    };
    all_or_nothing(database, prepare, call).await
}

pub(super) async fn a_purge_that_was_dropped_is_whole_or_absent(
    database: &Database<'_>,
) -> Outcome {
    let prepare = async |device: &Device| {
        device
            .pull("baby", page("c1").put("a", "pulled", 1)?)
            .await?;
        device.update("a", "edited").await?;
        device.create("b", "new").await
    };
    let call = async |device: &Device, _| {
        let at = device.now();
        device
            .store
            .purge(Scope::from("baby"), at, device.fence)
            .await
    };
    all_or_nothing(database, prepare, call).await
}

/// A conflict and a revoked mutation that wait for the app, and a record with an edit.
async fn waiting(device: &Device) -> Outcome<Vec<MutationId>> {
    let ids = vec![
        device.create("a", "one").await?,
        device.create("b", "two").await?,
    ];
    device.take().await?;
    for id in &ids {
        let theirs = conflict(Some(state("theirs")?), 3);
        device.answer(*id, theirs).await?;
    }
    device.create("toy/c", "revoked").await?;
    device.create("toy/d", "revoked").await?;
    let (toy, at) = (Scope::from("toy"), device.now());
    device.store.purge(toy, at, device.fence).await?;
    device
        .pull("baby", page("c1").put("e", "pulled", 4)?)
        .await?;
    device.update("e", "edited").await?;
    Ok(ids)
}

pub(super) async fn a_wipe_that_was_dropped_is_whole_or_absent(database: &Database<'_>) -> Outcome {
    let call = async |device: &Device, _| device.store.wipe(true).await;
    all_or_nothing(database, waiting, call).await
}

pub(super) async fn an_acknowledgement_that_was_dropped_is_whole_or_absent(
    database: &Database<'_>,
) -> Outcome {
    let conflicts = async |device: &Device, ids| device.store.acknowledge_conflicts(ids).await;
    all_or_nothing(&database.another("conflicts"), waiting, conflicts).await?;
    let prepare = async |device: &Device| {
        waiting(device).await?;
        let revoked = device.store.revoked().await?;
        Ok(revoked.iter().map(|r| r.mutation.id).collect())
    };
    let revoked = async |device: &Device, ids| device.store.acknowledge_revoked(ids).await;
    all_or_nothing(&database.another("revoked"), prepare, revoked).await
}
