//! The component in a page: it shows what is pulled and what is written, and reads nothing when it is gone.
#![cfg(target_arch = "wasm32")]
#![expect(clippy::unwrap_used, reason = "clippy takes only `#[test]` for a test")]

#[path = "../../notes_server.rs"]
mod server;

use leptos::{mount::mount_to, prelude::*};
use leptos_hooks::{notes::Notes, use_live};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

use server::{Counted, Server, follows, is_read_until, place};

wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen_test]
async fn a_pulled_change_is_shown_and_an_own_edit_waits_until_it_is_sent() {
    let server = Server::default();
    server.write("n1", "from elsewhere");
    let engine = server.engine().await;
    let place = place();
    let provided = engine.clone();
    let _mounted = mount_to(place.clone(), move || {
        provide_context(provided);
        view! { <Notes scope="home"/> }
    });
    follows(&server, &engine, &place).await;
}

#[wasm_bindgen_test]
async fn a_component_that_is_gone_reads_nothing() {
    let server = Server::default();
    let engine = server.engine().await;
    let provided = engine.clone();
    let mounted = mount_to(place(), move || {
        let rows = use_live::<Counted>(&provided.scope("home"));
        move || rows.with(Vec::len)
    });
    is_read_until(&server, &engine, move || drop(mounted)).await;
}
