//! What wants a decision of the user: edits that were refused, conflicts, and edits of babies that are shared no more.

use leptos::prelude::*;
use leptos_hooks::{use_engine, use_reread};
use sync_core::{
    engine::{EngineError, Entity, SyncEngine},
    model::{EntityType, Mutation, Op, Payload, RecordKey, Schema},
    store::{Conflict, Entry, EntryFilter, EntryKind, EntryState, Resolution, Revoked},
};

use crate::{
    records::{Baby, Entry as _, Feed, Nappy, Sleep},
    saving::Saving,
    time::shown,
};

/// Everything that wants a decision, as it was last read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Open {
    pub(crate) failed: Vec<Entry>,
    pub(crate) conflicts: Vec<Conflict>,
    pub(crate) revoked: Vec<Revoked>,
}

/// Keeps it in the context: the status tells of it, too.
pub(crate) fn provide() {
    provide_context(use_reread(&use_engine(), read));
}

/// What wants a decision now.
pub(crate) fn use_open() -> ReadSignal<Open> {
    expect_context()
}

async fn read(engine: SyncEngine) -> Open {
    let filter = EntryFilter {
        state: Some(EntryKind::Failed),
        ..EntryFilter::default()
    };
    // What cannot be read now is read again with the next event.
    Open {
        failed: engine.entries(filter).await.unwrap_or_default(),
        conflicts: engine.conflicts(None).await.unwrap_or_default(),
        revoked: engine.revoked().await.unwrap_or_default(),
    }
}

#[component]
pub(crate) fn Attention() -> impl IntoView {
    let engine = use_engine();
    let open = use_open();
    let (error, set_error) = signal(None::<String>);
    let engine = StoredValue::new(engine);
    let decide = Decide { engine, set_error };
    view! {
        <section class="attention" aria-label="Decisions">
            <h2>"Decisions"</h2>
            {move || error.get().map(|error| view! { <p class="error" role="alert">{error}</p> })}
            {move || {
                let Open { failed, conflicts, revoked } = open.get();
                let none = failed.is_empty() && conflicts.is_empty() && revoked.is_empty();
                view! {
                    {none.then(|| view! { <p class="hint">"None: everybody agrees."</p> })}
                    <ul class="plain" data-testid="failed">
                        {failed.into_iter().map(|entry| failed_line(entry, decide)).collect_view()}
                    </ul>
                    <ul class="plain" data-testid="conflicts">
                        {conflicts.into_iter().map(|one| conflict_line(one, decide)).collect_view()}
                    </ul>
                    <ul class="plain" data-testid="revoked">
                        {revoked.into_iter().map(|one| revoked_line(one, decide)).collect_view()}
                    </ul>
                }
            }}
        </section>
    }
}

/// Carries out what the user has decided.
#[derive(Clone, Copy)]
struct Decide {
    engine: StoredValue<SyncEngine>,
    set_error: WriteSignal<Option<String>>,
}

impl Decide {
    /// Unless the one before about the same is still being stored.
    fn by<F>(self, saving: Saving, act: impl FnOnce(SyncEngine) -> F)
    where
        F: Future<Output = Result<(), EngineError>> + 'static,
    {
        let done = act(self.engine.get_value());
        saving.run(async move {
            let error = done.await.err().map(|error| error.to_string());
            let is_done = error.is_none();
            self.set_error.set(error);
            is_done
        });
    }
}

fn failed_line(entry: Entry, decide: Decide) -> impl IntoView {
    let why = match &entry.state {
        EntryState::Failed(failed) => failed.message.clone(),
        _ => String::new(),
    };
    let what = described(&entry.mutation);
    let saving = Saving::new();
    let (retried, discarded) = (entry.mutation.key.clone(), entry.mutation.key);
    let retry = move |_| {
        let key = retried.clone();
        decide.by(saving, async move |engine: SyncEngine| {
            engine.retry(key).await.map(drop)
        });
    };
    let discard = move |_| {
        let key = discarded.clone();
        decide.by(saving, async move |engine: SyncEngine| {
            engine.discard(key).await.map(drop)
        });
    };
    view! {
        <li class="card" aria-busy=move || saving.busy()>
            <h3>"An edit was refused"</h3>
            <p>{what}</p>
            <p class="error">{why}</p>
            <button aria-disabled=move || saving.busy() on:click=retry>"Try again"</button>
            <button class="danger" aria-disabled=move || saving.busy() on:click=discard>
                "Discard"
            </button>
        </li>
    }
}

