//! `cargo xtask web`: the demo in a browser, built as it is shipped, and served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TARGET, bindgen, browser};
use crate::Result;
use crate::command::{become_it, run, run_tests};
use crate::project::Project;
use crate::tally::Tally;

/// Builds the page into a folder, beside its files that need no building, and returns the folder.
pub(crate) fn build(project: &Project) -> Result<PathBuf> {
    let words = "build --release --package web";
    run(&mut browser::cargo(project, &browser::toolchain()?, words))?;
    let folder = project.target.join("wasm/web");
    fs::create_dir_all(&folder)?;
    let built: PathBuf = ["wasm", TARGET, "release", "web.wasm"].iter().collect();
    let mut bindgen = Command::new(bindgen::folder()?.join("wasm-bindgen"));
    bindgen.args(["--target", "web", "--no-typescript", "--out-dir"]);
    run(bindgen.arg(&folder).arg(project.target.join(built)))?;
    copy(&project.root.join("examples/web/page"), &folder)?;
    Ok(folder)
}

/// Builds the page and its server, and serves until ctrl-c; at the server's usual address, if none is given.
pub(crate) fn serve(project: &Project, listen: Option<&str>) -> Result {
    let pages = build(project)?;
    run(&mut project.cargo("build --package web-server"))?;
    let mut server = Command::new(project.target.join("debug/web-server"));
    let files = project.target.join("wasm/web-files");
    server.arg("--pages").arg(pages).arg("--files").arg(files);
    if let Some(address) = listen {
        server.args(["--listen", address]);
    }
    become_it(&mut server)
}

/// Drives the page in a browser, as two people with a profile each; its pictures are left beside the build.
pub(crate) fn test(project: &Project) -> Result<Tally> {
    let driver = browser::driver().ok_or("no chromedriver; `cargo xtask setup` installs it")?;
    let pages = build(project)?;
    // One at a time: each has two browsers.
    let mut tests = project.cargo("test --package web-server --test e2e -- --test-threads 1");
    tests
        .env("CHROMEDRIVER", driver)
        .env("BABY_LOG_PAGES", pages);
    let pictures = project.target.join("wasm/web-screenshots");
    run_tests(tests.env("BABY_LOG_SCREENSHOTS", pictures))
}

fn copy(from: &Path, to: &Path) -> Result {
    for entry in fs::read_dir(from)? {
        let file = entry?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}
