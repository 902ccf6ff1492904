//! `cargo xtask web`: the demo in a browser, built as it is shipped, and served.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{TARGET, bindgen, browser};
use crate::Result;
use crate::command::run;
use crate::project::Project;

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

/// Builds the page and its server, and serves until ctrl-c.
pub(crate) fn serve(project: &Project) -> Result {
    let pages = build(project)?;
    run(&mut project.cargo("build --package web-server"))?;
    let mut server = Command::new(project.target.join("debug/web-server"));
    let files = project.target.join("wasm/web-files");
    server.arg("--pages").arg(pages).arg("--files").arg(files);
    run(&mut server)
}

fn copy(from: &Path, to: &Path) -> Result {
    for entry in fs::read_dir(from)? {
        let file = entry?;
        fs::copy(file.path(), to.join(file.file_name()))?;
    }
    Ok(())
}
