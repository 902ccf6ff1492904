//! Whose edit was applied and then overwritten by one that did not know of it hears so.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{Account, Generation, Mutation, MutationId, RecordKey, Scope, Version},
    time::Time,
    transport::Verdict,
};

use super::{Invariant, overwrites::Overwrites};
use crate::simulator::{
    seen::{Seen, TabId},
    snapshot::Snapshot,
    truth::Truth,
};

/// How many marks of overwritten edits a record carries on.
const MARKS: usize = 16;

/// What a device knew of a scope last: its generation, and how far its newest whole pull went.
type Known = (Generation, Option<u64>);

#[derive(Default)]
pub(crate) struct Told {
    overwrites: Overwrites,
    /// On which device, for whom, and in which generation of its scope each mutation was made.
    authors: BTreeMap<MutationId, (usize, Account, Generation)>,
    /// What was set aside on its device, though the server may have applied it.
    set_aside: BTreeSet<MutationId>,
    known: BTreeMap<(usize, Scope), Known>,
    due: BTreeMap<MutationId, Due>,
}

/// An overwritten edit of which its author does not know yet.
struct Due {
    device: usize,
    key: RecordKey,
    /// The change that has overwritten it.
    by: u64,
    at: Time,
    /// The author's generation of the scope; a later one begins anew.
    generation: Generation,
    /// Whether the scope was never pulled to its end by then.
    is_first: bool,
}

impl Invariant for Told {
    fn name(&self) -> &'static str {
        "the overwritten are told"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 8: of two concurrent edits one wins, and the other's author is told"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if truth.restores > 0 {
            // Answers of two histories of the server meet: which change has overwritten which cannot be told.
            return Ok(());
        }
        match seen {
            Seen::Stored {
                tab, before, after, ..
            } => {
                if !after.shares_entries(before) {
                    self.edited(*tab, after, truth);
                }
                self.stored(*tab, after, truth)
            }
            Seen::Decided { request, answer } => {
                for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
                    if let Verdict::Applied {
                        version: Some(version),
                        ..
                    } = &answer.verdict
                    {
                        self.applied(&sent.mutation, version, truth);
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl Told {
    fn applied(&mut self, sent: &Mutation, version: &Version, truth: &Truth) {
        for loser in self.overwrites.applied(sent, version, truth) {
            self.lost(loser, sent, version, truth);
        }
    }

    fn lost(&mut self, loser: MutationId, sent: &Mutation, version: &Version, truth: &Truth) {
        let Some((device, author, made_in)) = self.authors.get(&loser) else {
            return;
        };
        let device = *device;
        if truth.accounts.get(&device) != Some(author) {
            return;
        }
        let known = self.known.get(&(device, sent.key.scope.clone()));
        let Some((generation, drained)) = known.copied() else {
            return;
        };
        // To whom a scope is new, what was overwritten before is no news.
        if drained.is_none() && generation != *made_in {
            return;
        }
        let due = Due {
            device,
            key: sent.key.clone(),
            by: version.seq,
            at: truth.now,
            generation,
            is_first: drained.is_none(),
        };
        self.due.insert(loser, due);
    }

    fn edited(&mut self, tab: TabId, held: &Snapshot, truth: &Truth) {
        let device = tab.device;
        for entry in held.entries.iter().filter(|entry| entry.is_pending()) {
            let row = held.scope(&entry.mutation.key.scope);
            if let (Some(account), Some(row)) = (truth.accounts.get(&device), row) {
                let author = (device, account.clone(), row.generation);
                self.authors.entry(entry.mutation.id).or_insert(author);
            }
        }
        let failed = held.entries.iter().filter(|entry| entry.is_failed());
        self.set_aside.extend(failed.map(|entry| entry.mutation.id));
    }

    fn stored(&mut self, tab: TabId, held: &Snapshot, truth: &Truth) -> Result<(), String> {
        let device = tab.device;
        for row in &held.scopes {
            let scope = &row.scope;
            let known = (row.generation, row.drained);
            self.known.insert((device, scope.clone()), known);
        }
        let mut untold = None;
        self.due.retain(|loser, due| {
            if due.device != device {
                return true;
            }
            let row = held.scope(&due.key.scope);
            let Some(row) = row.filter(|row| row.generation == due.generation) else {
                return false;
            };
            // Who has seen the edit set aside has decided what to do about it.
            if due.is_first && self.set_aside.contains(loser) {
                return false;
            }
            if held.conflict(*loser).is_some() {
                return false;
            }
            if row.drained.is_none_or(|drained| drained < due.by) {
                return true;
            }
            // The server tells for as long as it keeps tombstones, and of so many edits of a record.
            let in_time = truth.now.since(due.at) <= truth.retention;
            let server = truth.server.scopes.get(&due.key.scope);
            let later = server.map_or(0, |server| {
                let later = server.log.range(due.by..);
                later.filter(|(_, change)| change.key == due.key).count()
            });
            if in_time && later <= MARKS {
                untold = Some(format!(
                    "{tab} has pulled {} through {:?} and does not know that change {} has overwritten {loser}",
                    due.key.scope, row.drained, due.by
                ));
            }
            false
        });
        untold.map_or(Ok(()), Err)
    }
}
