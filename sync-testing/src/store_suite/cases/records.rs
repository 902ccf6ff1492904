//! Reading records: one, a list, a number.

use sync_core::{
    error::StoreError,
    model::{EntityId, EntityType, Op, RecordKey, Schema, Scope},
    store::{Counts, EntryFilter, ListRequest, ScopeRow},
};

use crate::store_suite::{
    Failure,
    database::{Database, Device, edit, key, state},
    failure::{Outcome, equal, holds},
};

/// The ids of a list.
pub(super) async fn listed(
    device: &Device,
    (scope, entity_type): (&str, &str),
    after: Option<&str>,
    limit: Option<u32>,
) -> Result<Vec<String>, StoreError> {
    let request = ListRequest {
        scope: Scope::from(scope),
        entity_type: EntityType::from(entity_type),
        after: after.map(EntityId::from),
        limit,
    };
    let rows = device.store.list(request).await?;
    let ids = rows.iter().map(|row| row.key.entity_id.to_string());
    Ok(ids.collect())
}

/// All ids of a list, read so many at a time.
pub(super) async fn listed_in_steps(
    device: &Device,
    list: (&str, &str),
    limit: u32,
) -> Outcome<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    for _ in 0..100 {
        let step = listed(device, list, ids.last().map(String::as_str), Some(limit)).await?;
        holds(
            step.len() <= limit as usize,
            "a list holds no more than was asked for",
        )?;
        if step.is_empty() {
            return Ok(ids);
        }
        ids.extend(step);
    }
    Err(Failure::broken(
        "a list that goes on after its last id should come to an end",
    ))
}

pub(super) async fn a_list_goes_step_by_step_through_everything_once(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let id = |n: u64| format!("r{:02}", n * 7 % 25);
    let mut page = device.page();
    for n in 0..25 {
        if n % 3 == 0 {
            device.create(&id(n), "mine").await?;
        } else {
            page = page.put(&id(n), "theirs", n + 1)?;
        }
    }
    device.pull("baby", page).await?;
    let logs = ("baby", "log");
    let all: Vec<String> = (0..25).map(|n| format!("r{n:02}")).collect();
    equal("all", listed(&device, logs, None, None).await?, &all[..])?;
    for limit in [1, 4, 25, 100] {
        let found = listed_in_steps(&device, logs, limit).await?;
        equal("all, in steps", found, &all[..])?;
    }
    // An id may have gone since it was read.
    device.delete("r07").await?;
    let after = listed(&device, logs, Some("r07"), Some(2)).await?;
    equal("what comes after r07", after, ["r08", "r09"])?;
    let after = listed(&device, logs, Some("r05"), Some(3)).await?;
    equal("what comes after r05", after, ["r06", "r08", "r09"])?;
    let after = listed(&device, logs, Some("r24"), None).await?;
    equal("what comes after the last", after.len(), 0)
}

pub(super) async fn a_list_is_of_one_scope_and_one_type(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let scopes = ["bab", "baby", "baby2"];
    let types = ["lo", "log", "logs"];
    for scope in scopes {
        let mut page = device.page();
        for (entity_type, seq) in types.into_iter().zip(1..) {
            let pulled = format!("{scope}-{entity_type}-pulled");
            page = page.put_as(entity_type, &pulled, state("theirs")?, seq);
            let edited = format!("{scope}-{entity_type}-edited");
            let create = Op::Create(state("mine")?);
            let key = RecordKey::new(scope, entity_type, edited);
            device.enqueue(vec![edit(key, create)]).await?;
        }
        device.pull(scope, page).await?;
    }
    for scope in scopes {
        for entity_type in types {
            let name = format!("{scope}-{entity_type}");
            let found = listed(&device, (scope, entity_type), None, None).await?;
            let expected = [format!("{name}-edited"), format!("{name}-pulled")];
            equal(&name, found, expected)?;
        }
    }
    Ok(())
}

