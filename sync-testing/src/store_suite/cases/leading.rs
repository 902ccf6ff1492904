//! Who leads, and what engines on one database tell each other. Time is the suite's: it stands still while a lease
//! has to hold, and passes while something has to happen.

use std::{sync::Arc, time::Duration};

use sync_core::{
    coordination::{Lease, Notice, PeerId},
    error::{StoreError, StoreErrorKind},
    model::{MutationId, Page, Scope},
    store::{Settlement, Store},
    time::Clock,
};

use crate::{
    VirtualClock,
    store_suite::{
        database::{Database, Device, account, applied},
        failure::{Failure, Outcome, fails, holds},
        held::Held,
        polled::polled,
    },
};

/// A handle that led, with a database that another leads by now.
async fn deposed(database: &Database<'_>) -> Outcome<(Device, MutationId)> {
    let old = database.open().await?;
    let page = old.page().put("a", "pulled", 1)?.put("b", "pulled", 2)?;
    old.pull("baby", page).await?;
    let id = old.update("a", "edited").await?;
    old.take().await?;
    database.open().await?;
    Ok((old, id))
}

async fn refused<T: std::fmt::Debug>(
    device: &Device,
    what: &str,
    call: impl AsyncFn(&Device) -> Result<T, StoreError>,
) -> Outcome {
    let before = Held::read(&*device.store).await?;
    fails(what, call(device).await, &StoreErrorKind::Fenced)?;
    let after = Held::read(&*device.store).await?;
    holds(before == after, "a call that is refused changes nothing")
}

pub(super) async fn who_led_before_takes_no_batch(database: &Database<'_>) -> Outcome {
    let (old, _) = deposed(database).await?;
    refused(&old, "a take by an older leader", async |old| {
        old.take().await
    })
    .await
}

pub(super) async fn who_led_before_settles_nothing(database: &Database<'_>) -> Outcome {
    let (old, id) = deposed(database).await?;
    let settle = async |old: &Device| {
        let answer = Settlement::Answer(id, applied(3));
        old.settle(vec![answer]).await
    };
    refused(&old, "a settlement by an older leader", settle).await
}

pub(super) async fn who_led_before_applies_no_page(database: &Database<'_>) -> Outcome {
    let (old, _) = deposed(database).await?;
    let page = Page::from(old.page().put("b", "late", 4)?);
    let asked = old.ask("baby").await?;
    let apply = async |old: &Device| old.apply(asked.clone(), page.clone()).await;
    refused(&old, "a page from an older leader", apply).await
}

pub(super) async fn who_led_before_begins_and_sweeps_no_resync(database: &Database<'_>) -> Outcome {
    let (old, _) = deposed(database).await?;
    let resync = async |old: &Device| {
        old.store
            .resync(Scope::from("baby"), false, old.fence)
            .await
    };
    refused(&old, "a resync by an older leader", resync).await?;

    let new = database.open().await?;
    new.store
        .resync(Scope::from("baby"), false, new.fence)
        .await?;
    let page = new.page().put("a", "pulled", 1)?;
    new.pull("baby", page).await?;
    let sweep = async |old: &Device| old.store.sweep(Scope::from("baby"), 10, old.fence).await;
    refused(&old, "a sweep by an older leader", sweep).await
}

pub(super) async fn who_led_before_purges_nothing(database: &Database<'_>) -> Outcome {
    let (old, _) = deposed(database).await?;
    let purge = async |old: &Device| {
        let at = old.now();
        old.store.purge(Scope::from("baby"), at, old.fence).await
    };
    refused(&old, "a purge by an older leader", purge).await
}

/// How often a store is looked at before it is given up, and how much time passes in between.
const LOOKS: usize = 1_000;
const BETWEEN: Duration = Duration::from_millis(500);

type Acquired = Result<Box<dyn Lease>, StoreError>;

/// A call on the store: what it does beside its calls has its turn meanwhile.
async fn turn(store: &dyn Store) -> Outcome {
    Ok(store.bind(account()).await?)
}

/// Looks whether a handle leads, for as long as `looks`; each time this much time has passed.
async fn led(
    acquiring: &mut (impl Future<Output = Acquired> + Unpin),
    store: &dyn Store,
    clock: &VirtualClock,
    (looks, between): (usize, Duration),
) -> Outcome<Option<Box<dyn Lease>>> {
    for _ in 0..looks {
        if let Some(lease) = polled(1, &mut *acquiring).await {
            return Ok(Some(lease?));
        }
        turn(store).await?;
        clock.advance(between);
    }
    Ok(None)
}

