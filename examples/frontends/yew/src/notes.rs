//! A list that follows the database, a form that adds to it, and a line that says how the engine stands.

use serde::{Deserialize, Serialize};
use sync_core::engine::{Entity, Item};
use uuid::Uuid;
use web_sys::HtmlInputElement;
use yew::{platform::spawn_local, prelude::*};

use crate::{use_active, use_engine, use_live, use_status};

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

/// What [`Notes`] is given.
#[derive(Clone, Debug, PartialEq, Properties)]
pub struct NotesProps {
    /// The scope.
    pub scope: AttrValue,
}

/// The notes of a scope.
#[component]
pub fn Notes(NotesProps { scope }: &NotesProps) -> Html {
    let engine = use_engine();
    use_active(scope);
    let rows = use_live::<Note>(scope);
    let text = use_node_ref();
    let problem = use_state(|| None::<String>);
    let add = {
        let (scope, text) = (engine.scope(scope.as_str()), text.clone());
        let error = problem.setter();
        move |event: SubmitEvent| {
            event.prevent_default();
            let Some(input) = text.cast::<HtmlInputElement>() else {
                return;
            };
            let (scope, id) = (scope.clone(), Uuid::new_v4().to_string());
            let note = Note {
                id,
                text: input.value(),
            };
            // What is typed from here on is another note.
            input.set_value("");
            let error = error.clone();
            spawn_local(async move {
                // When this returns it is durable, and the list shows it; sending it is the engine's business.
                let stored = scope.create(&note).await;
                if stored.is_err() && input.value().is_empty() {
                    input.set_value(&note.text);
                }
                error.set(stored.err().map(|error| error.to_string()));
            });
        }
    };
    html! {
        <>
            <StatusLine/>
            <form onsubmit={add}>
                <input aria-label="Note" ref={text}/>
                <button>{ "Add" }</button>
            </form>
            <p role="alert">{ problem.as_deref() }</p>
            <ul>{ for rows.iter().map(note) }</ul>
        </>
    }
}

fn note(item: &Item<Note>) -> Html {
    let text = match &item.value {
        Ok(note) => note.text.clone(),
        Err(error) => error.to_string(),
    };
    html! {
        <li key={item.id.as_str()}>
            { text }
            if item.is_pending() { <em>{ " waiting" }</em> }
        </li>
    }
}

/// How many edits wait for the server.
#[component]
fn StatusLine() -> Html {
    let line = match use_status().map(|status| status.counts.pending) {
        None => "Opening…".to_owned(),
        Some(0) => "All sent".to_owned(),
        Some(waiting) => format!("{waiting} waiting"),
    };
    html! { <p role="status">{ line }</p> }
}
