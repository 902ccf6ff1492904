//! Runs every example that ends by itself, and builds the others.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::command::{run, run_within};
use crate::project::Project;
use crate::tally::Tally;

/// Examples that serve until they are stopped: they are built, not run.
const ENDLESS: &[&str] = &["device", "server"];

/// Asks a server, and is a package of its own: it is run against the example `server`, which must keep every point.
const CHECK: &str = "check_backend";

/// An example is a demonstration: one that takes longer than this hangs, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(180);

pub(crate) fn run_all(project: &Project) -> Result<Tally> {
    let examples = find(&project.root.join("examples"))?;
    if examples.is_empty() {
        println!("there are no examples");
        return Ok(Tally::default());
    }
    run(&mut project.cargo("build --package examples --examples --all-features"))?;
    run(&mut project.cargo("build --package check-backend --examples"))?;
    let programs = project.target.join("debug/examples");
    let mut tally = Tally::of_one(check_server(&programs));
    for example in examples
        .iter()
        .filter(|example| !ENDLESS.contains(&example.as_str()))
    {
        let mut program = Command::new(programs.join(example));
        tally += Tally::of_one(run_within(LIMIT, program.current_dir(&project.root)));
    }
    Ok(tally)
}

/// Runs histories of the simulator: the same ones each time, and some that no run had before.
pub(crate) fn simulate(project: &Project) -> Result {
    for from in ["0", "fresh"] {
        let mut simulate = project.cargo("run --release --package simulate --example simulate");
        run(simulate.args(["--", "--seeds", "3000", "--from", from]))?;
    }
    Ok(())
}

/// Runs something against the example server, whose address it is given.
pub(crate) fn with_server<T>(project: &Project, test: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    run(&mut project.cargo("build --package examples --example server"))?;
    served(&project.target.join("debug/examples"), test)
}

/// Puts the example server to the suite of backends.
fn check_server(programs: &Path) -> Result {
    served(programs, |address| {
        let mut check = Command::new(programs.join(CHECK));
        check.arg(address).args([
            "--account",
            "alice",
            "--token",
            "alice-token",
            "--other-account",
            "bob",
            "--other-token",
            "bob-token",
            "--empty-scope",
            "empty",
            "--shared-scope",
            "shared",
        ]);
        run_within(LIMIT, &mut check)
    })
}

/// Serves on a file of its own until the test is over.
fn served<T>(programs: &Path, test: impl FnOnce(&str) -> Result<T>) -> Result<T> {
    let folder = std::env::temp_dir().join(format!("example-server-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut server = Command::new(programs.join("server"))
        .args(["--listen", "127.0.0.1:0", "--member", "empty=alice"])
        .args(["--member", "shared=alice", "--member", "shared=bob"])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let tested = address(&mut server).and_then(|address| test(&address));
    server.kill()?;
    server.wait()?;
    fs::remove_dir_all(&folder)?;
    tested
}

/// Where the server listens, once it does.
fn address(server: &mut Child) -> Result<String> {
    let stdout = server.stdout.take().ok_or("the server's output is gone")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let words = line.split([' ', ';']);
    let mut addresses = words.filter(|word| word.starts_with("http://"));
    let address = addresses
        .next()
        .ok_or_else(|| format!("no address in {line:?}"))?;
    Ok(address.to_owned())
}

/// The names of the examples: each file beside `lib.rs` is one.
fn find(folder: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs")
            && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            && name != "lib"
        {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}
