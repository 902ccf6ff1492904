//! The engine of this page: its store, its transport, its driver.

use leptos::task::spawn_local;
use sync_core::engine::{Entity, ScopeHandle, SyncEngine};
use sync_http::{Credentials, HttpTransport};
use sync_idb::{Declared, IdbStore, Signals};

use crate::{
    records::{Feed, Nappy, Sleep},
    switch::{Switch, Switched},
};

/// What a logged-in page holds.
#[derive(Clone)]
pub(crate) struct Device {
    pub(crate) engine: SyncEngine,
    pub(crate) store: IdbStore,
    pub(crate) switch: Switch,
    pub(crate) token: String,
}

/// The database of an account: one each, since several people may use one browser.
pub(crate) fn database(account: &str) -> String {
    format!("baby-log-{account}")
}

/// The scope that an account shares with nobody: the list of its babies lies there.
pub(crate) fn home(engine: &SyncEngine) -> ScopeHandle {
    engine.scope(format!("home-{}", engine.account()))
}

/// Where the page came from; its server is there, too.
pub(crate) fn origin() -> Result<String, String> {
    let window = web_sys::window().ok_or("there is no window")?;
    let origin = window.location().origin();
    origin.map_err(|_| "the page has no address".to_owned())
}

fn by_time<T: Entity>(object_store: &str) -> Declared {
    Declared::new(T::TYPE, object_store).index("by_time", ["scope", "payload.startedAt"])
}

/// Opens the account's database and starts its engine. It runs with no network, too.
pub(crate) async fn open(account: &str, token: String) -> Result<(Device, Signals), String> {
    let store = IdbStore::builder(database(account))
        .declare(by_time::<Feed>("feeds"))
        .declare(by_time::<Sleep>("sleeps"))
        .declare(by_time::<Nappy>("nappies"))
        .open()
        .await
        .map_err(|error| error.to_string())?;
    let credentials = Credentials::new(account, token.clone());
    let transport = HttpTransport::builder(origin()?, credentials)
        .build()
        .map_err(|error| error.to_string())?;
    let switch = Switch::new();
    let switched = Switched {
        transport,
        switch: switch.clone(),
    };
    let (engine, driver) = SyncEngine::builder(store.clone(), switched)
        .account(account)
        .open()
        .await
        .map_err(|error| error.to_string())?;
    spawn_local(driver.run());
    let signals = Signals::attach(&engine);
    let device = Device {
        engine,
        store,
        switch,
        token,
    };
    Ok((device, signals))
}
