//! The entries of one type: a list that follows the database, and a form that adds to it or corrects it.

use leptos::{ev::SubmitEvent, html::Input, prelude::*, task::spawn_local};
use leptos_hooks::{Row, use_live};
use sync_core::engine::ScopeHandle;
use uuid::Uuid;

use crate::{
    records::{Detail, Entry},
    saving::Saving,
    time::{now_for_form, shown},
};

/// What the form holds; the id of the entry that it corrects, if it does.
#[derive(Clone, Copy)]
struct Form {
    id: RwSignal<Option<String>>,
    started_at: RwSignal<String>,
    detail: RwSignal<String>,
    note: RwSignal<String>,
    error: RwSignal<Option<String>>,
    saving: Saving,
    /// Where the user goes on after choosing an entry to correct.
    first_field: NodeRef<Input>,
}

impl Form {
    fn new<T: Entry>() -> Self {
        let form = Self {
            id: RwSignal::new(None),
            started_at: RwSignal::default(),
            detail: RwSignal::default(),
            note: RwSignal::default(),
            error: RwSignal::new(None),
            saving: Saving::new(),
            first_field: NodeRef::new(),
        };
        form.clear::<T>();
        form
    }

    fn clear<T: Entry>(self) {
        self.id.set(None);
        self.started_at.set(now_for_form());
        let usual = match T::DETAIL {
            Detail::Number { usual, .. } => usual,
            Detail::Choice { of, .. } => of.first().copied().unwrap_or_default(),
        };
        self.detail.set(usual.to_owned());
        self.note.set(String::new());
        self.error.set(None);
    }

    fn correct<T: Entry>(self, entry: &T) {
        self.saving.edited();
        self.id.set(Some(entry.id()));
        self.started_at.set(entry.started_at().to_owned());
        self.detail.set(entry.detail());
        self.note.set(entry.note().to_owned());
        self.error.set(None);
        if let Some(field) = self.first_field.get_untracked() {
            // A field that cannot have the focus is still there to be clicked.
            let _ = field.focus();
        }
    }

    async fn save<T: Entry>(self, scope: &ScopeHandle) -> Result<(), String> {
        let corrected = self.id.get_untracked();
        let id = corrected.clone();
        let id = id.unwrap_or_else(|| Uuid::new_v4().to_string());
        let entry = T::new(
            id,
            self.started_at.get_untracked(),
            &self.detail.get_untracked(),
            self.note.get_untracked(),
        )
        .ok_or("That is not a whole number.")?;
        let saved = match corrected {
            None => scope.create(&entry).await,
            Some(_) => scope.update(&entry).await,
        };
        saved.map(drop).map_err(|error| error.to_string())
    }
}

#[component]
pub(crate) fn Diary<T: Entry>(
    scope: ScopeHandle,
    #[prop(optional)] _of: std::marker::PhantomData<T>,
) -> impl IntoView {
    let rows = use_live::<T>(&scope);
    let newest_first = Memo::new(move |_| {
        let mut rows = rows.get();
        let at = |row: &Row<T>| {
            let value = row.value.as_ref().ok();
            value.map(|entry| entry.started_at().to_owned())
        };
        rows.sort_by_key(|row| std::cmp::Reverse(at(row)));
        rows
    });
    let form = Form::new::<T>();
    let scope = StoredValue::new(scope);
    view! {
        <section class="diary" aria-label=T::TITLE>
            <h3>{T::TITLE}</h3>
            <EntryForm<T> form scope/>
            <ul class="plain entries" data-testid=T::TYPE>
                <For each=move || newest_first.get() key=shown_as let:row>
                    <Line<T> row form scope/>
                </For>
            </ul>
            {move || newest_first.with(Vec::is_empty).then(|| view! {
                <p class="hint">"Nothing yet."</p>
            })}
        </section>
    }
}

/// All that a line shows: one that still shows the same stays as it is, with the focus where it was.
fn shown_as<T: Entry>(row: &Row<T>) -> String {
    let value = match &row.value {
        Ok(entry) => [entry.started_at(), &entry.detail(), entry.note()].join("\n"),
        Err(error) => error.clone(),
    };
    let Row {
        id,
        pending,
        failed,
        conflict,
        ..
    } = row;
    format!("{id} {pending} {failed} {conflict}\n{value}")
}

