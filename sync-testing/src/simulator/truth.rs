//! What is the case, told from the outside: what the server has decided, who may read what, and which edits there
//! are. It knows nothing of how the engine or the server come to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use sync_core::{
    model::{Account, Epoch, MutationId, Page, Payload, RecordKey, Scope},
    store::Seq,
    time::Time,
    transport::Verdict,
};

use super::{
    network::Asked,
    plan::{Act, Choking, Judgement, Reply},
    seen::{Seen, TabId},
    snapshot::Snapshot,
};

/// The longest that a request is on its way.
pub(crate) const ON_THE_WAY: Duration = Duration::from_secs(60);

/// For how long a scope's pulls have to be refused until it counts as revoked.
pub(crate) const CONFIRMED: Duration = Duration::from_secs(5);

/// What is the case, told from the outside.
#[derive(Debug, Default)]
pub(crate) struct Truth {
    pub(crate) now: Time,
    pub(crate) server: History,
    /// How often the server was restored: what it had decided before may be gone.
    pub(crate) restores: u64,
    pub(crate) backup: Option<History>,
    /// The verdicts of each mutation that has ever been decided; an old one may be on its way for long.
    pub(crate) verdicts: BTreeMap<MutationId, BTreeSet<Decided>>,
    /// When each mutation was sent first: it was decided then, or later.
    pub(crate) sent: BTreeMap<MutationId, Time>,
    /// Mutations that were applied in some history of the server.
    pub(crate) ever_applied: BTreeSet<MutationId>,
    /// The place of each mutation in the order of its device's store, as long as it is pending there.
    pub(crate) pending: BTreeMap<MutationId, Place>,
    /// What the server has said of late when a device wanted to read a scope.
    pub(crate) reads: BTreeMap<(usize, Scope), Reads>,
    pub(crate) accounts: BTreeMap<usize, Account>,
    /// How long the server keeps verdicts.
    pub(crate) retention: Duration,
    /// How concurrent edits end.
    pub(crate) judgement: Judgement,
    /// What each device's app does when its edit has lost.
    pub(crate) replies: Vec<Reply>,
    /// Since when each device has known how long, of a scope.
    pub(crate) heard_retention: BTreeMap<(usize, Scope), Time>,
    /// The devices whose wall clock was set back: they cannot tell the age of what they sent.
    pub(crate) clock_set_back: BTreeSet<usize>,
    /// The devices whose wall clock was set forward: to another process a lease there may look as if it had run out.
    pub(crate) clock_set_forward: BTreeSet<usize>,
    /// The scopes to which a device has edits, and which it has not pulled yet.
    pub(crate) edited_unpulled: BTreeSet<(usize, Scope)>,
    /// When each device last sent edits of a scope of which it had no cursor; they may be on their way for a while.
    pub(crate) sent_unpulled: BTreeMap<(usize, Scope), Time>,
    /// Those to which it had unpulled edits, or had sent them, when the server was restored.
    pub(crate) restored_unnoticed: BTreeSet<(usize, Scope)>,
    /// The record with which the server refuses every batch, also when all other faults have stopped.
    pub(crate) choked: Option<(RecordKey, Choking)>,
    /// Whether the faults have stopped.
    pub(crate) healed: bool,
}

/// What the server holds: one history, which a restore ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) scopes: BTreeMap<Scope, ScopeTruth>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ScopeTruth {
    pub(crate) head: u64,
    pub(crate) epoch: Option<Epoch>,
    /// The newest state of each record: its number, and its payload if it is not deleted.
    pub(crate) records: BTreeMap<RecordKey, (u64, Option<Payload>)>,
    /// All changes, by their numbers.
    pub(crate) log: BTreeMap<u64, Appended>,
    /// The number that each mutation was applied as.
    pub(crate) applied: BTreeMap<MutationId, u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Appended {
    pub(crate) key: RecordKey,
    pub(crate) payload: Option<Payload>,
}

/// A verdict, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Decided {
    Applied,
    Conflict,
    Rejected,
    Forbidden,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) device: usize,
    pub(crate) seq: Seq,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    /// Whether the newest answer was a page.
    pub(crate) may: bool,
    /// The refusals since a pull last came to its end at the device.
    pub(crate) refused: Vec<Time>,
}

impl Reads {
    /// For how long they have been refused, with no page in between.
    pub(crate) fn refused_for(&self) -> Duration {
        match self.refused.as_slice() {
            [first, .., last] => last.since(*first),
            _ => Duration::ZERO,
        }
    }
}

