//! The babies of an account: choosing one, adding one, and sharing it.

use leptos::{ev::SubmitEvent, prelude::*};
use leptos_hooks::{Row, use_engine, use_live};
use uuid::Uuid;

use crate::{
    device::{Device, home},
    diary::Diary,
    families::Families,
    memory::{self, remember, remembered},
    records::{Baby, Feed, Link, Nappy, Sleep},
    saving::Saving,
};

/// The id of the one record of its kind in a baby's scope.
const BABY: &str = "baby";

#[component]
pub(crate) fn Babies() -> impl IntoView {
    let engine = use_engine();
    let links = use_live::<Link>(&home(&engine));
    let (chosen, choose) = signal(remembered(memory::BABY));
    Effect::new(move |_| remember(memory::BABY, chosen.get().as_deref()));
    let ids = Memo::new(move |_| {
        let links = links.get();
        links.into_iter().map(|link| link.id).collect::<Vec<_>>()
    });
    // The chosen one, as long as it is there; else the first.
    let shown = Memo::new(move |_| {
        let ids = ids.get();
        let kept = chosen.get().filter(|id| ids.contains(id));
        kept.or_else(|| ids.first().cloned())
    });
    view! {
        <section class="babies" aria-label="Babies">
            <nav aria-label="Choose a baby">
                <For each=move || ids.get() key=|id| id.clone() let:id>
                    <Choice id shown choose/>
                </For>
            </nav>
            <AddBaby choose/>
            {move || match shown.get() {
                None => view! {
                    <p class="notice">
                        "No baby yet. Add one, or have somebody share theirs with you."
                    </p>
                }.into_any(),
                Some(id) => view! { <Chosen id/> }.into_any(),
            }}
        </section>
    }
}

/// A baby in the list. Each is pulled as long as it is listed.
#[component]
fn Choice(
    id: String,
    shown: Memo<Option<String>>,
    choose: WriteSignal<Option<String>>,
) -> impl IntoView {
    let scope = use_engine().scope(id.as_str());
    let active = StoredValue::new(scope.activate());
    on_cleanup(move || active.dispose());
    let baby = use_live::<Baby>(&scope);
    let this = id.clone();
    view! {
        <button
            class="tab"
            aria-pressed=move || (shown.get().as_ref() == Some(&this)).to_string()
            on:click=move |_| choose.set(Some(id.clone()))
        >
            {move || name_of(&baby.get())}
        </button>
    }
}

fn name_of(rows: &[Row<Baby>]) -> String {
    let baby = rows.first().and_then(|row| row.value.as_ref().ok());
    baby.map_or_else(|| "…".to_owned(), |baby| baby.name.clone())
}

#[component]
fn AddBaby(choose: WriteSignal<Option<String>>) -> impl IntoView {
    let engine = use_engine();
    let (name, set_name) = signal(String::new());
    let (error, set_error) = signal(None::<String>);
    let saving = Saving::new();
    let add = move |event: SubmitEvent| {
        event.prevent_default();
        let engine = engine.clone();
        let baby = Baby {
            id: BABY.to_owned(),
            name: name.get_untracked().trim().to_owned(),
        };
        if baby.name.is_empty() {
            return;
        }
        saving.run(async move {
            let id = format!("baby-{}", Uuid::new_v4());
            let link = Link { id: id.clone() };
            let added = async {
                engine.scope(id.as_str()).create(&baby).await?;
                home(&engine).create(&link).await
            };
            let added = added.await;
            if added.is_ok() {
                set_name.set(String::new());
                choose.set(Some(id));
            }
            set_error.set(added.as_ref().err().map(ToString::to_string));
            added.is_ok()
        });
    };
    view! {
        <form
            class="row"
            aria-busy=move || saving.busy()
            on:submit=add
            on:input=move |_| saving.edited()
        >
            <label>
                "Name of a new baby"
                <input
                    name="baby"
                    autocomplete="off"
                    prop:value=move || name.get()
                    on:input:target=move |event| set_name.set(event.target().value())
                />
            </label>
            <button aria-disabled=move || saving.busy()>"Add baby"</button>
            {move || error.get().map(|error| view! { <p class="error" role="alert">{error}</p> })}
        </form>
    }
}

#[component]
fn Chosen(id: String) -> impl IntoView {
    let scope = use_engine().scope(id.as_str());
    let baby = use_live::<Baby>(&scope);
    view! {
        <article class="baby">
            <h2>{move || name_of(&baby.get())}</h2>
            <Sharing id/>
            <div class="diaries">
                <Diary<Feed> scope=scope.clone()/>
                <Diary<Sleep> scope=scope.clone()/>
                <Diary<Nappy> scope/>
            </div>
        </article>
    }
}

/// Who else sees the baby; its owner invites others and sends them away again.
#[component]
fn Sharing(id: String) -> impl IntoView {
    let families: Families = expect_context();
    let device = StoredValue::new(expect_context::<Device>());
    let me = use_engine().account().to_string();
    let id = StoredValue::new(id);
    let members = Memo::new(move |_| families.members(&id.get_value()));
    let owner = Memo::new(move |_| members.get().get(&me).is_some_and(|role| role == "owner"));
    let (who, set_who) = signal(String::new());
    let (error, set_error) = signal(None::<String>);
    let saving = Saving::new();
    let change = move |who: String, invite: bool| {
        saving.run(async move {
            let (device, baby) = (device.get_value(), id.get_value());
            let changed = if invite {
                families.invite(&device, &baby, &who).await
            } else {
                families.revoke(&device, &baby, &who).await
            };
            let done = changed.is_ok();
            if done {
                set_who.set(String::new());
            }
            set_error.set(changed.err());
            done
        });
    };
    let invite = move |event: SubmitEvent| {
        event.prevent_default();
        let who = who.get_untracked().trim().to_owned();
        if !who.is_empty() {
            change(who, true);
        }
    };
    view! {
        <details class="sharing">
            <summary>"Sharing"</summary>
            <ul class="plain">
                {move || members.get().into_iter().map(|(who, role)| {
                    let label = format!("Stop sharing with {who}");
                    let removable = owner.get() && role != "owner";
                    let gone = who.clone();
                    view! {
                        <li>
                            <span>{who} " (" {role} ")"</span>
                            {removable.then(|| view! {
                                <button
                                    class="danger"
                                    aria-label=label
                                    aria-disabled=move || saving.busy()
                                    on:click=move |_| {
                                        // Another than the last: no echo of its press.
                                        saving.edited();
                                        change(gone.clone(), false);
                                    }
                                >"Remove"</button>
                            })}
                        </li>
                    }
                }).collect_view()}
            </ul>
            {move || members.get().is_empty().then(|| view! {
                <p class="hint">"Known as soon as the server has the baby."</p>
            })}
            {move || owner.get().then(|| view! {
                <form
                    class="row"
                    aria-busy=move || saving.busy()
                    on:submit=invite
                    on:input=move |_| saving.edited()
                >
                    <label>
                        "Account to share with"
                        <input
                            name="invite"
                            autocomplete="off"
                            autocapitalize="off"
                            prop:value=move || who.get()
                            on:input:target=move |event| set_who.set(event.target().value())
                        />
                    </label>
                    <button aria-disabled=move || saving.busy()>"Share"</button>
                </form>
            })}
            {move || error.get().map(|error| view! { <p class="error" role="alert">{error}</p> })}
        </details>
    }
}
