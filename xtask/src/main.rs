//! `cargo xtask`: sets the machine up, runs every test there is, soaks, and plants bugs.
//!
//! The stages and their steps are the table in `stages.rs`; what the machine needs is the table in `setup.rs`.

mod checks;
mod command;
mod examples;
mod mutants;
mod project;
mod setup;
mod soak;
mod stages;
mod step;
mod tally;
mod wasm;

use std::env;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use project::Project;
use stages::STAGES;
use step::Stage;

/// A failure carries no more than its message: it is printed, never matched on.
type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const USAGE: &str = "\
usage: cargo xtask test [--only STAGE] [--deny-skips]
       cargo xtask test --list
       cargo xtask setup
       cargo xtask soak [--minutes N] [--seed N]
       cargo xtask mutants [--only NAME] [--seeds N]
       cargo xtask mutants --check
       cargo xtask size
       cargo xtask bench browser
       cargo xtask web [--check | --listen ADDRESS]

  test            install what is missing, run every stage, end with the totals
    --only STAGE  run this stage alone
    --deny-skips  fail when a test is skipped, too
    --list        print the stages and their steps, run nothing
  setup           install what is missing, run nothing else
  soak            two devices and a server, killed at random for N minutes (10): do they converge?
  mutants         plant each bug of sync-testing/mutants in a copy: does the simulator find it?
    --only NAME   those with this in their name alone
    --seeds N     what a mutant may survive (20000)
    --check       whether the patches still apply, run nothing
  size            what does the engine add to a web page, by crate? Too much fails
  bench browser   the benchmarks that need a browser; the others are run by `cargo bench`
  web             build the demo and serve it until ctrl-c
    --check       build it only
    --listen      where to serve it (127.0.0.1:8080); port 0 is any free one";

enum Task {
    Test {
        stages: Vec<&'static Stage>,
        deny_skips: bool,
    },
    List,
    Setup,
    Soak {
        time: Duration,
        seed: u64,
    },
    Mutants(mutants::Choice),
    CheckMutants,
    Size,
    BenchBrowser,
    BuildWeb,
    Web {
        listen: Option<String>,
    },
    Help,
}

fn main() -> ExitCode {
    let task = match parse(env::args().skip(1)) {
        Ok(task) => task,
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let succeeded = match task {
        Task::Test { stages, deny_skips } => {
            let tally = step::run(&stages, &Project::find());
            tally.failed == 0 && !(deny_skips && tally.skipped > 0)
        }
        Task::List => {
            step::list(STAGES);
            true
        }
        Task::Setup => succeeded(setup::install_all(STAGES)),
        Task::Soak { time, seed } => succeeded(soak::run_for(time, seed, &Project::find())),
        Task::Mutants(choice) => succeeded(mutants::run(&choice, &Project::find())),
        Task::CheckMutants => succeeded(mutants::check(&Project::find())),
        Task::Size => succeeded(size(&Project::find())),
        Task::BenchBrowser => succeeded(bench_browser(&Project::find())),
        Task::BuildWeb => succeeded(build_web(&Project::find())),
        Task::Web { listen } => succeeded(web(&Project::find(), listen.as_deref())),
        Task::Help => {
            println!("{USAGE}");
            true
        }
    };
    if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn succeeded(outcome: Result) -> bool {
    if let Err(error) = &outcome {
        eprintln!("{error}");
    }
    outcome.is_ok()
}

fn bench_browser(project: &Project) -> Result {
    setup::install(&[setup::WASM_TARGET, setup::WASM_BINDGEN, setup::CHROMIUM])?;
    wasm::browser::bench(project)
}

fn size(project: &Project) -> Result {
    setup::install(&[setup::WASM_TARGET, setup::WASM_BINDGEN, setup::WASM_OPT])?;
    wasm::size::measure(project)
}

fn build_web(project: &Project) -> Result {
    setup::install(&[setup::WASM_TARGET, setup::WASM_BINDGEN])?;
    wasm::web::build(project).map(drop)
}

fn web(project: &Project, listen: Option<&str>) -> Result {
    setup::install(&[setup::WASM_TARGET, setup::WASM_BINDGEN])?;
    wasm::web::serve(project, listen)
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Task> {
    match args.next().as_deref() {
        Some("test") => parse_test(args),
        Some("setup") => match args.next() {
            None => Ok(Task::Setup),
            Some(arg) => Err(format!("`setup` takes no `{arg}`").into()),
        },
        Some("soak") => parse_soak(args),
        Some("mutants") => parse_mutants(args),
        Some("size") => match args.next() {
            None => Ok(Task::Size),
            Some(arg) => Err(format!("`size` takes no `{arg}`").into()),
        },
        Some("bench") => match (args.next().as_deref(), args.next()) {
            (Some("browser"), None) => Ok(Task::BenchBrowser),
            _ => Err("`bench` takes the word `browser`".into()),
        },
        Some("web") => parse_web(args),
        Some("help" | "--help" | "-h") | None => Ok(Task::Help),
        Some(task) => Err(format!("there is no task `{task}`").into()),
    }
}

fn parse_web(args: impl Iterator<Item = String>) -> Result<Task> {
    // Two dashes before what is handed on are a habit of cargo's users.
    let mut args = args.skip_while(|arg| arg == "--");
    match (args.next().as_deref(), args.next(), args.next()) {
        (None, ..) => Ok(Task::Web { listen: None }),
        (Some("--check"), None, _) => Ok(Task::BuildWeb),
        (Some("--listen"), listen @ Some(_), None) => Ok(Task::Web { listen }),
        _ => Err("`web` takes `--check`, or `--listen` and an address".into()),
    }
}

fn parse_soak(mut args: impl Iterator<Item = String>) -> Result<Task> {
    let mut minutes = 10;
    // A seed of its own each time; it is printed, and never zero.
    let mut seed = SystemTime::now()
        .duration_since(UNIX_EPOCH)?
        .as_secs()
        .max(1);
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64> {
            let number = args
                .next()
                .ok_or_else(|| format!("`{arg}` wants a number"))?;
            Ok(number.parse()?)
        };
        match arg.as_str() {
            "--minutes" => minutes = number()?,
            "--seed" => seed = number()?.max(1),
            _ => return Err(format!("`soak` takes no `{arg}`").into()),
        }
    }
    Ok(Task::Soak {
        time: Duration::from_secs(minutes * 60),
        seed,
    })
}

fn parse_mutants(mut args: impl Iterator<Item = String>) -> Result<Task> {
    let (mut only, mut seeds) = (None, mutants::SEEDS);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("`{arg}` wants a value"));
        match arg.as_str() {
            "--check" => return Ok(Task::CheckMutants),
            "--only" => only = Some(value()?),
            "--seeds" => seeds = value()?.parse()?,
            _ => return Err(format!("`mutants` takes no `{arg}`").into()),
        }
    }
    Ok(Task::Mutants(mutants::Choice { only, seeds }))
}

