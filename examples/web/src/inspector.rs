//! What the engine keeps, laid open: the overlay with the outbox in it, the bases, the cursors, and the requests.

use leptos::prelude::*;
use leptos_hooks::{use_engine, use_reread};
use sync_core::{
    engine::SyncEngine,
    model::{Op, Payload, RecordKey},
    store::{BaseRow, CursorStore, Entry, EntryFilter, EntryState, ScopeRow},
};
use sync_idb::IdbStore;

use crate::{
    bases,
    device::{Device, database},
    switch::Request,
    time::clock,
    words::times,
};

/// What the panel shows of the database.
#[derive(Clone, Debug, Default, PartialEq)]
struct Seen {
    overlay: Vec<Row>,
    bases: Vec<Row>,
    scopes: Vec<Row>,
}

type Row = Vec<Cell>;

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Text(String),
    /// A name that is mostly an id: its beginning is shown, the whole of it on asking.
    Name(String),
    Json(String),
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
    let requests = Memo::new(move |_| switch.requests().into_iter().map(asked).collect());
    view! {
        <div class="panel">
            <Table
                name="Overlay"
                about="Edits that are not seen in a pull yet, oldest first; those that wait are the outbox."
                heads=&["#", "edit", "scope", "type", "id", "written", "state"]
                rows=Signal::derive(move || seen.get().overlay)
            />
            <Table
                name="Bases"
                about="What a pull last brought of the records that have something in the overlay."
                heads=&["scope", "type", "id", "change", "pulled"]
                rows=Signal::derive(move || seen.get().bases)
            />
            <Table
                name="Cursors"
                about="Where the next pull of each scope goes on."
                heads=&["scope", "cursor", "scanned to"]
                rows=Signal::derive(move || seen.get().scopes)
            />
            <Table
                name="Requests"
                about="What went over the network, newest first."
                heads=&["time", "request", "scope", "end"]
                rows=requests.into()
            />
        </div>
    }
}

#[component]
fn Table(
    name: &'static str,
    about: &'static str,
    heads: &'static [&'static str],
    rows: Signal<Vec<Row>>,
) -> impl IntoView {
    let row = move |cells: Row| {
        let cells = cells.into_iter().zip(heads);
        view! { <tr>{cells.map(|(cell, head)| shown(cell, head)).collect_view()}</tr> }
    };
    view! {
        <section aria-label=name>
            <h3>{name}</h3>
            <p class="hint">{about}</p>
            <div class="scroll" tabindex="0">
                <table>
                    <thead>
                        <tr>{heads.iter().map(|head| view! { <th scope="col">{*head}</th> }).collect_view()}</tr>
                    </thead>
                    <tbody>{move || rows.get().into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
            {move || rows.read().is_empty().then(|| view! { <p class="hint">"None."</p> })}
        </section>
    }
}

/// A narrow page stacks the cells of a row, each with its head before it.
fn shown(cell: Cell, head: &'static str) -> impl IntoView {
    match cell {
        Cell::Text(text) => view! { <td data-head=head>{text}</td> }.into_any(),
        Cell::Name(name) => {
            view! { <td data-head=head title=name.clone()>{beginning(&name)}</td> }.into_any()
        }
        Cell::Json(json) => view! { <td data-head=head><pre>{json}</pre></td> }.into_any(),
    }
}

/// As much of a name as tells it from others on a page.
fn beginning(name: &str) -> String {
    const SHOWN: usize = "baby-01234567".len();
    match name.char_indices().nth(SHOWN) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}…", &name[..end]),
    }
}

async fn read(engine: SyncEngine, store: IdbStore) -> Seen {
    // What cannot be read now is read again with the next event.
    let entries = engine.entries(EntryFilter::default()).await;
    let bases = bases::read(&database(engine.account().as_str())).await;
    let scopes = store.scopes().await;
    Seen {
        overlay: entries.unwrap_or_default().iter().map(entry).collect(),
        bases: bases.unwrap_or_default().iter().map(base).collect(),
        scopes: scopes.unwrap_or_default().iter().map(scope).collect(),
    }
}

fn entry(entry: &Entry) -> Row {
    let mutation = &entry.mutation;
    let state = match &entry.state {
        EntryState::Pending(pending) => match pending.sent_at {
            None => "waits".to_owned(),
            Some(at) => format!("sent {}, first at {}", times(pending.sends), clock(at)),
        },
        EntryState::Acknowledged(_) => "applied, not pulled yet".to_owned(),
        EntryState::Failed(failed) => format!("failed at {}: {}", clock(failed.at), failed.message),
    };
    let mut row = vec![
        Cell::Text(entry.seq.0.to_string()),
        Cell::Text(mutation.op.name().to_owned()),
    ];
    row.extend(names(&mutation.key));
    row.push(match &mutation.op {
        Op::Create(payload) | Op::Update(payload) => Cell::Json(readable(payload)),
        Op::Delete => Cell::Text("nothing".to_owned()),
    });
    row.push(Cell::Text(state));
    row
}

fn base((key, base): &(RecordKey, BaseRow)) -> Row {
    let mut row: Row = names(key).into();
    let number = base.seq.map_or_else(String::new, |seq| seq.to_string());
    row.push(Cell::Text(number));
    row.push(match &base.payload {
        Some((payload, _)) => Cell::Json(readable(payload)),
        None => Cell::Text("no such record".to_owned()),
    });
    row
}

fn scope(row: &ScopeRow) -> Row {
    let cursor = row.cursor.as_ref();
    let cursor = cursor.map_or("none: from the start", |cursor| cursor.as_str());
    let through = row.through;
    let through = through.map_or_else(String::new, |through| format!("change {through}"));
    vec![
        Cell::Name(row.scope.to_string()),
        Cell::Text(cursor.to_owned()),
        Cell::Text(through),
    ]
}

fn asked(request: Request) -> Row {
    vec![
        Cell::Text(clock(request.at)),
        Cell::Text(request.what),
        Cell::Name(request.scope),
        Cell::Text(request.end),
    ]
}

fn names(key: &RecordKey) -> [Cell; 3] {
    [
        Cell::Name(key.scope.to_string()),
        Cell::Text(key.entity_type.to_string()),
        Cell::Name(key.entity_id.to_string()),
    ]
}

/// JSON with a line for each field.
fn readable(payload: &Payload) -> String {
    let value = payload.decode::<serde_json::Value>();
    let lines = value
        .ok()
        .and_then(|value| serde_json::to_string_pretty(&value).ok());
    lines.unwrap_or_else(|| payload.as_str().to_owned())
}
