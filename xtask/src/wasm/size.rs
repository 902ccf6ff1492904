//! `cargo xtask size`: what the engine adds to a web page, as it is downloaded.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TARGET, bindgen, browser, module::Module, optimizer};
use crate::Result;
use crate::command::run;
use crate::project::Project;

/// The most bytes that module and glue may have together.
const LIMIT: usize = 90_000;

/// What the others are counted with, in the order in which a function's name is searched for them.
const CRATES: [(&str, &str); 4] = [
    ("sync_core", "sync-core"),
    ("sync_http", "sync-http"),
    ("sync_idb", "sync-idb"),
    ("bundle", "app"),
];

/// What wasm-opt may count on: what every browser has that the compiler already counts on.
const FEATURES: [&str; 6] = [
    "--enable-bulk-memory",
    "--enable-multivalue",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-reference-types",
    "--enable-sign-ext",
];

/// `-Oz` leaves fewer bytes, but of a kind that compresses less. The last two change no instruction: functions that are
/// alike have names that are alike, and compress better side by side; so do loads and stores without their alignment,
/// of which engines make nothing.
const PASSES: [&str; 7] = [
    "-Os",
    "--flatten",
    "--rereloop",
    "-Os",
    "-Os",
    "--reorder-functions-by-name",
    "--dealign",
];

/// Builds the app of `examples/bundle` as an app would be shipped and prints its size by crate; too large is an error.
pub(crate) fn measure(project: &Project) -> Result {
    let folder = project.target.join("wasm/bundle");
    build(project, &folder)?;
    let module = compressed(&folder.join("bundle.wasm"))?;
    let glue = compressed(&folder.join("bundle.js"))?;
    let total = module + glue;
    println!("SIZE engine/total {total}");
    let named = Module::parse(&fs::read(folder.join("named.wasm"))?)?;
    for (part, bytes) in parts(&named, module) {
        println!("SIZE engine/{part} {bytes}");
    }
    println!("SIZE engine/glue {glue}");
    if total > LIMIT {
        return Err(format!("the engine has {total} bytes, and may have {LIMIT}").into());
    }
    Ok(())
}

/// Leaves three files: the module as it is shipped, the same with names, and the glue.
fn build(project: &Project, folder: &Path) -> Result {
    let words = "build --package bundle --profile web";
    let mut cargo = browser::cargo(project, &browser::toolchain()?, words);
    // These names tell which crate's types a generic function was made for.
    run(cargo.env("RUSTFLAGS", "-D warnings -C symbol-mangling-version=v0"))?;
    let built: PathBuf = ["wasm", TARGET, "web", "bundle.wasm"].iter().collect();
    let mut bindgen = Command::new(bindgen::folder()?.join("wasm-bindgen"));
    bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]);
    run(bindgen.arg(folder).arg(project.target.join(built)))?;
    for (flags, result) in [
        (["--debuginfo"].as_slice(), "named.wasm"),
        (&["--strip-debug", "--strip-producers"], "bundle.wasm"),
    ] {
        let mut optimizer = Command::new(optimizer::program()?);
        optimizer.args(PASSES).args(FEATURES).args(flags);
        optimizer.arg(folder.join("bundle_bg.wasm"));
        run(optimizer.arg("-o").arg(folder.join(result)))?;
    }
    Ok(())
}

/// How many bytes a file has when a server has compressed it.
fn compressed(file: &Path) -> Result<usize> {
    let output = Command::new("gzip").args(["-9", "-c"]).arg(file).output()?;
    if !output.status.success() {
        return Err(format!("gzip: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(output.stdout.len())
}

/// Shares the bytes of the compressed module out among crates, as they share its bytes before compression.
fn parts(module: &Module, compressed: usize) -> Vec<(&'static str, usize)> {
    let mut parts = BTreeMap::from([("data", module.other)]);
    for (name, bytes) in module.functions() {
        *parts.entry(crate_of(name)).or_default() += bytes;
    }
    let whole = module.code() + module.other;
    let mut parts: Vec<_> = parts
        .into_iter()
        .map(|(part, bytes)| (part, bytes * compressed / whole.max(1)))
        .collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    parts
}

/// The crate that a function is there for: the first of ours in its name, which has the types that it was made for.
fn crate_of(name: &str) -> &'static str {
    let found = CRATES
        .iter()
        .filter_map(|(ident, part)| {
            let is_path = |at: &usize| {
                let before = name[..*at].chars().next_back();
                let after = &name[at + ident.len()..];
                !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
                    && (after.starts_with("::") || after.starts_with('['))
            };
            let places = name.match_indices(ident).map(|(at, _)| at);
            Some((places.filter(is_path).min()?, *part))
        })
        .min();
    found.map_or("others", |(_, part)| part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generic_function_counts_for_the_crate_that_it_was_made_for() {
        for (name, part) in [
            ("<sync_core[89]::engine::Driver>::feed", "sync-core"),
            ("core[1]::ptr::drop_in_place::<sync_idb[2]::Tx>", "sync-idb"),
            (
                "sync_idb::store::run::<sync_core::store::Taken>",
                "sync-idb",
            ),
            ("<bundle[e8]::App>::open", "app"),
            ("serde_json::de::from_str::<my_sync_core::Page>", "others"),
            ("malloc", "others"),
        ] {
            assert_eq!(crate_of(name), part, "{name}");
        }
    }
}