fn parse_test(mut args: impl Iterator<Item = String>) -> Result<Task> {
    let mut stages: Vec<&Stage> = STAGES.iter().collect();
    let mut deny_skips = false;
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--list" => return Ok(Task::List),
            "--deny-skips" => deny_skips = true,
            "--only" => {
                let name = args.next().ok_or("`--only` wants the name of a stage")?;
                stages.retain(|stage| stage.name == name);
                if stages.is_empty() {
                    return Err(format!("there is no stage `{name}`").into());
                }
            }
            _ => return Err(format!("`test` takes no `{arg}`").into()),
        }
    }
    Ok(Task::Test { stages, deny_skips })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Task> {
        parse(words.split_whitespace().map(String::from))
    }

    #[test]
    fn test_runs_every_stage_unless_told_otherwise() {
        let Ok(Task::Test { stages, deny_skips }) = parse_words("test") else {
            panic!("`test` is a task");
        };
        assert_eq!(stages.len(), STAGES.len());
        assert!(!deny_skips);
    }

    #[test]
    fn only_chooses_one_stage() {
        let Ok(Task::Test { stages, deny_skips }) = parse_words("test --deny-skips --only native")
        else {
            panic!("`native` is a stage");
        };
        assert_eq!(
            stages.iter().map(|stage| stage.name).collect::<Vec<_>>(),
            ["native"]
        );
        assert!(deny_skips);
    }

    #[test]
    fn the_demo_is_served_at_the_address_that_is_given() {
        for words in ["web --listen 127.0.0.1:0", "web -- --listen 127.0.0.1:0"] {
            let Ok(Task::Web { listen }) = parse_words(words) else {
                panic!("`{words}` serves the demo");
            };
            assert_eq!(listen.as_deref(), Some("127.0.0.1:0"));
        }
    }

    #[test]
    fn a_misspelt_argument_is_an_error() {
        for words in [
            "tset",
            "test --onyl native",
            "test --only",
            "test --only natvie",
            "setup now",
            "size big",
            "bench",
            "bench firefox",
            "web --chekc",
            "web --check twice",
            "web --listen",
            "web --listen here there",
            "web --listen here --check",
            "mutants --olny poison",
            "mutants --only",
            "mutants --seeds many",
        ] {
            assert!(parse_words(words).is_err(), "{words}");
        }
    }
}
