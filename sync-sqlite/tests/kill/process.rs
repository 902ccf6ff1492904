//! A child as its parent sees it.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{self, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    act::Report,
    child::{ORDERS, Orders},
};

/// Nothing that a child does takes so long, however slow the machine.
const STUCK: Duration = Duration::from_secs(60);

/// A child process at work.
pub(crate) struct Process {
    child: process::Child,
    reports: Receiver<Report>,
    told: Vec<Report>,
}

impl Process {
    pub(crate) fn start(orders: &Orders) -> Self {
        let orders = serde_json::to_string(orders).expect("orders are JSON");
        let program = env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .env(ORDERS, orders)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child starts");
        let stdout = child.stdout.take().expect("a pipe");
        let (sender, reports) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout);
            let mut line = String::new();
            // What is cut off in the middle was not reported.
            while lines.read_line(&mut line).is_ok() && line.ends_with('\n') {
                if sender.send(Report::parse(line.trim_end())).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self {
            child,
            reports,
            told: Vec::new(),
        }
    }

    /// Waits until the child has reported this; returns whether it did before `limit`.
    pub(crate) fn wait_for(
        &mut self,
        limit: Duration,
        mut what: impl FnMut(&Report) -> bool,
    ) -> Result<bool, String> {
        let end = Instant::now() + limit.min(STUCK);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.reports.recv_timeout(left) {
                Ok(report) => {
                    let this = what(&report);
                    self.told.push(report);
                    if this {
                        return Ok(true);
                    }
                }
                Err(RecvTimeoutError::Timeout) if limit < STUCK => return Ok(false),
                Err(RecvTimeoutError::Timeout) => {
                    return Err(format!("a child is stuck after {:?}", self.told.last()));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("a child ended after {:?}", self.told.last()));
                }
            }
        }
    }

    /// Waits until an act has gone on for longer than small ones do, or until there were many of them.
    pub(crate) fn wait_for_a_long_act(&mut self) -> Result<(), String> {
        const LONG: Duration = Duration::from_millis(12);
        const MANY: usize = 600;
        while self.told.len() < MANY {
            let begun = matches!(self.told.last(), Some(Report::Begun(_)));
            let limit = if begun { LONG } else { Duration::MAX };
            if !self.wait_for(limit, |_| true)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Kills it with SIGKILL, and returns all that it had reported.
    pub(crate) fn kill(mut self) -> Result<Vec<Report>, String> {
        let ended = self.child.try_wait().map_err(|error| error.to_string())?;
        self.child.kill().map_err(|error| error.to_string())?;
        self.child.wait().map_err(|error| error.to_string())?;
        self.told.extend(self.reports.iter());
        match ended {
            None => Ok(self.told),
            Some(status) => Err(format!("a child ended by itself: {status}")),
        }
    }
}