fn conflict_line(conflict: Conflict, decide: Decide) -> impl IntoView {
    let is_theirs = conflict.resolution == Resolution::Theirs;
    let (stands, keep_it) = if is_theirs {
        let stands = "Theirs stands now: keeping it changes nothing. Using yours writes it over \
                      theirs, for everybody.";
        (stands, "Keep theirs")
    } else {
        ("Yours was put over theirs.", "Keep mine")
    };
    let entity_type = &conflict.key.entity_type;
    let mine = in_words(entity_type, conflict.mine.as_ref());
    let theirs = in_words(entity_type, conflict.theirs.as_ref());
    let id = conflict.mutation_id;
    let consequence = format!("stands-{id}");
    let described_by = consequence.clone();
    let saving = Saving::new();
    let keep = move |_| {
        decide.by(saving, async move |engine: SyncEngine| {
            engine.acknowledge_conflicts([id]).await
        });
    };
    let insist = move |_| {
        let conflict = conflict.clone();
        decide.by(saving, async move |engine: SyncEngine| {
            use_mine(&engine, conflict).await
        });
    };
    view! {
        <li class="card" aria-busy=move || saving.busy()>
            <h3>"Edited by two at the same time"</h3>
            <dl>
                <dt>"Mine"</dt><dd>{mine}</dd>
                <dt>"Theirs"</dt><dd>{theirs}</dd>
            </dl>
            <p class="hint" id=consequence>{stands}</p>
            <button
                aria-describedby=described_by.clone()
                aria-disabled=move || saving.busy()
                on:click=keep
            >
                {keep_it}
            </button>
            {is_theirs.then(|| view! {
                <button
                    class="quiet"
                    aria-describedby=described_by
                    aria-disabled=move || saving.busy()
                    on:click=insist
                >
                    "Use mine"
                </button>
            })}
        </li>
    }
}

/// Writes the own side again, as an edit that has seen theirs.
async fn use_mine(engine: &SyncEngine, conflict: Conflict) -> Result<(), EngineError> {
    let RecordKey {
        scope,
        entity_type,
        entity_id,
    } = conflict.key;
    let scope = engine.scope(scope);
    let stored = scope.get_untyped(entity_type.clone(), entity_id.clone());
    let op = match (conflict.mine, stored.await?) {
        (Some(mine), Some(_)) => Op::Update(mine),
        (Some(mine), None) => Op::Create(mine),
        (None, _) => Op::Delete,
    };
    let edit = scope.edits().untyped(entity_type, entity_id, op, Schema(1));
    edit.enqueue().await?;
    engine.acknowledge_conflicts([conflict.mutation_id]).await
}

fn revoked_line(revoked: Revoked, decide: Decide) -> impl IntoView {
    let what = described(&revoked.mutation);
    let id = revoked.mutation.id;
    let saving = Saving::new();
    let (seen, set_seen) = signal(false);
    let acknowledge = move |_| {
        set_seen.set(true);
        decide.by(saving, async move |engine: SyncEngine| {
            engine.acknowledge_revoked([id]).await
        });
    };
    view! {
        <li class="card" aria-busy=move || saving.busy() hidden=move || seen.get()>
            <h3>"Not shared with you any more"</h3>
            <p>"This was not sent before: " {what}</p>
            <button on:click=acknowledge>"I have seen it"</button>
        </li>
    }
}

fn described(mutation: &Mutation) -> String {
    let entity_type = &mutation.key.entity_type;
    let called = match entity_type.as_str() {
        Feed::TYPE => Feed::ONE,
        Sleep::TYPE => Sleep::ONE,
        Nappy::TYPE => Nappy::ONE,
        other => other,
    };
    let payload = mutation.op.payload();
    match &mutation.op {
        Op::Create(_) => format!("A new {called}: {}", in_words(entity_type, payload)),
        Op::Update(_) => format!("A corrected {called}: {}", in_words(entity_type, payload)),
        Op::Delete => format!("A deleted {called}"),
    }
}

/// A record as it is read in a list, or its fields if it is none of the diary's.
fn in_words(entity_type: &EntityType, payload: Option<&Payload>) -> String {
    let Some(payload) = payload else {
        return "deleted".to_owned();
    };
    let read = match entity_type.as_str() {
        Feed::TYPE => line::<Feed>(payload),
        Sleep::TYPE => line::<Sleep>(payload),
        Nappy::TYPE => line::<Nappy>(payload),
        Baby::TYPE => payload.decode::<Baby>().ok().map(|baby| baby.name),
        _ => None,
    };
    read.unwrap_or_else(|| payload.as_str().to_owned())
}

fn line<T: crate::records::Entry>(payload: &Payload) -> Option<String> {
    let entry: T = payload.decode().ok()?;
    let parts = [
        entry.summary(),
        shown(entry.started_at()),
        entry.note().to_owned(),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Some(parts.join(", "))
}
