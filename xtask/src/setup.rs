//! What the machine needs, and how each piece gets there.

use std::env;
use std::process::Command;

use crate::command::{quiet_output, run};
use crate::step::Stage;
use crate::{Result, wasm};

/// One thing that a stage needs. It is looked for first, and installed only where it is missing.
pub(crate) struct Piece {
    name: &'static str,
    is_there: fn() -> bool,
    install: fn() -> Result,
}

pub(crate) const RUSTFMT: Piece = Piece {
    name: "rustfmt",
    is_there: || answers("cargo fmt --version"),
    install: || run(Command::new("rustup").args(["component", "add", "rustfmt"])),
};

pub(crate) const CLIPPY: Piece = Piece {
    name: "clippy",
    is_there: || answers("cargo clippy --version"),
    install: || run(Command::new("rustup").args(["component", "add", "clippy"])),
};

pub(crate) const WASM_TARGET: Piece = Piece {
    name: "a toolchain for wasm32-unknown-unknown",
    is_there: || wasm::Toolchain::find().is_some(),
    install: wasm::install::install,
};

pub(crate) const WASM_BINDGEN: Piece = Piece {
    name: "wasm-bindgen's test runner",
    is_there: wasm::bindgen::is_installed,
    install: wasm::bindgen::install,
};

pub(crate) const CHROMIUM: Piece = Piece {
    name: "Chromium and its driver",
    is_there: wasm::browser::is_installed,
    install: wasm::browser::install,
};

pub(crate) const WASM_OPT: Piece = Piece {
    name: "the optimizer of binaryen",
    is_there: wasm::optimizer::is_installed,
    install: wasm::optimizer::install,
};

/// Installs what the stages need.
pub(crate) fn install_all(stages: &[Stage]) -> Result {
    stages.iter().try_for_each(|stage| install(stage.needs))
}

/// Installs those of the pieces that are missing.
pub(crate) fn install(pieces: &[Piece]) -> Result {
    for piece in pieces {
        if (piece.is_there)() {
            println!("{}: there", piece.name);
            continue;
        }
        println!("{}: missing, installing", piece.name);
        (piece.install)().map_err(|error| format!("{}: {error}", piece.name))?;
        if !(piece.is_there)() {
            return Err(format!("{}: installed, but not found", piece.name).into());
        }
    }
    Ok(())
}

/// Installs Debian packages, those that are missing.
pub(crate) fn install_packages(packages: &[&str]) -> Result {
    let missing: Vec<_> = packages
        .iter()
        .filter(|package| !is_installed(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    run(apt_get().arg("update"))?;
    run(apt_get()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(missing))
}

fn is_installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    quiet_output(query.args(["--show", "--showformat=${db:Status-Status}", package]))
        .is_ok_and(|status| status == "installed")
}

fn apt_get() -> Command {
    let is_root = quiet_output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"]);
    command
}

fn answers(command: &str) -> bool {
    let mut words = command.split_whitespace();
    words
        .next()
        .is_some_and(|program| quiet_output(Command::new(program).args(words)).is_ok())
}

/// Whether a program of this name is in the `PATH`.
pub(crate) fn has_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
