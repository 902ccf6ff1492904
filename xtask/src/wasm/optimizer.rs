//! wasm-opt: of one version, from npm. Debian's is years older, and leaves five kilobytes more of the engine.

use std::path::PathBuf;
use std::process::Command;

use super::install::tools;
use crate::Result;
use crate::command::run;
use crate::setup::{has_program, install_packages};

const VERSION: &str = "132.0.0";

pub(crate) fn is_installed() -> bool {
    program().is_ok_and(|program| program.is_file())
}

pub(crate) fn install() -> Result {
    if !has_program("npm") {
        if !has_program("apt-get") {
            return Err("install npm".into());
        }
        install_packages(&["npm"])?;
    }
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]);
    npm.arg(folder()?).arg(format!("binaryen@{VERSION}"));
    run(&mut npm)
}

pub(super) fn program() -> Result<PathBuf> {
    Ok(folder()?.join("node_modules/.bin/wasm-opt"))
}

fn folder() -> Result<PathBuf> {
    tools(&format!("binaryen-{VERSION}"))
}
