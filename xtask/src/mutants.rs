//! Deliberate bugs, and whether the simulator finds them: each patch in `sync-testing/mutants/` breaks one thing in a
//! copy of the project, and an invariant must say so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::Result;
use crate::command::quiet_output;
use crate::project::Project;

const FOLDER: &str = "sync-testing/mutants";
/// Where the table of the mutants is.
const DOCS: &str = "docs/testing.md";
/// Where the pitfalls are.
const PITFALLS: &str = "docs/what-is-tested.md";
/// How many seeds a mutant may survive before the run fails.
pub(crate) const SEEDS: u64 = 20_000;
/// A history that does not end, and a machine that is slow, are told apart by this.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// Which mutants to run, and over how many seeds each.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) only: Option<String>,
    pub(crate) seeds: u64,
}

/// A deliberate bug.
#[derive(Debug)]
struct Mutant {
    name: String,
    patch: PathBuf,
    breaks: String,
    pitfall: String,
    /// The invariants that may be the first to report it.
    expected: Vec<String>,
}

/// What has become of a mutant.
#[derive(Debug)]
enum Fate {
    Caught {
        invariant: String,
        seed: u64,
    },
    Survived,
    /// It proves nothing: it does not apply or compile, the run has panicked, or does not end.
    Void(String),
}

/// Whether every patch still applies, says what it breaks, and is in the table of the docs.
pub(crate) fn check(project: &Project) -> Result {
    let docs = fs::read_to_string(project.root.join(DOCS))?;
    let pitfalls = fs::read_to_string(project.root.join(PITFALLS))?;
    let mut wrong = Vec::new();
    for mutant in all(project)? {
        let mut apply = git_apply(&project.root, &mutant.patch);
        if let Err(error) = quiet_output(apply.arg("--check")) {
            wrong.push(format!("{} does not apply: {error}", mutant.name));
        }
        if !has_row(&pitfalls, &[&mutant.pitfall]) {
            wrong.push(format!("{}: {PITFALLS} has no such pitfall", mutant.name));
        }
        let expected = mutant.expected.join(", ");
        if !has_row(
            &docs,
            &[&format!("`{}`", mutant.name), &mutant.breaks, &expected],
        ) {
            wrong.push(format!(
                "{}: {DOCS} has no row that says the same",
                mutant.name
            ));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n").into())
    }
}

/// Whether a table of the document has a row that begins with these cells.
fn has_row(document: &str, cells: &[&str]) -> bool {
    let row = format!("| {} |", cells.join(" | "));
    document.lines().any(|line| line.starts_with(&row))
}

/// Plants the chosen mutants one after the other and runs the simulator on each until it says no.
pub(crate) fn run(choice: &Choice, project: &Project) -> Result {
    let mut mutants = all(project)?;
    if let Some(only) = &choice.only {
        mutants.retain(|mutant| mutant.name.contains(only.as_str()));
    }
    if mutants.is_empty() {
        return Err("there is no such mutant".into());
    }
    let copy = Copy::of(project)?;
    let mut caught = 0;
    for mutant in &mutants {
        let began = Instant::now();
        let fate = copy.fate_of(mutant, choice.seeds)?;
        let seconds = began.elapsed().as_secs();
        match &fate {
            Fate::Caught { invariant, seed } => {
                caught += 1;
                let seeds = seed + 1;
                let expected = mutant.expected.contains(invariant);
                let note = if expected { "" } else { " (not as expected)" };
                println!(
                    "{}: caught by `{invariant}`{note} after {seeds} seeds ({seconds} s)",
                    mutant.name
                );
            }
            Fate::Survived => println!(
                "{}: SURVIVED {} seeds ({seconds} s): {}",
                mutant.name, choice.seeds, mutant.breaks
            ),
            Fate::Void(why) => println!("{}: VOID: {why}", mutant.name),
        }
    }
    println!("mutants caught: {caught}/{}", mutants.len());
    if caught == mutants.len() {
        Ok(())
    } else {
        Err("a mutant was not caught by an invariant".into())
    }
}

/// The patches, in the order of their names.
fn all(project: &Project) -> Result<Vec<Mutant>> {
    let mut patches: Vec<PathBuf> = fs::read_dir(project.root.join(FOLDER))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    patches.retain(|path| path.extension().is_some_and(|ending| ending == "patch"));
    patches.sort();
    patches.into_iter().map(Mutant::read).collect()
}

impl Mutant {
    fn read(patch: PathBuf) -> Result<Self> {
        let text = fs::read_to_string(&patch)?;
        let name = patch.file_stem().unwrap_or_default().to_string_lossy();
        let field = |field: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(field));
            line.map(str::to_owned)
                .ok_or_else(|| format!("{name} has no line `{field}…`"))
        };
        Ok(Self {
            breaks: field("Breaks: ")?,
            pitfall: field("Pitfall: ")?,
            expected: field("Expected: ")?
                .split(", ")
                .map(str::to_owned)
                .collect(),
            name: name.into_owned(),
            patch,
        })
    }
}

