//! Running commands: each is printed as one would type it, and reads no input.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::tally::Tally;

/// Runs the command to its end; what it prints goes straight through.
pub(crate) fn run(command: &mut Command) -> Result {
    print_command(command);
    check(start(command)?.wait()?)
}

/// Ends as the command: where the system can, this process becomes it, so that ctrl-c has but one to end.
pub(crate) fn become_it(command: &mut Command) -> Result {
    #[cfg(unix)]
    {
        print_command(command);
        let error = std::os::unix::process::CommandExt::exec(command.stdin(Stdio::null()));
        Err(format!("{}: {error}", program(command)).into())
    }
    #[cfg(not(unix))]
    run(command)
}

/// Runs the command and returns what it printed on its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    print_command(command);
    quiet_output(command)
}

/// Like [`output`] without a word: for looking around, not for doing.
pub(crate) fn quiet_output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{}: {error}", program(command)))?;
    if let Err(error) = check(output.status) {
        return Err(format!("{error}\n{}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Runs `cargo test` and adds up the results of its test binaries.
pub(crate) fn run_tests(command: &mut Command) -> Result<Tally> {
    print_command(command);
    let mut child = start(command.stdout(Stdio::piped()))?;
    let mut tally = Tally::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            let line = line?;
            println!("{line}");
            tally += Tally::of_result_line(&line).unwrap_or_default();
        }
    }
    let ended = check(child.wait()?);
    // A build that broke, or a test binary that crashed, has no result line.
    if ended.is_err() && tally.failed == 0 {
        tally += Tally::of_one(ended);
    }
    Ok(tally)
}

/// Runs the command, which must end by itself within `limit`.
pub(crate) fn run_within(limit: Duration, command: &mut Command) -> Result {
    print_command(command);
    let mut child = start(command)?;
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return check(status);
        }
        if started.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Err(format!("still running after {} s", limit.as_secs()).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn start(command: &mut Command) -> Result<Child> {
    let child = command.stdin(Stdio::null()).spawn();
    child.map_err(|error| format!("{}: {error}", program(command)).into())
}

fn check(status: ExitStatus) -> Result {
    if status.success() {
        Ok(())
    } else {
        Err(status.to_string().into())
    }
}

fn print_command(command: &Command) {
    let mut words = Vec::new();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            words.push(format!(
                "{}={}",
                name.display(),
                quoted(&value.to_string_lossy())
            ));
        }
    }
    words.push(program(command));
    words.extend(command.get_args().map(|arg| quoted(&arg.to_string_lossy())));
    println!("$ {}", words.join(" "));
}

fn program(command: &Command) -> String {
    command.get_program().to_string_lossy().into_owned()
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_=+./:,@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into()
    } else {
        format!("'{word}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_command_is_an_error() {
        assert!(run(&mut Command::new("true")).is_ok());
        assert!(run(&mut Command::new("false")).is_err());
        assert!(run(&mut Command::new("no-such-program")).is_err());
    }

    #[test]
    fn a_command_that_does_not_end_is_stopped() {
        let error = run_within(Duration::ZERO, Command::new("sleep").arg("600"));
        assert!(error.is_err_and(|error| error.to_string().contains("still running")));
    }

    #[test]
    fn results_of_several_test_binaries_add_up() {
        let script = "echo 'test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured';
            echo 'test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured'; exit 101";
        let tally = run_tests(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!(
            tally,
            Tally {
                passed: 4,
                failed: 2,
                skipped: 1
            }
        );
    }

    #[test]
    fn a_test_binary_that_crashes_is_a_failure() {
        let script = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'; exit 101";
        let tally = run_tests(Command::new("sh").args(["-c", script])).unwrap();
        assert_eq!((tally.passed, tally.failed), (3, 1));
    }
}