/// The lead, when it is free or will be.
async fn lead(
    acquiring: &mut (impl Future<Output = Acquired> + Unpin),
    store: &dyn Store,
    clock: &VirtualClock,
) -> Outcome<Box<dyn Lease>> {
    let lease = led(acquiring, store, clock, (LOOKS, BETWEEN)).await?;
    lease.ok_or_else(|| Failure::broken("a lead that nobody holds should come to who waits for it"))
}

/// Whether a handle leads although no time passes.
async fn leads_meanwhile(
    acquiring: &mut (impl Future<Output = Acquired> + Unpin),
    store: &dyn Store,
    clock: &VirtualClock,
) -> Outcome<bool> {
    let lease = led(acquiring, store, clock, (20, Duration::ZERO)).await?;
    Ok(lease.is_some())
}

pub(super) async fn one_leads_at_a_time(database: &Database<'_>) -> Outcome {
    let (one, two) = (database.store().await?, database.store().await?);
    let clock = VirtualClock::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let (first, second) = (one.leadership(), two.leadership());
    let again = one.leadership();
    let mut lease = lead(&mut first.acquire(Arc::clone(&shared)), &*one, &clock).await?;
    let mut of_other = second.acquire(Arc::clone(&shared));
    let mut of_same = again.acquire(Arc::clone(&shared));
    holds(
        !leads_meanwhile(&mut of_other, &*two, &clock).await?,
        "another handle does not lead meanwhile",
    )?;
    holds(
        !leads_meanwhile(&mut of_same, &*one, &clock).await?,
        "a second engine on the same handle does not lead meanwhile",
    )?;
    holds(
        polled(1, lease.lost()).await.is_none(),
        "a lease is not lost while no time passes",
    )
}

pub(super) async fn a_lead_passes_on_when_it_is_released_or_dropped(
    database: &Database<'_>,
) -> Outcome {
    let (one, two) = (database.store().await?, database.store().await?);
    let clock = VirtualClock::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let (first, second) = (one.leadership(), two.leadership());
    let lease = lead(&mut first.acquire(Arc::clone(&shared)), &*one, &clock).await?;
    let mut waiting = second.acquire(Arc::clone(&shared));
    holds(
        !leads_meanwhile(&mut waiting, &*two, &clock).await?,
        "who waits does not lead before the lead is free",
    )?;
    lease.release().await;
    let lease = lead(&mut waiting, &*two, &clock).await?;
    drop(lease);
    lead(&mut first.acquire(shared), &*one, &clock).await?;
    Ok(())
}

pub(super) async fn who_gives_up_waiting_is_not_given_the_lead(database: &Database<'_>) -> Outcome {
    let (one, two) = (database.store().await?, database.store().await?);
    let clock = VirtualClock::new();
    let shared: Arc<dyn Clock> = Arc::new(clock.clone());
    let (first, second) = (one.leadership(), two.leadership());
    let lease = lead(&mut first.acquire(Arc::clone(&shared)), &*one, &clock).await?;
    let mut waiting = second.acquire(Arc::clone(&shared));
    holds(
        !leads_meanwhile(&mut waiting, &*two, &clock).await?,
        "who waits does not lead before the lead is free",
    )?;
    drop(waiting);
    lease.release().await;
    lead(&mut first.acquire(shared), &*one, &clock).await?;
    Ok(())
}

pub(super) async fn a_notice_reaches_the_other_handle(database: &Database<'_>) -> Outcome {
    let (one, two) = (database.store().await?, database.store().await?);
    turn(&*one).await?;
    let clock = VirtualClock::new();
    let (sender, receiver) = (one.peers(), two.peers());
    let mut notices = receiver.listen(PeerId(2), Arc::new(clock.clone()));
    // One may be lost. That all are is too much.
    for _ in 0..LOOKS {
        sender.send(PeerId(1), &Notice::SyncWanted(vec![Scope::from("baby")]));
        turn(&*one).await?;
        if polled(1, notices.next()).await.is_some() {
            return Ok(());
        }
        turn(&*two).await?;
        clock.advance(BETWEEN);
    }
    Err(Failure::broken(
        "of many notices one should reach the other handle",
    ))
}

pub(super) async fn an_engine_does_not_hear_its_own_notices(database: &Database<'_>) -> Outcome {
    let store = database.store().await?;
    let clock = VirtualClock::new();
    let peers = store.peers();
    let mut notices = peers.listen(PeerId(1), Arc::new(clock.clone()));
    let own = Notice::SyncWanted(vec![Scope::from("baby")]);
    for _ in 0..20 {
        peers.send(PeerId(1), &own);
        turn(&*store).await?;
        let heard = polled(1, notices.next()).await;
        holds(
            heard.as_ref() != Some(&own),
            "an engine does not hear itself",
        )?;
        turn(&*store).await?;
        clock.advance(BETWEEN);
    }
    Ok(())
}
