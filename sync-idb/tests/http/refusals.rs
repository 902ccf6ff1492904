//! What the server refuses: an expired token, an expired cursor, a scope that is no longer shared.
//!
//! The answers are the example server's own; a test only sends a request elsewhere than the engine meant it to go.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::StreamExt;
use sync_core::{
    engine::{DriverState, Event},
    scheduler::{PauseReason, SyncEnd},
};
use sync_http::{Credentials, TokenError, TokenSource};
use wasm_bindgen_test::wasm_bindgen_test;

use crate::common::{
    browser::{Changed, run},
    device::{device, pushed, settings, tab_with},
    fresh,
    server::{Feed, eventually, feed, soon},
};

/// A login whose token has expired; refreshing it helps, once somebody has logged in again.
#[derive(Clone, Debug, Default)]
struct Login {
    refreshed: Arc<AtomicUsize>,
    is_renewed: Arc<AtomicBool>,
    helps: Arc<AtomicBool>,
}

#[async_trait(?Send)]
impl TokenSource for Login {
    async fn token(&self, refresh: bool) -> Result<Credentials, TokenError> {
        if refresh {
            self.refreshed.fetch_add(1, Ordering::Relaxed);
            let helps = self.helps.load(Ordering::Relaxed);
            self.is_renewed.store(helps, Ordering::Relaxed);
        }
        let is_renewed = self.is_renewed.load(Ordering::Relaxed);
        let token = if is_renewed { "alice-token" } else { "expired" };
        Ok(Credentials::new("alice", token))
    }
}

#[wasm_bindgen_test]
async fn an_expired_token_is_refreshed_once_and_the_edit_goes_out() {
    let login = Login::default();
    login.helps.store(true, Ordering::Relaxed);
    let database = fresh("expired");
    let engine = tab_with("alice", &database, login.clone(), settings()).await;
    let baby = engine.scope(fresh("baby"));
    baby.create(&feed("f1", 1)).await.unwrap();
    pushed(&engine).await;
    assert_eq!(login.refreshed.load(Ordering::Relaxed), 1);
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_login_that_has_ended_pauses_the_engine_until_somebody_logs_in() {
    let login = Login::default();
    let database = fresh("ended");
    let engine = tab_with("alice", &database, login.clone(), settings()).await;
    let baby = engine.scope(fresh("baby"));
    baby.create(&feed("f1", 1)).await.unwrap();
    let paused = DriverState::Paused(PauseReason::AuthRequired);
    eventually("it is paused", async || {
        engine.status().await.unwrap().driver == paused
    })
    .await;
    assert_eq!(engine.status().await.unwrap().counts.pending, 1);
    login.is_renewed.store(true, Ordering::Relaxed);
    engine.resume();
    pushed(&engine).await;
    engine.shutdown().await;
}

#[wasm_bindgen_test]
async fn an_expired_cursor_leads_to_a_pull_from_the_start_and_no_edit_is_lost() {
    let scope = fresh("baby");
    let (phone, tablet) = (device("alice").await, device("alice").await);
    let (here, there) = (phone.scope(&*scope), tablet.scope(&*scope));
    for n in 0..3 {
        here.create(&feed(&format!("f{n}"), 1)).await.unwrap();
    }
    pushed(&phone).await;
    tablet.sync_now([(&*scope).into()]).await;
    assert_eq!(there.list::<Feed>().await.unwrap().len(), 3);
    here.delete::<Feed>("f0").await.unwrap();
    here.create(&feed("f3", 1)).await.unwrap();
    pushed(&phone).await;
    // It would pull what it has pushed, and what is watched below is all that this page asks for.
    phone.shutdown().await;

    tablet.set_online(false);
    there.update(&feed("f1", 2)).await.unwrap();
    let expired = Changed::by(&format!(
        "const fetch = globalThis.fetch; globalThis.cursors = [];
         globalThis.fetch = (url, init) => {{
             if (!url.includes('{scope}')) return fetch(url, init);
             const asked = new URL(url), cursor = asked.searchParams.get('cursor');
             globalThis.cursors.push(cursor);
             if (globalThis.cursors.length === 1) asked.searchParams.set('cursor', 'of another server');
             return fetch(asked.href, init);
         }};
         return () => {{ globalThis.fetch = fetch }}"
    ));
    tablet.set_online(true);
    let report = tablet.sync_now([(&*scope).into()]).await;
    drop(expired);
    assert_eq!(report.scopes.values().next(), Some(&SyncEnd::Synced));
    let cursors = run("return JSON.stringify(globalThis.cursors)").as_string();
    let is_next_from_the_start =
        run("const [first, second] = globalThis.cursors; return first && second === null");
    assert!(is_next_from_the_start.is_truthy(), "{cursors:?}");
    let mut feeds = there.list::<Feed>().await.unwrap();
    feeds.sort_by(|a, b| a.id.cmp(&b.id));
    assert_eq!(feeds, [feed("f1", 2), feed("f2", 1), feed("f3", 1)]);
    pushed(&tablet).await;
    tablet.shutdown().await;
}

#[wasm_bindgen_test]
async fn a_scope_that_is_no_longer_shared_is_purged_and_unsynced_edits_are_handed_over() {
    let (scope, theirs) = (fresh("baby"), fresh("theirs"));
    let bob = device("bob").await;
    bob.scope(&*theirs).create(&feed("f1", 1)).await.unwrap();
    pushed(&bob).await;
    let mut settings = settings();
    settings.scheduler.confirm_after = Duration::from_millis(300);
    settings.scheduler.poll_interval = Duration::from_millis(300);
    let credentials = Credentials::new("alice", "alice-token");
    let alice = tab_with("alice", &fresh("alice"), credentials, settings).await;
    let baby = alice.scope(&*scope);
    baby.create(&feed("f1", 1)).await.unwrap();
    pushed(&alice).await;
    alice.sync_now([(&*scope).into()]).await;

    let mut events = alice.events();
    alice.set_online(false);
    baby.create(&feed("f2", 2)).await.unwrap();
    // From now on the scope is another's, as far as the server can tell.
    let revoked = Changed::by(&format!(
        "const fetch = globalThis.fetch;
         const elsewhere = text => text.replaceAll('{scope}', '{theirs}');
         globalThis.fetch = (url, init) => {{
             const body = init.body && elsewhere(init.body);
             return fetch(elsewhere(url), {{ ...init, body }});
         }};
         return () => {{ globalThis.fetch = fetch }}"
    ));
    alice.set_online(true);
    let _active = baby.activate();
    let told = async {
        loop {
            if let Some(Ok(Event::Revoked { unsynced, .. })) = events.next().await {
                return unsynced;
            }
        }
    };
    assert_eq!(soon("it is told", told).await, 1);
    drop(revoked);
    assert_eq!(baby.list::<Feed>().await.unwrap(), []);
    let kept = alice.revoked().await.unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].mutation.key.entity_id.as_str(), "f2");
    alice.shutdown().await;
    bob.shutdown().await;
}
