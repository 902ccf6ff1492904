//! What the page remembers of itself between two visits; the records are in the engine's database.

/// Who was logged in.
pub(crate) const ACCOUNT: &str = "baby-log-account";

/// Which baby was looked at.
pub(crate) const BABY: &str = "baby-log-baby";

fn storage() -> Option<web_sys::Storage> {
    web_sys::window()?.local_storage().ok()?
}

pub(crate) fn remembered(what: &str) -> Option<String> {
    storage()?.get_item(what).ok()?
}

pub(crate) fn remember(what: &str, value: Option<&str>) {
    let Some(storage) = storage() else {
        return;
    };
    // Where nothing can be remembered, the page asks again the next time.
    let _ = match value {
        Some(value) => storage.set_item(what, value),
        None => storage.remove_item(what),
    };
}
