//! What the file may hold, known without looking into it.

use futures::executor::block_on;
use sync_core::store::{Fence, MemoryStore};
use sync_testing::store_suite::{Contents, History};

use crate::{
    act::{Act, Report, Rows},
    child::digest,
};

/// Stores in memory that were taken through the same acts as the file. There are two while nothing has shown yet
/// whether the act that a kill met was done.
pub(crate) struct Oracle {
    history: History,
    candidates: Vec<Candidate>,
    /// What a reader could see in this round, in order: the digests of the entries and of the scopes.
    seen: Vec<[u64; 2]>,
}

struct Candidate {
    store: MemoryStore,
    fence: Fence,
    done: Vec<Act>,
}

/// How a file is not what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A call that had returned is not there.
    Lost,
    /// A call is there twice.
    Repeated,
    /// Something else: a call by halves.
    Torn,
}

/// What is wrong, in words.
pub(crate) type Wrong = (Fault, String);

impl Candidate {
    fn perform(&mut self, history: History, act: Act) -> String {
        self.done.push(act);
        block_on(act.perform(history, &self.store, &mut self.fence))
    }

    fn fork(&self) -> Self {
        Self {
            store: self.store.fork(),
            fence: self.fence,
            done: self.done.clone(),
        }
    }

    /// What comes back in the time to come: it shows what no role does, such as the numbers that are given out next.
    fn future(&self, history: History) -> Vec<String> {
        const FAR: u64 = 1 << 40;
        let acts = [Act::Begin]
            .into_iter()
            .chain((FAR..FAR + 40).map(Act::Step));
        let mut fork = self.fork();
        acts.map(|act| fork.perform(history, act)).collect()
    }

    fn contents(&self) -> Contents {
        block_on(Contents::read(&self.store)).expect("a store in memory can be read")
    }

    fn digests(&self) -> [u64; 2] {
        [Rows::Entries, Rows::Scopes].map(|rows| block_on(digest(&self.store, rows)))
    }
}

impl Oracle {
    /// Of a new file.
    pub(crate) fn new(history: History) -> Self {
        Self {
            history,
            candidates: vec![Candidate {
                store: MemoryStore::new(),
                fence: Fence(0),
                done: Vec::new(),
            }],
            seen: Vec::new(),
        }
    }

    /// Follows a process that was killed after these reports; returns the act that the kill met.
    pub(crate) fn follow(&mut self, reports: &[Report]) -> Result<Option<(Act, String)>, Wrong> {
        self.seen.clear();
        self.see(0);
        let mut begun = None;
        for report in reports {
            match report {
                Report::Begun(act) => begun = Some(*act),
                Report::Done(act, answer) => {
                    begun = None;
                    self.done(*act, answer)?;
                }
                Report::Opened | Report::Seen(..) => {}
            }
        }
        let Some(act) = begun else {
            return Ok(None);
        };
        let mut after: Vec<_> = self.candidates.iter().map(Candidate::fork).collect();
        let answers = after.iter_mut().map(|c| c.perform(self.history, act));
        let answer = answers.last().unwrap_or_default();
        let first = self.candidates.len();
        self.candidates.append(&mut after);
        self.see(first);
        Ok(Some((act, answer)))
    }

    /// Takes note of what a reader may see. Candidates differ in nothing that can be read while they are two.
    fn see(&mut self, candidate: usize) {
        self.seen
            .extend(self.candidates.get(candidate).map(Candidate::digests));
    }

    fn done(&mut self, act: Act, answer: &str) -> Result<(), Wrong> {
        let mut expected = String::new();
        let history = self.history;
        self.candidates.retain_mut(|candidate| {
            expected = candidate.perform(history, act);
            expected == answer
        });
        self.see(0);
        if self.candidates.is_empty() {
            let words = format!("{act:?} should answer {expected}, and answers {answer}");
            return Err((Fault::Torn, words));
        }
        Ok(())
    }

    /// Compares what the file holds.
    pub(crate) fn compare(&mut self, held: &Contents) -> Result<(), Wrong> {
        let mut nearest = None;
        let mut expected = Vec::new();
        self.candidates.retain(|candidate| {
            let contents = candidate.contents();
            let difference = held.difference(&contents);
            if let Some(difference) = difference {
                nearest = Some(difference);
                expected.push((candidate.done.clone(), candidate.fence));
                return false;
            }
            true
        });
        if !self.candidates.is_empty() {
            self.merge();
            return Ok(());
        }
        let done = expected.first().map(|(done, _)| done.clone());
        let (fault, words) = self.explain(&done.unwrap_or_default(), held);
        Err((fault, format!("{words}; {}", nearest.unwrap_or_default())))
    }

    /// Drops what is the same as another: most often, the act that a kill met changes nothing.
    fn merge(&mut self) {
        let first = self.candidates[0].future(self.history);
        let history = self.history;
        let mut at = 0;
        self.candidates.retain(|candidate| {
            at += 1;
            at == 1 || candidate.future(history) != first
        });
    }

    /// What a file holds that is in none of the states that it may be in: `done` is what had returned.
    fn explain(&self, done: &[Act], held: &Contents) -> Wrong {
        let mut replayed = Self::new(self.history).candidates.remove(0);
        let mut earlier = None;
        for (n, act) in done.iter().enumerate() {
            if held.difference(&replayed.contents()).is_none() {
                earlier = Some(n);
            }
            let before = replayed.fork();
            replayed.perform(self.history, *act);
            let mut twice = replayed.fork();
            twice.perform(self.history, *act);
            // An act that changes nothing when it is made again tells nothing.
            let tells =
                twice.contents() != replayed.contents() && before.contents() != replayed.contents();
            if tells && n + 1 == done.len() && held.difference(&twice.contents()).is_none() {
                return (Fault::Repeated, format!("{act:?} was made twice"));
            }
        }
        match earlier {
            Some(n) => (
                Fault::Lost,
                format!(
                    "the last {} of {} calls are lost",
                    done.len() - n,
                    done.len()
                ),
            ),
            None => (Fault::Torn, "a call is there by halves".to_owned()),
        }
    }

    /// Compares what a reader has seen while the round went on; returns how often it looked.
    pub(crate) fn compare_seen(&self, reports: &[Report]) -> Result<u64, Wrong> {
        let mut states = self.seen.as_slice();
        let mut reads = 0;
        for report in reports {
            let Report::Seen(rows, digest) = report else {
                continue;
            };
            let column = match rows {
                Rows::Entries => 0,
                Rows::Scopes => 1,
            };
            let Some(at) = states.iter().position(|state| state[column] == *digest) else {
                let words = format!("a reader sees {rows:?} that were never committed, or no more");
                return Err((Fault::Torn, words));
            };
            states = &states[at..];
            reads += 1;
        }
        Ok(reads)
    }
}
