//! How often each thing has happened.

use std::{collections::BTreeMap, fmt};

use super::{device::TOLD, network::RequestFault, plan::Act, store::CRASHES, world::OTHERS};

/// How often each thing has happened in one history or many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    times: BTreeMap<&'static str, u64>,
}

impl Coverage {
    pub(crate) fn new(times: BTreeMap<&'static str, u64>) -> Self {
        Self { times }
    }

    /// Adds what has happened in other histories.
    pub fn add(&mut self, other: &Self) {
        for (what, times) in &other.times {
            *self.times.entry(what).or_default() += times;
        }
    }

    /// What can happen, and has not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let happened = |what: &&str| self.times.contains_key(what);
        labels().filter(|what| !happened(what)).collect()
    }
}

fn labels() -> impl Iterator<Item = &'static str> {
    let lists = [Act::LABELS, RequestFault::LABELS, CRASHES, &TOLD, &OTHERS];
    lists.into_iter().flatten().copied()
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in labels() {
            let times = self.times.get(what).copied().unwrap_or_default();
            writeln!(f, "{times:>12}  {what}")?;
        }
        Ok(())
    }
}