/// A copy of the project in which things are broken. It stays from run to run, so that only what differs is built.
struct Copy {
    root: PathBuf,
    target: PathBuf,
    /// The project's files as they were when the run began: one may go on working there.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Copy {
    fn of(project: &Project) -> Result<Self> {
        let folder = project.target.join("mutants");
        let mut list = Command::new("git");
        list.args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(&project.root);
        let files = quiet_output(&mut list)?;
        let files = files.split_terminator('\0').filter_map(|file| {
            // What is deleted and not committed yet is listed all the same.
            let content = fs::read(project.root.join(file)).ok()?;
            Some((PathBuf::from(file), content))
        });
        let copy = Self {
            root: folder.join("tree"),
            target: folder.join("target"),
            files: files.collect(),
        };
        if copy.root.exists() {
            copy.remove_others(&copy.root)?;
        }
        copy.restore()?;
        Ok(copy)
    }

    /// Removes what the project does not have any more.
    fn remove_others(&self, folder: &Path) -> Result {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.remove_others(&path)?;
            } else if !self.files.contains_key(path.strip_prefix(&self.root)?) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Makes the copy what the project is. What is the same is not touched: cargo goes by the times of files.
    fn restore(&self) -> Result {
        for (file, wanted) in &self.files {
            let to = self.root.join(file);
            if fs::read(&to).is_ok_and(|held| held == *wanted) {
                continue;
            }
            if let Some(folder) = to.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(to, wanted)?;
        }
        Ok(())
    }

    fn fate_of(&self, mutant: &Mutant, seeds: u64) -> Result<Fate> {
        self.restore()?;
        if let Err(error) = quiet_output(&mut git_apply(&self.root, &mutant.patch)) {
            return Ok(Fate::Void(format!("it does not apply: {error}")));
        }
        let mut build = Command::new("cargo");
        build
            .args(["build", "--release", "--quiet", "--package", "simulate"])
            .args(["--example", "simulate"])
            .env("CARGO_TARGET_DIR", &self.target)
            // Many small changes are built once each: what is quickly built counts, too.
            .env("CARGO_INCREMENTAL", "1")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
            .current_dir(&self.root);
        if let Err(error) = quiet_output(&mut build) {
            return Ok(Fate::Void(format!("it does not compile: {error}")));
        }
        let mut simulate = Command::new(self.target.join("release/examples/simulate"));
        simulate.args(["--until-violation", "--seeds", &seeds.to_string()]);
        Ok(match output_within(LIMIT, &mut simulate)? {
            Some(output) => fate(&output),
            None => Fate::Void(format!("still running after {} s", LIMIT.as_secs())),
        })
    }
}

/// A patch, applied as if there were no repository: the copy lies within one that must not take part.
fn git_apply(root: &Path, patch: &Path) -> Command {
    let mut git = Command::new("git");
    git.args(["apply", "--whitespace=nowarn"])
        .arg(patch)
        .env("GIT_CEILING_DIRECTORIES", root.parent().unwrap_or(root))
        .current_dir(root);
    git
}

/// What the simulator has said: the first violation, none, or neither.
fn fate(output: &Output) -> Fate {
    let text = String::from_utf8_lossy(&output.stdout);
    let violation = text.lines().find_map(|line| {
        let (seed, what) = line.strip_prefix("seed ")?.split_once(" violates ")?;
        let (invariant, _) = what.split_once(" (")?;
        Some((seed.parse().ok()?, invariant.to_owned()))
    });
    match (output.status.code(), violation) {
        // It is reported as a violation is, and no invariant has looked.
        (_, Some((seed, panicked))) if panicked == "no panic" => {
            Fate::Void(format!("the simulator panicked at seed {seed}"))
        }
        (Some(1), Some((seed, invariant))) => Fate::Caught { invariant, seed },
        (Some(0), None) => Fate::Survived,
        _ => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Fate::Void(format!("the simulator: {}: {errors}", output.status))
        }
    }
}

/// What a command prints; none if it does not end in time.
fn output_within(limit: Duration, command: &mut Command) -> Result<Option<Output>> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = child.spawn()?;
    let began = Instant::now();
    // It prints less than a pipe holds.
    while child.try_wait()?.is_none() {
        if began.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(20));
    }
    Ok(Some(child.wait_with_output()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate_of_script(script: &str) -> Fate {
        let mut shell = Command::new("sh");
        let output = output_within(Duration::from_secs(60), shell.args(["-c", script]));
        fate(&output.unwrap().unwrap())
    }

    #[test]
    fn only_a_report_of_an_invariant_catches_a_mutant() {
        let report =
            "echo 'seed 41 violates no stall (guarantee 11: it goes on) at 7 ms: it is stuck'";
        let caught = fate_of_script(&format!("{report}; echo 'violations: 1'; exit 1"));
        assert!(
            matches!(&caught, Fate::Caught { invariant, seed: 41 } if invariant == "no stall"),
            "{caught:?}"
        );
        let survived = fate_of_script("echo 'violations: 0'");
        assert!(matches!(survived, Fate::Survived), "{survived:?}");
        for script in [
            &format!("{report}; exit 101"),
            "exit 101",
            "exit 1",
            "kill -9 $$",
            "echo 'seed 41 violates no panic (an error) at 7 ms: it was none'; exit 1",
        ] {
            let fate = fate_of_script(script);
            assert!(matches!(fate, Fate::Void(_)), "{script}: {fate:?}");
        }
    }

    #[test]
    fn a_run_that_does_not_end_is_stopped() {
        let stopped = output_within(Duration::ZERO, Command::new("sleep").arg("600"));
        assert!(stopped.unwrap().is_none());
    }
}
