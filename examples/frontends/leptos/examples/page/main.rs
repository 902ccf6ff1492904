//! A whole page: the notes of a household, in this browser's database and at a server.
//!
//! `docs/browser.md` says how to build and serve it. On other targets there is nothing to it.

#[cfg(target_arch = "wasm32")]
mod page {
    use std::error::Error;

    use leptos::{mount::mount_to_body, prelude::*};
    use leptos_hooks::notes::Notes;
    use sync_core::engine::SyncEngine;
    use sync_http::{Credentials, HttpTransport};
    use sync_idb::{IdbStore, Signals};
    use wasm_bindgen_futures::spawn_local;

    const SERVER: &str = "http://127.0.0.1:8080";

    /// One database an account, and one engine a page.
    async fn open(account: &str) -> Result<SyncEngine, Box<dyn Error>> {
        let store = IdbStore::open(format!("notes-{account}")).await?;
        let token = format!("{account}-token");
        let transport = HttpTransport::builder(SERVER, Credentials::new(account, token)).build()?;
        let builder = SyncEngine::builder(store, transport).account(account);
        let (engine, driver) = builder.open().await?;
        spawn_local(driver.run());
        Ok(engine)
    }

    pub(super) async fn show() {
        match open("alice").await {
            Ok(engine) => {
                // For as long as there is a page.
                std::mem::forget(Signals::attach(&engine));
                mount_to_body(move || {
                    provide_context(engine);
                    view! { <Notes scope="household-1"/> }
                });
            }
            Err(error) => mount_to_body(move || view! { <p role="alert">{error.to_string()}</p> }),
        }
    }
}

fn main() {
    #[cfg(target_arch = "wasm32")]
    wasm_bindgen_futures::spawn_local(page::show());
}
