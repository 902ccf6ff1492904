//! The component in a page: it shows what is pulled and what is written, and reads nothing when it is gone.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` for a test")]

#[path = "../../notes_server.rs"]
mod server;

use sync_core::engine::SyncEngine;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use yew::{AppHandle, prelude::*};
use yew_hooks::{Provided, notes::Notes, use_live};

use server::{Counted, Server, follows, is_read_until, place};

wasm_bindgen_test_configure!(run_in_browser);

#[derive(Clone, Debug, PartialEq, Properties)]
struct AppProps {
    engine: Provided,
    counting: bool,
}

#[component]
fn App(AppProps { engine, counting }: &AppProps) -> Html {
    html! {
        <ContextProvider<Provided> context={engine.clone()}>
            if *counting { <Counting/> } else { <Notes scope="home"/> }
        </ContextProvider<Provided>>
    }
}

#[component]
fn Counting() -> Html {
    let items = use_live::<Counted>(&"home".into());
    html! { items.len() }
}

fn mount(place: web_sys::Element, engine: &SyncEngine, counting: bool) -> AppHandle<App> {
    let engine = Provided(engine.clone());
    yew::Renderer::<App>::with_root_and_props(place, AppProps { engine, counting }).render()
}

#[wasm_bindgen_test]
async fn a_pulled_change_is_shown_and_an_own_edit_waits_until_it_is_sent() {
    let server = Server::default();
    server.write("n1", "from elsewhere");
    let engine = server.engine().await;
    let place = place();
    let _mounted = mount(place.clone().into(), &engine, false);
    follows(&server, &engine, &place).await;
}

#[wasm_bindgen_test]
async fn a_component_that_is_gone_reads_nothing() {
    let server = Server::default();
    let engine = server.engine().await;
    let mounted = mount(place().into(), &engine, true);
    is_read_until(&server, &engine, move || mounted.destroy()).await;
}