impl Truth {
    /// Takes in what has been seen.
    pub(crate) fn see(&mut self, seen: &Seen<'_>) {
        match seen {
            Seen::Decided { request, answer } => {
                for (sent, answer) in request.mutations.iter().filter_map(|sent| {
                    let of = |a: &&sync_core::transport::Answer| a.id == sent.mutation.id;
                    Some((&sent.mutation, answer.answers.iter().find(of)?))
                }) {
                    self.server.decided(sent, &answer.verdict);
                    let decided = match answer.verdict {
                        Verdict::Applied { .. } => Decided::Applied,
                        Verdict::Conflict { .. } => Decided::Conflict,
                        Verdict::Rejected { .. } => Decided::Rejected,
                        Verdict::Forbidden => Decided::Forbidden,
                        Verdict::Retry { .. } => continue,
                    };
                    if decided == Decided::Applied {
                        self.ever_applied.insert(sent.id);
                    }
                    self.verdicts.entry(sent.id).or_default().insert(decided);
                }
            }
            Seen::Stored {
                tab, before, after, ..
            } => {
                self.synced(*tab, before, after);
                let same_edits = after.shares_entries(before);
                if !same_edits {
                    self.edited(*tab, after);
                }
                if !same_edits || after.scopes != before.scopes {
                    self.stored(*tab, after);
                }
            }
            Seen::Read {
                device,
                scope,
                page,
                ..
            } => {
                let reads = self.reads.entry((*device, (*scope).clone())).or_default();
                reads.may = page.is_some();
                if let Some(page) = page {
                    let made = page.changes.iter().filter_map(|change| change.mutation_id);
                    self.ever_applied.extend(made);
                    self.server.told(scope, page);
                } else {
                    reads.refused.push(self.now);
                }
            }
            Seen::Sent {
                tab,
                asked: Asked::Push(push),
                ..
            } => {
                for sent in &push.mutations {
                    self.sent.entry(sent.mutation.id).or_insert(self.now);
                }
                for (scope, _) in push.cursors.iter().filter(|(_, cursor)| cursor.is_none()) {
                    let of = (tab.device, scope.clone());
                    self.sent_unpulled.insert(of, self.now);
                }
            }
            Seen::Bound { device, account } => {
                self.accounts.insert(*device, (*account).clone());
            }
            Seen::Step(step) => match step.act {
                Act::ClockJump(millis) if millis < 0 => {
                    self.clock_set_back.insert(step.device);
                }
                Act::Choke(what) => {
                    self.choked = what.map(|(slot, how)| (super::world::key(slot), how));
                }
                Act::ClockJump(_) => {
                    self.clock_set_forward.insert(step.device);
                }
                _ => {}
            },
            Seen::BackedUp => self.backup = Some(self.server.clone()),
            Seen::Restored => {
                self.restores += 1;
                let on_the_way = |at: &Time| self.now.since(*at) <= ON_THE_WAY;
                let sent = self.sent_unpulled.iter().filter(|(_, at)| on_the_way(at));
                let unnoticed = self.edited_unpulled.iter().chain(sent.map(|(of, _)| of));
                self.restored_unnoticed.extend(unnoticed.cloned());
                self.server = self.backup.clone().unwrap_or_default();
                // The new one is told by the next answer.
                for scope in self.server.scopes.values_mut() {
                    scope.epoch = None;
                }
            }
            Seen::Healed => self.healed = true,
            _ => {}
        }
    }

    /// Whether a pending edit of a record may wait for ever: the server does not get past it. What it cannot stomach
    /// waits for the proof that it is to blame, which only another edit can give; where it asks for patience nothing is
    /// to blame, and what follows in the scope waits, too.
    pub(crate) fn waits_for_ever(&self, key: &RecordKey) -> bool {
        self.choked.as_ref().is_some_and(|(choked, how)| match how {
            Choking::Refuses | Choking::Fails => choked == key,
            Choking::PutsOff => choked.scope == key.scope,
        })
    }

    /// Whether a mutation has ever had this verdict.
    pub(crate) fn was_ever(&self, id: MutationId, decided: Decided) -> bool {
        let verdicts = self.verdicts.get(&id);
        verdicts.is_some_and(|verdicts| verdicts.contains(&decided))
    }

    /// Whether the server was restored while a device had only pushed to a scope and not pulled it: it has no cursor
    /// by which the server could tell it to look first, and what it sends meets a history that it does not know.
    pub(crate) fn restored_unnoticed(&self, device: usize, scope: &Scope) -> bool {
        self.restored_unnoticed.contains(&(device, scope.clone()))
    }

