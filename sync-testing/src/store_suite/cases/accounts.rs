//! To whom a database belongs, and who leads it.

use sync_core::{
    error::StoreErrorKind,
    model::{Account, Op},
};

use crate::store_suite::{
    database::{Database, account, edit, key, state},
    failure::{Outcome, equal, fails, holds, succeeds},
};

pub(super) async fn a_database_is_bound_to_its_first_account(database: &Database<'_>) -> Outcome {
    let store = database.store().await?;
    store.bind(account()).await?;
    succeeds("binding again", store.bind(account()).await)?;
    let call = store.bind(bob()).await;
    fails("binding to another account", call, &others())?;
    drop(store);
    let store = database.store().await?;
    let call = store.bind(bob()).await;
    let what = "binding to another account after reopening";
    fails(what, call, &others())?;
    succeeds("binding again after reopening", store.bind(account()).await)
}

pub(super) async fn a_database_that_is_not_bound_has_no_leader_and_no_edits(
    database: &Database<'_>,
) -> Outcome {
    let bound = database.another("bound").open().await?;
    let store = database.store().await?;
    let call = store.lead(account()).await;
    let what = "leading what is not bound";
    fails(what, call, &StoreErrorKind::Invalid)?;
    let edits = vec![edit(key("a"), Op::Create(state("new")?))];
    let call = store.enqueue(bound.enqueueing(edits)).await;
    let what = "an edit of what is not bound";
    fails(what, call, &StoreErrorKind::Invalid)?;
    let first = store.get(key("a")).await?;
    equal("the view", first.map(|row| row.payload), None)?;
    // None of it has bound the database.
    succeeds("binding to any account", store.bind(bob()).await)
}

pub(super) async fn only_the_account_of_a_database_leads_it(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let id = device.create("a", "new").await?;
    let call = device.store.lead(bob()).await;
    fails("leading for another account", call, &others())?;
    let sent = succeeds("taking with the token", device.send().await)?;
    equal("what the leader sends", sent, vec![id])
}

pub(super) async fn each_leader_gets_a_newer_token_also_after_reopening(
    database: &Database<'_>,
) -> Outcome {
    let first = database.open().await?;
    let second = first.store.lead(account()).await?;
    holds(second > first.fence, "a second leader has a newer token")?;
    let third = database.open().await?;
    holds(third.fence > second, "so has one on another handle")?;
    let fence = third.fence;
    drop(first);
    let fourth = database.reopen(third).await?;
    holds(fourth.fence > fence, "so has one after reopening")?;
    succeeds("taking with the newest token", fourth.take().await).map(drop)
}

fn bob() -> Account {
    Account::from("bob")
}

/// How it is refused that another account than the database's does something.
fn others() -> StoreErrorKind {
    let bound = account();
    StoreErrorKind::OtherAccount { bound }
}
