//! What a run has come to.

use std::{collections::BTreeMap, fmt};

use crate::{
    oracle::{Fault, Wrong},
    round::LARGE,
};

/// Counts of a run, and what went wrong in it.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    pub(crate) steps: u64,
    pub(crate) reads: u64,
    pub(crate) while_opening: u64,
    /// The calls that kills have met.
    pub(crate) met: BTreeMap<String, u64>,
    pub(crate) wrong: Vec<(u64, Wrong)>,
}

impl Tally {
    /// A kill has met the call that would have answered this.
    pub(crate) fn meet(&mut self, answer: &str) {
        let mut words = answer.split([' ', ',']);
        let call = words.next().unwrap_or_default().to_owned();
        let changes = words.nth(1).and_then(|n| n.parse::<u64>().ok());
        let call = match changes {
            Some(changes) if changes >= LARGE => call + " of a large page",
            _ => call,
        };
        *self.met.entry(call).or_default() += 1;
    }

    pub(crate) fn killed_in_a_call(&self) -> u64 {
        self.met.values().sum()
    }

    fn count(&self, fault: Fault) -> usize {
        self.wrong
            .iter()
            .filter(|(_, (of, _))| *of == fault)
            .count()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "rounds {}, killed in a call {}, steps {}, lost {}, repeated {}, torn {}",
            self.rounds,
            self.killed_in_a_call(),
            self.steps,
            self.count(Fault::Lost),
            self.count(Fault::Repeated),
            self.count(Fault::Torn),
        )?;
        write!(f, "killed while opening {}", self.while_opening)?;
        for (call, times) in &self.met {
            write!(f, ", in {call} {times}")?;
        }
        writeln!(f, "; {} reads of another process", self.reads)?;
        for (round, (fault, words)) in &self.wrong {
            writeln!(f, "round {round}: {fault:?}: {words}")?;
        }
        Ok(())
    }
}