    /// A pull that has come to its end is proof of access, once the device has heard of it.
    fn synced(&mut self, tab: TabId, before: &Snapshot, after: &Snapshot) {
        for row in &after.scopes {
            let scope = &row.scope;
            let then = before.scope(scope).and_then(|row| row.synced_at);
            if row.synced_at.is_some()
                && row.synced_at != then
                && let Some(reads) = self.reads.get_mut(&(tab.device, scope.clone()))
            {
                reads.refused.clear();
            }
        }
    }

    fn edited(&mut self, tab: TabId, after: &Snapshot) {
        let device = tab.device;
        self.pending.retain(|_, place| place.device != device);
        for entry in after.entries.iter().filter(|entry| entry.is_pending()) {
            let seq = entry.seq;
            self.pending
                .insert(entry.mutation.id, Place { device, seq });
        }
    }

    fn stored(&mut self, tab: TabId, after: &Snapshot) {
        let device = tab.device;
        let pulled = |scope: &Scope| after.scope(scope).is_some_and(|row| row.pulled);
        self.edited_unpulled.retain(|(of, _)| *of != device);
        let edited = after.entries.iter().map(|entry| &entry.mutation.key.scope);
        let unpulled = edited.filter(|scope| !pulled(scope));
        self.edited_unpulled
            .extend(unpulled.map(|scope| (device, scope.clone())));
        let hears = |scope: &Scope| {
            let row = after.scope(scope);
            row.is_some_and(|row| row.verdict_retention.is_some())
        };
        self.heard_retention
            .retain(|(of, scope), _| *of != device || hears(scope));
        for row in &after.scopes {
            if row.verdict_retention.is_none() {
                continue;
            }
            let heard = self.heard_retention.entry((device, row.scope.clone()));
            heard.or_insert(self.now);
        }
    }
}

impl History {
    /// Takes in a page: a server that was killed before it could answer may have made a change all the same.
    fn told(&mut self, scope: &Scope, page: &Page) {
        let truth = self.scopes.entry(scope.clone()).or_default();
        truth.epoch = page.epoch.clone().or(truth.epoch.take());
        for change in &page.changes {
            let Some(seq) = change.seq.filter(|seq| !truth.log.contains_key(seq)) else {
                continue;
            };
            let key = RecordKey {
                scope: scope.clone(),
                entity_type: change.entity_type.clone(),
                entity_id: change.entity_id.clone(),
            };
            if let Some(id) = change.mutation_id {
                truth.applied.entry(id).or_insert(seq);
            }
            let payload = change.op.payload().cloned();
            truth.append(seq, key, payload);
        }
    }

    /// Takes in a verdict. What was appended already is not appended again, whatever the server says.
    fn decided(&mut self, sent: &sync_core::model::Mutation, verdict: &Verdict) {
        let Verdict::Applied {
            version: Some(version),
            record,
        } = verdict
        else {
            return;
        };
        let scope = self.scopes.entry(sent.key.scope.clone()).or_default();
        scope.epoch = Some(version.epoch.clone());
        if scope.applied.contains_key(&sent.id) && version.seq <= scope.head {
            return;
        }
        scope.applied.insert(sent.id, version.seq);
        if scope.log.contains_key(&version.seq) {
            // A delete of what was not there has appended nothing.
            return;
        }
        let payload = match record {
            Some(merged) => merged.payload.clone(),
            None => sent.op.payload().cloned(),
        };
        scope.append(version.seq, sent.key.clone(), payload);
    }
}

impl ScopeTruth {
    fn append(&mut self, seq: u64, key: RecordKey, payload: Option<Payload>) {
        self.head = self.head.max(seq);
        let newest = self.records.entry(key.clone()).or_insert((0, None));
        if newest.0 < seq {
            *newest = (seq, payload.clone());
        }
        self.log.insert(seq, Appended { key, payload });
    }

    /// The number under which a record had this payload; several edits never write the same.
    pub(crate) fn number_of(&self, key: &RecordKey, payload: &Payload) -> Option<u64> {
        let shows = |change: &Appended| {
            change.key == *key
                && change
                    .payload
                    .as_ref()
                    .is_some_and(|p| p.same_json(payload))
        };
        let mut newest_first = self.log.iter().rev();
        newest_first
            .find(|(_, change)| shows(change))
            .map(|(seq, _)| *seq)
    }

    /// The first number from `seq` on under which the record was deleted.
    pub(crate) fn deleted_from(&self, key: &RecordKey, seq: u64) -> Option<u64> {
        let mut later = self.log.range(seq..);
        later
            .find(|(_, change)| change.key == *key && change.payload.is_none())
            .map(|(seq, _)| *seq)
    }
}
