//! The description of the protocol is the one of its types.

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");

#[test]
fn the_openapi_file_is_current() {
    let current = sync_server::openapi::document().to_pretty_json().unwrap() + "\n";
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(FILE, &current).unwrap();
    }
    let stored = std::fs::read_to_string(FILE).unwrap_or_default();
    assert!(
        stored == current,
        "docs/openapi.json is not what the types say; write it anew with\n\
         UPDATE_OPENAPI=1 cargo test -p sync-server --features openapi --test openapi"
    );
}
