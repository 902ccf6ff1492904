//! A list that follows the database, a form that adds to it, and a line that says how the engine stands.

use leptos::{ev::SubmitEvent, html, prelude::*, task::spawn_local};
use serde::{Deserialize, Serialize};
use sync_core::engine::Entity;
use uuid::Uuid;

use crate::{Row, use_engine, use_live, use_status};

/// A note.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Note {
    /// Its id.
    pub id: String,
    /// What it says.
    pub text: String,
}

impl Entity for Note {
    const TYPE: &'static str = "note";

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// The notes of a scope.
#[component]
pub fn Notes(
    /// The scope.
    #[prop(into)]
    scope: String,
) -> impl IntoView {
    let scope = use_engine().scope(scope.as_str());
    // Pulled now, and polled for as long as somebody looks.
    let _active = StoredValue::new(scope.activate());
    let rows = use_live::<Note>(&scope);
    let text = NodeRef::<html::Input>::new();
    let (error, set_error) = signal(None::<String>);
    let add = move |event: SubmitEvent| {
        event.prevent_default();
        let Some(input) = text.get() else { return };
        let (scope, id) = (scope.clone(), Uuid::new_v4().to_string());
        let note = Note {
            id,
            text: input.value(),
        };
        // What is typed from here on is another note.
        input.set_value("");
        spawn_local(async move {
            // When this returns it is durable, and the list shows it; sending it is the engine's business.
            let stored = scope.create(&note).await;
            if stored.is_err() && input.value().is_empty() {
                input.set_value(&note.text);
            }
            set_error.set(stored.err().map(|error| error.to_string()));
        });
    };
    view! {
        <StatusLine/>
        <form on:submit=add>
            <input aria-label="Note" node_ref=text/>
            <button>"Add"</button>
        </form>
        <p role="alert">{move || error.get()}</p>
        <ul>
            // A row with the same key is not drawn again: it is all that is shown of it.
            <For each=move || rows.get() key=|row| format!("{row:?}") children=note/>
        </ul>
    }
}

fn note(row: Row<Note>) -> impl IntoView {
    let waits = row.pending.then(|| view! { <em>" waiting"</em> });
    view! {
        <li>
            {match row.value {
                Ok(note) => note.text,
                Err(error) => error,
            }}
            {waits}
        </li>
    }
}

/// How many edits wait for the server.
#[component]
fn StatusLine() -> impl IntoView {
    let status = use_status(&use_engine());
    view! {
        <p role="status">
            {move || match status.get().map(|status| status.counts.pending) {
                None => "Opening…".to_owned(),
                Some(0) => "All sent".to_owned(),
                Some(waiting) => format!("{waiting} waiting"),
            }}
        </p>
    }
}
