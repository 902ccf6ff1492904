//! What a benchmark was asked for.

use std::{env, process};

const USAGE: &str = "usage: cargo bench --bench NAME [-- quick | timing]
    (nothing)  the figures: minutes
    quick      everything once and small, to see that it works: seconds; the figures mean nothing
    timing     Criterion's groups instead of the figures
With BENCH_QUICK in the environment, it is `quick`.";

/// The usage is to be printed.
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    /// Why; none when it was asked for.
    unknown: Option<String>,
}

/// What a benchmark was asked for, by its arguments and its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The figures: minutes.
    Full,
    /// Everything once and small, to see that it works: seconds. The figures mean nothing.
    Quick,
    /// Criterion's groups instead of the figures: wall time, with the spread that it has.
    Timing,
}

impl Mode {
    /// `quick` and `timing` are arguments, as in `cargo bench --bench NAME -- quick`. Where cargo runs a benchmark as
    /// a test, it is quick too. With `--help`, or with an argument that is none of these, the process prints how it is
    /// used, and ends: a run takes minutes.
    #[must_use]
    pub fn asked() -> Self {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match Self::of(&arguments, env::var_os("BENCH_QUICK").is_some()) {
            Ok(mode) => mode,
            Err(Usage { unknown: None }) => {
                println!("{USAGE}");
                process::exit(0)
            }
            Err(Usage {
                unknown: Some(argument),
            }) => {
                eprintln!("unknown argument `{argument}`\n{USAGE}");
                process::exit(2)
            }
        }
    }

    fn of(arguments: &[&str], quick: bool) -> Result<Self, Usage> {
        let (mut words, mut bench) = (Vec::new(), false);
        for &argument in arguments {
            match argument {
                "--bench" => bench = true,
                // What cargo and test runners add where benchmarks run as tests.
                "--test" | "--nocapture" | "--no-capture" => {}
                "quick" | "timing" => words.push(argument),
                "--help" | "-h" => return Err(Usage { unknown: None }),
                _ => {
                    let unknown = Some(argument.to_owned());
                    return Err(Usage { unknown });
                }
            }
        }
        Ok(if words.contains(&"quick") || quick || !bench {
            Self::Quick
        } else if words.contains(&"timing") {
            Self::Timing
        } else {
            Self::Full
        })
    }

    /// The first of two numbers for a full run, the second for a quick one.
    #[must_use]
    pub fn pick<T>(self, full: T, quick: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full | Self::Timing => full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_say_what_is_run_and_unknown_ones_run_nothing() {
        let of = |arguments: &[&str]| Mode::of(arguments, false);
        assert_eq!(of(&["--bench"]), Ok(Mode::Full));
        assert_eq!(of(&["quick", "--bench"]), Ok(Mode::Quick));
        assert_eq!(of(&["timing", "--bench"]), Ok(Mode::Timing));
        assert_eq!(of(&[]), Ok(Mode::Quick));
        assert_eq!(Mode::of(&["--bench"], true), Ok(Mode::Quick));
        assert_eq!(of(&["--help", "--bench"]), Err(Usage { unknown: None }));
        let unknown = Some("--quick".to_owned());
        assert_eq!(of(&["--quick", "--bench"]), Err(Usage { unknown }));
    }
}