pub(super) async fn a_count_is_of_what_the_app_sees(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let page = device.page().put("a", "one", 1)?.put("b", "one", 2)?;
    let page = page.put_as("note", "a", state("one")?, 3);
    device.pull("baby", page).await?;
    device
        .pull("toy", device.page().put("a", "one", 1)?)
        .await?;
    device.create("c", "mine").await?;
    device.create("d", "mine").await?;
    device.update("a", "mine").await?;
    device.delete("b").await?;
    let device = database.reopen(device).await?;
    let expected = [
        ("baby", Some("log"), 3),
        ("baby", Some("note"), 1),
        ("baby", Some("other"), 0),
        ("baby", None, 4),
        ("toy", None, 1),
        ("toy", Some("note"), 0),
        ("nowhere", None, 0),
    ];
    for (scope, entity_type, count) in expected {
        let found = device
            .store
            .count(Scope::from(scope), entity_type.map(EntityType::from));
        let what = format!("the count of {entity_type:?} in {scope}");
        equal(&what, found.await?, count)?;
    }
    Ok(())
}

pub(super) async fn what_is_not_there_is_none_and_looking_leaves_nothing(
    database: &Database<'_>,
) -> Outcome {
    let device = database.open().await?;
    let (nowhere, store) = (Scope::from("nowhere"), &device.store);
    let row = device.scope("nowhere").await?;
    let fresh = ScopeRow::new(nowhere.clone(), row.generation);
    equal("the row of an unknown scope", row, fresh)?;
    equal("a record", device.row("nowhere/a").await?, None)?;
    let found = listed(&device, ("nowhere", "log"), None, None).await?;
    equal("the list", found.len(), 0)?;
    let counts = store.counts(Some(nowhere.clone())).await?;
    equal("the counts", counts, Counts::default())?;
    let conflicts = store.conflicts(Some(nowhere.clone())).await?;
    equal("the conflicts", conflicts.len(), 0)?;
    let filter = EntryFilter {
        scope: Some(nowhere),
        ..EntryFilter::default()
    };
    equal("the edits", store.entries(filter).await?.len(), 0)?;
    let (retried, _) = store.retry(key("nowhere/a"), device.stamp()).await?;
    equal("what is tried again", retried, None)?;
    let (dropped, _) = store.discard(key("nowhere/a")).await?;
    equal("what is discarded", dropped.len(), 0)?;
    equal("the scopes", store.scopes().await?.len(), 0)?;

    device
        .pull("baby", device.page().put("a", "one", 1)?)
        .await?;
    for key in [key("b"), key("toy/a"), RecordKey::new("baby", "note", "a")] {
        equal("a record that is not there", store.get(key).await?, None)?;
    }
    let scopes = store.scopes().await?;
    equal("the number of scopes", scopes.len(), 1)
}

pub(super) async fn changes_of_unknown_types_are_kept(database: &Database<'_>) -> Outcome {
    let device = database.open().await?;
    let future = "from_the_future";
    let page = device.page().put_as(future, "a", state("one")?, 1);
    let page = page.schema(Schema(9)).put("a", "one", 2)?;
    let page = page.put_as(future, "b", state("two")?, 3);
    device.pull("baby", page).await?;
    let device = database.reopen(device).await?;
    let row = device
        .store
        .get(RecordKey::new("baby", future, "a"))
        .await?;
    let found = row.map(|row| (row.payload, row.schema, row.seq));
    let expected = Some((state("one")?, Schema(9), Some(1)));
    equal("the record", found, expected)?;
    let found = listed(&device, ("baby", future), None, None).await?;
    equal("the list", found, ["a", "b"])?;
    let all = device.store.count(Scope::from("baby"), None).await?;
    equal("the number of all records", all, 3)?;
    let unknown = Some(EntityType::from(future));
    let of_type = device.store.count(Scope::from("baby"), unknown).await?;
    equal("the number of those", of_type, 2)
}
