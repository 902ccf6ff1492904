//! Rust's standard library for wasm, for Debian's compiler: Debian ships its source, not its build.
//!
//! It is built once into the compiler's own folder. Building it takes flags that are not stable; thereafter a plain
//! `cargo build --target wasm32-unknown-unknown` needs none.

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use super::{TARGET, debian, target_folder};
use crate::Result;
use crate::command::{quiet_output, run};

/// Raised when the build below changes, so that machines build anew.
const RECIPE: u32 = 1;

const MANIFEST: &str = r#"
[package]
name = "only-std"
version = "0.0.0"
edition = "2021"

[workspace]

[profile.release]
debug = false
"#;

/// Whether the standard library is there, built from this compiler's source in the way below.
pub(super) fn is_current() -> bool {
    let is_current = || -> Result<bool> {
        let built_by = fs::read_to_string(stamp(&target_folder(&mut debian("rustc"))?))?;
        Ok(built_by == recipe()?)
    };
    is_current().unwrap_or(false)
}

/// Builds the standard library and puts it where Debian's compiler looks for it.
pub(super) fn build() -> Result {
    let installed = target_folder(&mut debian("rustc"))?;
    let package = env::temp_dir().join(format!("only-std-{}", process::id()));
    let result = build_in(&package).and_then(|built| install(&built, &installed));
    // What stays behind in a temporary folder is no failure.
    let _ = fs::remove_dir_all(&package);
    result
}

/// Builds an empty package, for the standard library that comes with it; returns the folder that holds the libraries.
fn build_in(package: &Path) -> Result<PathBuf> {
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("src/lib.rs"), "")?;
    fs::write(package.join("Cargo.toml"), MANIFEST)?;
    let target = package.join("target");
    let mut cargo = debian("cargo");
    // `test` is for the default test harness. A program that is optimised at link time needs the bitcode.
    cargo
        .args([
            "build",
            "--release",
            "--target",
            TARGET,
            "-Zbuild-std=std,panic_abort,test",
        ])
        .current_dir(package)
        .env("CARGO_TARGET_DIR", &target)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET");
    run(&mut cargo)?;
    Ok(target.join(TARGET).join("release/deps"))
}

fn install(built: &Path, installed: &Path) -> Result {
    if installed.exists() {
        fs::remove_dir_all(installed)?;
    }
    fs::create_dir_all(installed)?;
    for entry in fs::read_dir(built)? {
        let library = entry?.path();
        let Some(name) = library.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        if name.ends_with(".rlib") && !name.starts_with("libonly_std") {
            fs::copy(&library, installed.join(name))?;
        }
    }
    // Last, so that an interrupted copy is not taken for the whole.
    fs::write(stamp(installed), recipe()?)?;
    Ok(())
}

fn stamp(folder: &Path) -> PathBuf {
    folder.join(".built-by")
}

fn recipe() -> Result<String> {
    Ok(format!(
        "recipe {RECIPE}\n{}",
        quiet_output(debian("rustc").arg("--version"))?
    ))
}
