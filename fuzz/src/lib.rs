//! Fuzz targets for everything that decodes what came over a network.
//!
//! A target is a function from bytes to nothing that panics when what it promises does not hold. The same functions
//! are run by `tests/bounded.rs`, with plain cargo and in continuous integration: on the corpus, and on a number of
//! random mutations of it; and by the programs in `fuzz_targets`, which cargo-fuzz guides by coverage.
//! `docs/testing.md` has the commands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is how a target reports what it found"
)]

mod exchange;
mod memory;
pub mod mutate;
pub mod targets;
mod words;

use std::sync::Arc;

use serde_json::Value;

/// Runs a target on each file that the command line names.
///
/// # Errors
/// When a file cannot be read.
pub fn run_files(target: fn(&[u8])) -> std::io::Result<()> {
    for file in std::env::args_os().skip(1) {
        target(&std::fs::read(&file)?);
        println!("{}: fine", file.display());
    }
    Ok(())
}

/// A body as decoders take it; what is no UTF-8 never gets that far.
fn text(input: &[u8]) -> Option<Arc<str>> {
    str::from_utf8(input).ok().map(Arc::from)
}

/// The JSON of a body whose parts are objects: serde reads a struct also from a list of its fields, and there nothing
/// has a name to be found by.
fn named(body: &str) -> Option<Value> {
    let json: Value = serde_json::from_str(body).ok()?;
    let objects = |list: &Value| {
        let list = list.as_array();
        list.is_none_or(|list| list.iter().all(Value::is_object))
    };
    let is_named = |part: &Value| {
        part.is_object() && !part["record"].is_array() && objects(&part["overwritten"])
    };
    let mut parts = json.as_object()?.values().filter_map(Value::as_array);
    let all = parts.all(|list| list.iter().all(is_named));
    all.then_some(json)
}
