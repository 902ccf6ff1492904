//! Gets a toolchain for wasm onto the machine.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use super::{TARGET, find_linker, std_library};
use crate::Result;
use crate::command::run;
use crate::setup::{has_program, install_packages};

/// Asks rustup first, and falls back on Debian's packages.
pub(crate) fn install() -> Result {
    if has_program("rustup") {
        let Err(error) = run(Command::new("rustup").args(["target", "add", TARGET])) else {
            return Ok(());
        };
        println!("rustup could not add the target: {error}");
    }
    if !has_program("apt-get") {
        return Err(format!("install Rust's standard library for {TARGET}").into());
    }
    install_packages(&[
        "rustc-web",
        "cargo-web",
        "rust-web-src",
        "rust-web-clippy",
        "libstd-rust-web-dev",
    ])?;
    if find_linker().is_none() {
        install_packages(&["lld-19"])?;
    }
    if !std_library::is_current() {
        std_library::build()?;
    }
    Ok(())
}

/// The folder of a tool: one a version, beside what else cargo installs, so that no clean build costs it.
pub(super) fn tools(name: &str) -> Result<PathBuf> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let home = home.ok_or("there is no home directory")?;
    Ok(home.join("tools").join(name))
}
