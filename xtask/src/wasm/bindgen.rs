//! The runner of tests in a browser: of the very version of wasm-bindgen that is in `Cargo.lock`, or it refuses.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::install::tools;
use crate::Result;
use crate::command::run;
use crate::project::Project;

const PROGRAMS: [&str; 2] = ["wasm-bindgen", "wasm-bindgen-test-runner"];

/// The folder of the programs.
pub(super) fn folder() -> Result<PathBuf> {
    let version = locked_version()?;
    Ok(tools(&format!("wasm-bindgen-cli-{version}"))?.join("bin"))
}

pub(crate) fn is_installed() -> bool {
    folder().is_ok_and(|folder| {
        let is_there = |program| folder.join(program).is_file();
        PROGRAMS.into_iter().all(is_there)
    })
}

pub(crate) fn install() -> Result {
    let folder = folder()?;
    let root = folder
        .parent()
        .ok_or("the folder of programs has no root")?;
    let version = locked_version()?;
    // Not with its own lock file, which may name versions that a registry lacks.
    let mut cargo = Command::new("cargo");
    cargo
        .args(["install", "wasm-bindgen-cli", "--version", &version])
        .args(["--no-default-features", "--root"])
        .arg(root);
    for program in PROGRAMS {
        cargo.args(["--bin", program]);
    }
    // Then it builds in a temporary folder, and removes it.
    run(cargo.env_remove("CARGO_TARGET_DIR"))
}

fn locked_version() -> Result<String> {
    let lock = fs::read_to_string(Project::find().root.join("Cargo.lock"))?;
    let version = version_in(&lock).ok_or("Cargo.lock names no wasm-bindgen")?;
    Ok(version.to_owned())
}

fn version_in(lock: &str) -> Option<&str> {
    let (_, package) = lock.split_once("name = \"wasm-bindgen\"\nversion = \"")?;
    package.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_crate_itself() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.80\"\n\n\
            [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(version_in(lock), Some("0.2.130"));
        assert_eq!(version_in(""), None);
    }
}