#[component]
fn EntryForm<T: Entry>(
    form: Form,
    scope: StoredValue<ScopeHandle>,
    #[prop(optional)] _of: std::marker::PhantomData<T>,
) -> impl IntoView {
    let save = move |event: SubmitEvent| {
        event.prevent_default();
        let scope = scope.get_value();
        form.saving.run(async move {
            let saved = form.save::<T>(&scope).await;
            match &saved {
                Ok(()) => form.clear::<T>(),
                Err(error) => form.error.set(Some(error.clone())),
            }
            saved.is_ok()
        });
    };
    let detail = match T::DETAIL {
        Detail::Number { label, .. } => view! {
            <label>
                {label}
                <input
                    name="detail"
                    inputmode="numeric"
                    required
                    prop:value=move || form.detail.get()
                    on:input:target=move |event| form.detail.set(event.target().value())
                />
            </label>
        }
        .into_any(),
        Detail::Choice { label, of } => view! {
            <label>
                {label}
                <select
                    name="detail"
                    prop:value=move || form.detail.get()
                    on:change:target=move |event| form.detail.set(event.target().value())
                >
                    {of.iter().map(|word| view! { <option value=*word>{*word}</option> }).collect_view()}
                </select>
            </label>
        }
        .into_any(),
    };
    let clear = move |_| form.clear::<T>();
    let verb = move || match form.id.get() {
        None => format!("Add {}", T::ONE),
        Some(_) => format!("Save {}", T::ONE),
    };
    view! {
        <form
            class="entry"
            aria-busy=move || form.saving.busy()
            on:submit=save
            on:input=move |_| form.saving.edited()
        >
            <label>
                "When"
                <input
                    type="datetime-local"
                    name="when"
                    node_ref=form.first_field
                    required
                    prop:value=move || form.started_at.get()
                    on:input:target=move |event| form.started_at.set(event.target().value())
                />
            </label>
            {detail}
            <label class="wide">
                "Note"
                <input
                    name="note"
                    autocomplete="off"
                    prop:value=move || form.note.get()
                    on:input:target=move |event| form.note.set(event.target().value())
                />
            </label>
            <button aria-disabled=move || form.saving.busy()>{verb}</button>
            {move || form.id.get().map(|_| view! {
                <button type="button" class="quiet" on:click=clear>
                    "Cancel"
                </button>
            })}
            {move || form.error.get().map(|error| view! {
                <p class="error wide" role="alert">{error}</p>
            })}
        </form>
    }
}

#[component]
fn Line<T: Entry>(row: Row<T>, form: Form, scope: StoredValue<ScopeHandle>) -> impl IntoView {
    let marks = [
        (row.pending, "waits"),
        (row.failed, "failed"),
        (row.conflict, "conflict"),
    ];
    let marks = marks
        .map(|(set, mark)| set.then(|| view! { <span class=format!("mark {mark}")>{mark}</span> }));
    let id = row.id;
    let entry = match row.value {
        Ok(entry) => entry,
        Err(error) => return view! { <li class="error">{id} ": " {error}</li> }.into_any(),
    };
    let summary = entry.summary();
    let when = shown(entry.started_at());
    let note = entry.note().to_owned();
    let of = format!("{}, {summary}, {when}", T::ONE);
    let delete = move |_| {
        let (scope, id) = (scope.get_value(), id.clone());
        spawn_local(async move {
            if let Err(error) = scope.delete::<T>(id).await {
                form.error.set(Some(error.to_string()));
            }
        });
    };
    view! {
        <li>
            <div class="what">
                <strong>{summary.clone()}</strong>
                <time>{when}</time>
                {marks}
                {(!note.is_empty()).then(|| view! { <p>{note}</p> })}
            </div>
            <div class="actions">
                <button
                    class="quiet"
                    aria-label=format!("Edit {of}")
                    on:click=move |_| form.correct(&entry)
                >"Edit"</button>
                <button class="quiet" aria-label=format!("Delete {of}") on:click=delete>
                    "Delete"
                </button>
            </div>
        </li>
    }
    .into_any()
}
