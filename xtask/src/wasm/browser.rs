//! Tests in a real browser: Chromium, without a window, driven by chromedriver.

use std::path::{Path, PathBuf};
use std::{env, process::Command};

use super::{TARGET, Toolchain, bindgen};
use crate::Result;
use crate::command::{run, run_tests};
use crate::examples;
use crate::project::Project;
use crate::setup::install_packages;
use crate::tally::Tally;

/// Where Debian puts it; `webdriver.json` beside a crate's manifest names it, too.
const CHROMIUM: &str = "/usr/bin/chromium";

pub(crate) fn is_installed() -> bool {
    Path::new(CHROMIUM).is_file() && driver().is_some()
}

pub(crate) fn install() -> Result {
    if !crate::setup::has_program("apt-get") {
        let message = format!("install Chromium as {CHROMIUM}, and its chromedriver in the PATH");
        return Err(message.into());
    }
    install_packages(&["chromium", "chromium-driver"])
}

pub(super) fn driver() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut programs = env::split_paths(&path).map(|folder| folder.join("chromedriver"));
    programs.find(|program| program.is_file())
}

/// A cargo command on one of the crates, for wasm.
pub(super) fn cargo(project: &Project, toolchain: &Toolchain, words: &str) -> Command {
    let mut cargo = toolchain.cargo();
    let mut words = words.split_whitespace();
    cargo.current_dir(&project.root).args(words.next());
    cargo.args(["--target", TARGET]);
    // Another compiler or other flags would evict the native builds from a shared directory.
    cargo.arg("--target-dir").arg(project.target.join("wasm"));
    cargo.args(words);
    cargo
}

pub(super) fn toolchain() -> Result<Toolchain> {
    let found = Toolchain::find();
    found.ok_or_else(|| "no toolchain for wasm; `cargo xtask setup` installs one".into())
}

/// Lints a crate as it is for the browser; elsewhere it is empty.
pub(crate) fn lint(project: &Project, package: &str) -> Result {
    let words = format!("clippy --package {package} --all-targets -- -D warnings");
    run(&mut cargo(project, &toolchain()?, &words))
}

/// Builds its documentation.
pub(crate) fn doc(project: &Project, package: &str) -> Result {
    let words = format!("doc --package {package} --no-deps");
    run(cargo(project, &toolchain()?, &words).env("RUSTDOCFLAGS", "-D warnings"))
}

/// Compiles the examples in its documentation.
pub(crate) fn doc_tests(project: &Project, package: &str) -> Result {
    let words = format!("test --package {package} --doc");
    run(in_browser(&mut cargo(project, &toolchain()?, &words))?)
}

/// Tests of `sync-idb`, as they are counted.
pub(crate) enum Tests {
    Units,
    /// The suite that every store has to pass.
    ConformanceInWindow,
    ConformanceInWorker,
    /// What only a browser can do to a store.
    Cases,
    /// Whole engines against the example server.
    EndToEnd,
}

impl Tests {
    /// The programs, each of which says where in the browser it runs.
    fn programs(&self) -> &'static [&'static str] {
        match self {
            Self::Units => &[],
            Self::ConformanceInWindow => &["window"],
            Self::ConformanceInWorker => &["worker"],
            Self::Cases => &["window", "worker", "signals"],
            Self::EndToEnd => &["http_window", "http_worker", "service_worker", "workers"],
        }
    }

    fn words(&self) -> String {
        let mut words = "test --package sync-idb --no-fail-fast".to_owned();
        for program in self.programs() {
            words += " --test ";
            words += program;
        }
        words += match self {
            Self::Units => " --lib",
            Self::ConformanceInWindow | Self::ConformanceInWorker => " -- suite",
            Self::Cases => " -- --skip suite",
            Self::EndToEnd => "",
        };
        words
    }
}

/// Runs tests of `sync-idb` in a browser.
pub(crate) fn test(project: &Project, tests: &Tests) -> Result<Tally> {
    let mut command = cargo(project, &toolchain()?, &tests.words());
    in_browser(&mut command)?;
    if !matches!(tests, Tests::EndToEnd) {
        return run_tests(&mut command);
    }
    // Read when the tests are compiled: a browser has no environment.
    examples::with_server(project, |address| {
        run_tests(command.env("SYNC_SERVER", address))
    })
}

/// The hooks for frontends, each a package of its own.
const FRONTENDS: [&str; 2] = ["leptos-hooks", "yew-hooks"];

/// Lints the hooks for frontends.
pub(crate) fn lint_frontends(project: &Project) -> Result {
    FRONTENDS
        .iter()
        .try_for_each(|package| lint(project, package))
}

/// Runs the tests of the hooks for frontends in a browser.
pub(crate) fn test_frontends(project: &Project) -> Result<Tally> {
    let words = FRONTENDS.map(|package| format!("--package {package}"));
    let words = format!("test {} --tests --no-fail-fast", words.join(" "));
    run_tests(in_browser(&mut cargo(project, &toolchain()?, &words))?)
}

/// Runs the benchmarks; their lines are among what they print.
pub(crate) fn bench(project: &Project) -> Result {
    let words = "test --package browser-benches --release --test browser -- --nocapture";
    run(in_browser(&mut cargo(project, &toolchain()?, words))?)
}

/// Lets a command run in the browser what it builds.
fn in_browser(tests: &mut Command) -> Result<&mut Command> {
    let driver = driver().ok_or("no chromedriver; `cargo xtask setup` installs it")?;
    let runner = bindgen::folder()?.join("wasm-bindgen-test-runner");
    Ok(tests
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner)
        .env("CHROMEDRIVER", driver)
        // In seconds: for all tests of a program, and for the driver's start, which is slow on a busy machine.
        .env("WASM_BINDGEN_TEST_TIMEOUT", "600")
        .env("WASM_BINDGEN_TEST_DRIVER_TIMEOUT", "60"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn every_test_program_is_run() {
        let folder = Project::find().root.join("sync-idb/tests");
        let files = fs::read_dir(folder).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        for name in names.filter_map(|name| Some(name.strip_suffix(".rs")?.to_owned())) {
            let named = |tests: &Tests| tests.programs().contains(&name.as_str());
            assert!([Tests::Cases, Tests::EndToEnd].iter().any(named), "{name}");
        }
    }
}
