//! Which views a call says that it has changed.

use std::collections::BTreeMap;

use sync_core::{
    model::{Op, RecordKey},
    store::Touched,
};

use crate::store_suite::{
    database::{Database, Device, applied, conflict, key, rejected, state},
    failure::{Outcome, equal},
};

/// Each scope with its types, as text.
fn views(touched: &Touched) -> BTreeMap<&str, Vec<&str>> {
    let scopes = touched.0.iter();
    scopes
        .map(|(scope, types)| (scope.as_str(), types.iter().map(|t| t.as_str()).collect()))
        .collect()
}

#[track_caller]
fn touches(what: &str, touched: &Touched, expected: &[(&str, &[&str])]) -> Outcome {
    let expected = expected.iter();
    let expected: BTreeMap<_, _> = expected.map(|(s, types)| (*s, types.to_vec())).collect();
    equal(&format!("what {what} touches"), views(touched), expected)
}

/// Logs and notes in two scopes.
async fn filled(database: &Database<'_>) -> Outcome<Device> {
    let device = database.open().await?;
    for scope in ["baby", "toy"] {
        let page = device.page().put("a", "one", 1)?.put("b", "one", 2)?;
        let page = page.put_as("note", "a", state("one")?, 3);
        device.pull(scope, page).await?;
    }
    Ok(device)
}

pub(super) async fn a_page_says_which_views_it_has_changed(database: &Database<'_>) -> Outcome {
    let device = filled(database).await?;
    device.update("a", "mine").await?;
    let page = device.page().put_as("note", "b", state("two")?, 4);
    let applied = device.pull("baby", page).await?;
    touches("a page of notes", &applied.touched, &[("baby", &["note"])])?;
    let page = device.page().put_as("note", "b", state("three")?, 5);
    let page = page.remove("b", 6);
    let applied = device.pull("baby", page).await?;
    let expected: &[(&str, &[&str])] = &[("baby", &["log", "note"])];
    touches("a page of both", &applied.touched, expected)?;
    let applied = device.pull("toy", device.page().through(9)).await?;
    touches("an empty page", &applied.touched, &[])
}

pub(super) async fn settling_and_discarding_say_which_views_they_have_changed(
    database: &Database<'_>,
) -> Outcome {
    let device = filled(database).await?;
    let log = device.update("a", "mine").await?;
    let note = RecordKey::new("toy", "note", "a");
    let note = device.queue(note, Op::Delete).await?;
    device.send().await?;
    let report = device.answer(log, rejected()).await?;
    touches("a rejection", &report.touched, &[("baby", &["log"])])?;
    let report = device.answer(log, applied(9)).await?;
    touches("an answer that comes too late", &report.touched, &[])?;
    let lost = conflict(Some(state("theirs")?), 7);
    let report = device.answer(note, lost).await?;
    touches("a lost delete", &report.touched, &[("toy", &["note"])])?;
    let touched = device.store.acknowledge_conflicts(vec![note]).await?;
    touches("acknowledging", &touched, &[("toy", &["note"])])?;
    let touched = device.store.acknowledge_conflicts(vec![note]).await?;
    touches("acknowledging again", &touched, &[])?;
    let (_, touched) = device.store.discard(key("a")).await?;
    touches("discarding", &touched, &[("baby", &["log"])])?;
    let (_, touched) = device.store.discard(key("a")).await?;
    touches("discarding again", &touched, &[])
}

pub(super) async fn a_sweep_says_which_views_it_has_changed(database: &Database<'_>) -> Outcome {
    let device = filled(database).await?;
    device.resync("baby", false).await?;
    let page = device.page().put("a", "one", 1)?.put("b", "one", 2)?;
    device.pull("baby", page).await?;
    let touched = device.sweep_all("baby").await?;
    touches("a sweep", &touched, &[("baby", &["note"])])
}

pub(super) async fn a_purge_and_a_wipe_say_which_views_they_have_changed(
    database: &Database<'_>,
) -> Outcome {
    let device = filled(database).await?;
    device.create("shelf/a", "mine").await?;
    let purged = device.purge("baby").await?;
    touches("a purge", &purged.touched, &[("baby", &["log", "note"])])?;
    let purged = device.purge("baby").await?;
    touches("a purge of nothing", &purged.touched, &[])?;
    let touched = device.store.wipe(true).await?;
    let expected: &[(&str, &[&str])] = &[("shelf", &["log"]), ("toy", &["log", "note"])];
    touches("a wipe", &touched, expected)
}
