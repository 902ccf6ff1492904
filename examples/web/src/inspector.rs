//! What the engine keeps, laid open: the overlay with the outbox in it, the bases, the cursors, and the requests.

use idb::{Factory, TransactionMode};
use leptos::prelude::*;
use leptos_hooks::{use_engine, use_reread};
use sync_core::{
    engine::SyncEngine,
    store::{CursorStore, Entry, EntryFilter, EntryState},
};
use sync_idb::IdbStore;

use crate::{
    device::{Device, database},
    time::clock,
};

/// What the panel shows, as text.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    overlay: Vec<[String; 4]>,
    bases: Vec<String>,
    scopes: Vec<[String; 3]>,
}

#[component]
pub(crate) fn Inspector() -> impl IntoView {
    view! {
        <section class="inspector" aria-label="Inspector">
            <details>
                <summary>"Inspector"</summary>
                <Panel/>
            </details>
        </section>
    }
}

#[component]
fn Panel() -> impl IntoView {
    let engine = use_engine();
    let Device { store, switch, .. } = expect_context();
    let seen = use_reread(&engine, move |engine| read(engine, store.clone()));
    let requests = Memo::new(move |_| switch.requests());
    view! {
        <h3>"Overlay"</h3>
        {move || table(&["#", "edit", "record", "state"], seen.get().overlay)}
        <h3>"Bases"</h3>
        <ul class="plain mono" data-testid="bases">
            {move || seen.get().bases.into_iter().map(|row| view! { <li>{row}</li> }).collect_view()}
        </ul>
        <h3>"Cursors"</h3>
        {move || table(&["scope", "cursor", "scanned to"], seen.get().scopes)}
        <h3>"Requests"</h3>
        {move || table(&["time", "request", "end"], requests.get().into_iter().map(|request| {
            [clock(request.at), request.what, request.end]
        }).collect())}
    }
}

fn table<const N: usize>(heads: &'static [&str], rows: Vec<[String; N]>) -> impl IntoView {
    view! {
        <div class="scroll" tabindex="0">
            <table>
                <thead>
                    <tr>{heads.iter().map(|head| view! { <th scope="col">{*head}</th> }).collect_view()}</tr>
                </thead>
                <tbody>
                    {rows.into_iter().map(|row| view! {
                        <tr>{row.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view()}</tr>
                    }).collect_view()}
                </tbody>
            </table>
        </div>
    }
}

async fn read(engine: SyncEngine, store: IdbStore) -> Seen {
    // What cannot be read now is read again with the next event.
    let entries = engine.entries(EntryFilter::default()).await;
    let scopes = store.scopes().await.unwrap_or_default();
    let scopes = scopes.into_iter().map(|row| {
        [
            row.scope.to_string(),
            row.cursor
                .map_or_else(|| "none".to_owned(), |cursor| cursor.as_str().to_owned()),
            row.through
                .map_or_else(String::new, |through| through.to_string()),
        ]
    });
    Seen {
        overlay: entries.unwrap_or_default().iter().map(shown).collect(),
        bases: bases(engine.account().as_str()).await.unwrap_or_default(),
        scopes: scopes.collect(),
    }
}

fn shown(entry: &Entry) -> [String; 4] {
    let mutation = &entry.mutation;
    let state = match &entry.state {
        EntryState::Pending(pending) if pending.sends == 0 => "pending".to_owned(),
        EntryState::Pending(pending) => format!("pending, sent {} times", pending.sends),
        EntryState::Acknowledged(_) => "acknowledged".to_owned(),
        EntryState::Failed(_) => "failed".to_owned(),
    };
    [
        entry.seq.0.to_string(),
        mutation.op.name().to_owned(),
        mutation.key.to_string(),
        state,
    ]
}

/// The bases have no role of their own, as no app needs them: read by a second connection, closed again at once so
/// that it never stands in the way of a newer version of the app.
async fn bases(account: &str) -> Result<Vec<String>, idb::Error> {
    let database = Factory::new()?.open(&database(account), None)?.await?;
    let transaction = database.transaction(&["sync_bases"], TransactionMode::ReadOnly)?;
    let rows = transaction
        .object_store("sync_bases")?
        .get_all(None, None)?
        .await?;
    database.close();
    let text = |row| js_sys::JSON::stringify(&row).map(String::from);
    Ok(rows.into_iter().filter_map(|row| text(row).ok()).collect())
}
