//! Building for `wasm32-unknown-unknown`.
//!
//! The toolchain that builds the rest does, where rustup could add the target to it. Where it could not, Debian's
//! toolchain for web applications stands in: it lives in `/usr/bin` beside the other and is used for wasm alone.

pub(crate) mod bindgen;
pub(crate) mod browser;
pub(crate) mod install;
mod module;
pub(crate) mod optimizer;
pub(crate) mod size;
mod std_library;
pub(crate) mod web;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, iter};

use crate::Result;
use crate::command::{quiet_output, run};
use crate::project::Project;

const TARGET: &str = "wasm32-unknown-unknown";

/// A toolchain that can build and link for wasm.
pub(crate) enum Toolchain {
    Default,
    Debian { linker: PathBuf },
}

impl Toolchain {
    pub(crate) fn find() -> Option<Self> {
        if default_has_target() {
            return Some(Self::Default);
        }
        let linker = find_linker().filter(|_| std_library::is_current())?;
        Some(Self::Debian { linker })
    }

    fn cargo(&self) -> Command {
        match self {
            Self::Default => Command::new("cargo"),
            Self::Debian { linker } => {
                let mut cargo = debian("cargo");
                cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                cargo
            }
        }
    }
}

/// Builds one of the crates; a warning fails.
pub(crate) fn build(project: &Project, selection: &str) -> Result {
    let toolchain = Toolchain::find().ok_or("no toolchain; `cargo xtask setup` installs one")?;
    let mut cargo = toolchain.cargo();
    cargo
        .current_dir(&project.root)
        .env("RUSTFLAGS", "-D warnings");
    cargo
        .args(["build", "--target", TARGET])
        .args(selection.split_whitespace());
    // Another compiler or other flags would evict the native builds from a shared directory.
    run(cargo.arg("--target-dir").arg(project.target.join("wasm")))
}

fn default_has_target() -> bool {
    target_folder(&mut Command::new("rustc")).is_ok_and(|folder| folder.is_dir())
}

/// Where this compiler keeps the standard library for wasm, if it has one.
fn target_folder(rustc: &mut Command) -> Result<PathBuf> {
    let folder = quiet_output(rustc.args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(folder.trim_end().into())
}

/// Any lld does: the one that every rustup toolchain carries, or Debian's.
fn find_linker() -> Option<PathBuf> {
    let sysroot = quiet_output(Command::new("rustc").args(["--print", "sysroot"])).ok()?;
    let host = quiet_output(Command::new("rustc").args(["--print", "host-tuple"])).ok()?;
    let of_toolchain = Path::new(sysroot.trim_end())
        .join("lib/rustlib")
        .join(host.trim_end())
        .join("bin/rust-lld");
    [of_toolchain, "/usr/bin/wasm-ld-19".into()]
        .into_iter()
        .find(|linker| linker.is_file())
}

/// A program of Debian's toolchain, kept apart from the toolchain that runs this.
fn debian(program: &str) -> Command {
    let folder = Path::new("/usr/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = iter::once(folder.to_path_buf()).chain(env::split_paths(&path));
    let mut command = Command::new(folder.join(program));
    // Its subcommands are looked for there, and would be those of the other toolchain.
    if let Ok(path) = env::join_paths(folders) {
        command.env("PATH", path);
    }
    command
        .env("RUSTC", folder.join("rustc"))
        .env("RUSTDOC", folder.join("rustdoc"));
    for variable in [
        "CARGO",
        "LD_LIBRARY_PATH",
        "RUSTC_WRAPPER",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.env_remove(variable);
    }
    command
}
