//! Of two edits that do not know of each other the later one wins, whatever the devices' clocks say; or the first one, where
//! the server is set up so.

use std::collections::BTreeMap;

use sync_core::{
    model::{Mutation, MutationId},
    time::Time,
    transport::Verdict,
};

use super::{Invariant, overwrites::Overwrites};
use crate::simulator::{plan::Judgement, seen::Seen, truth::Truth};

#[derive(Default)]
pub(crate) struct LaterEdit {
    /// When and on which device each mutation got what it says.
    edited: BTreeMap<MutationId, (usize, Time)>,
    overwrites: Overwrites,
    /// When each change was made, by its scope's name and its number.
    made: BTreeMap<(String, u64), Time>,
    restores: u64,
}

impl Invariant for LaterEdit {
    fn name(&self) -> &'static str {
        "the later edit wins"
    }

    fn guarantee(&self) -> &'static str {
        "conflicts: concurrent edits are compared by age, never by a device's clock"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if truth.restores != self.restores {
            self.restores = truth.restores;
            self.made.clear();
        }
        match seen {
            Seen::Stored {
                tab, before, after, ..
            } if !after.shares_entries(before) => {
                for entry in after.entries.iter().filter(|entry| entry.is_pending()) {
                    let id = entry.mutation.id;
                    let same = before
                        .entry(id)
                        .is_some_and(|was| was.mutation.op == entry.mutation.op);
                    if !same {
                        self.edited.insert(id, (tab.device, truth.now));
                    }
                }
            }
            Seen::Decided { request, answer } => {
                for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
                    self.decided(&sent.mutation, &answer.verdict, truth)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

impl LaterEdit {
    /// One has overwritten another that it did not know of: it was the later one, but for the time that it was on its
    /// way, by which the server takes it for younger.
    fn won(&self, sent: &Mutation, loser: MutationId, truth: &Truth) -> Result<(), String> {
        let (Some((winner, edited)), Some((other, before)), Some(left)) = (
            self.edited.get(&sent.id),
            self.edited.get(&loser),
            truth.sent.get(&sent.id),
        ) else {
            return Ok(());
        };
        if winner != other && truth.judgement == Judgement::FirstWins {
            return Err(format!(
                "{} of {} has overwritten {loser}, which was first",
                sent.id, sent.key
            ));
        }
        let jumped = |device: &usize| {
            truth.clock_set_back.contains(device) || truth.clock_set_forward.contains(device)
        };
        let on_the_way = truth.now.since(*left);
        if winner != other && !jumped(winner) && !jumped(other) && *edited + on_the_way < *before {
            return Err(format!(
                "{} of {}, edited at {} ms, has overwritten {loser}, which was edited at {} ms",
                sent.id,
                sent.key,
                edited.as_millis(),
                before.as_millis()
            ));
        }
        Ok(())
    }

    fn decided(&mut self, sent: &Mutation, verdict: &Verdict, truth: &Truth) -> Result<(), String> {
        let scope = sent.key.scope.as_str().to_owned();
        if let Verdict::Applied {
            version: Some(version),
            ..
        } = verdict
        {
            self.made.entry((scope, version.seq)).or_insert(truth.now);
            let losers = self.overwrites.applied(sent, version, truth);
            let mut losers = losers.into_iter();
            return losers.try_for_each(|loser| self.won(sent, loser, truth));
        }
        let Verdict::Conflict { .. } = verdict else {
            return Ok(());
        };
        let records = truth.server.scopes.get(&sent.key.scope);
        let record = records.and_then(|scope| scope.records.get(&sent.key));
        // A record that is gone stays so, however late an edit of it comes.
        let Some((newest, Some(_))) = record else {
            return Ok(());
        };
        let saw = sent.base_version.as_ref();
        if truth.restores == 0 && saw.is_some_and(|saw| saw.seq >= *newest) {
            return Err(format!(
                "{} of {} has lost to change {newest}, over which it was made",
                sent.id, sent.key
            ));
        }
        if truth.judgement == Judgement::FirstWins {
            return Ok(());
        }
        let (Some((device, edited)), Some(made)) =
            (self.edited.get(&sent.id), self.made.get(&(scope, *newest)))
        else {
            return Ok(());
        };
        // A clock that is set between the edit and its sending makes the age a wrong one.
        let jumped =
            truth.clock_set_back.contains(device) || truth.clock_set_forward.contains(device);
        if edited > made && !jumped {
            return Err(format!(
                "{} of {} has lost to change {newest}, which was made at {} ms; the edit at {} ms",
                sent.id,
                sent.key,
                made.as_millis(),
                edited.as_millis()
            ));
        }
        Ok(())
    }
}
