//! Settling: acting on what the server said to a mutation.

use super::{
    confirm::{follow_own, is_result, leave, pulled_past},
    enqueue::{Based, append, new_entry},
    rows::{Loaded, Stack, Work, Writes, base_version, check_fence},
};
use crate::{
    error::StoreError,
    model::{MutationId, Op, Payload, RecordKey, Scope, Version},
    ordered::{OrderedMap, OrderedSet},
    policy::{Choice, Contest},
    store::{
        Acknowledged, Conflict, Doubt, Entry, EntryState, FailReason, Failed, Pending, Resolution,
        SettleReport, SettleRequest, Settlement, Tick,
    },
    transport::{ServerRecord, Verdict},
};

/// The stacks that a settlement needs: those of these mutations' records, and of every record with a doubted
/// entry in these scopes; with the scopes of them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SettleNeeds {
    /// Mutations; unknown ids are left out.
    pub ids: Vec<MutationId>,
    /// Scopes whose doubted entries are judged.
    pub judged: OrderedSet<Scope>,
}

/// What must be loaded for a settlement.
#[must_use]
pub fn settle_needs(settlements: &[Settlement]) -> SettleNeeds {
    let mut needs = SettleNeeds::default();
    for settlement in settlements {
        match settlement {
            Settlement::Answer(id, _)
            | Settlement::SetAside(id, ..)
            | Settlement::Forgotten(id) => needs.ids.push(*id),
            Settlement::Judge(scope, _) => {
                needs.judged.insert(scope.clone());
            }
        }
    }
    needs
}

/// Acts on answers, in order. What is not in the outbox, or was never sent, is left alone.
///
/// # Errors
/// `Fenced`.
pub fn settle(
    loaded: Loaded,
    request: &SettleRequest,
) -> Result<(SettleReport, Writes), StoreError> {
    check_fence(&loaded.meta, request.fence)?;
    let keys = loaded.stacks.iter().flat_map(|(key, stack)| {
        let ids = stack.entries().iter().map(|entry| entry.mutation.id);
        ids.map(move |id| (id, key.clone()))
    });
    let mut settling = Settling {
        keys: keys.collect(),
        work: Work::new(loaded),
        request,
        report: SettleReport::default(),
    };
    settling.keep_retention();
    for settlement in &request.settlements {
        settling.one(settlement);
    }
    let Settling {
        work, mut report, ..
    } = settling;
    report.conflicts.clone_from(&work.conflicts);
    let writes = work.finish();
    report.touched = writes.touched.clone();
    Ok((report, writes))
}

struct Settling<'a> {
    /// The records of the entries that were loaded.
    keys: OrderedMap<MutationId, RecordKey>,
    work: Work,
    request: &'a SettleRequest,
    report: SettleReport,
}

impl Settling<'_> {
    /// Keeps what the answer says about verdicts, with the scopes of the mutations that it answers.
    fn keep_retention(&mut self) {
        let Some(retention) = self.request.verdict_retention else {
            return;
        };
        for settlement in &self.request.settlements {
            if let Settlement::Answer(id, _) = settlement
                && let Some(key) = self.keys.get(id)
                && let Some(row) = self.work.now.scopes.get_mut(&key.scope)
            {
                row.verdict_retention = Some(retention);
            }
        }
    }

    fn one(&mut self, settlement: &Settlement) {
        match settlement {
            Settlement::Answer(id, verdict) => {
                self.with_pending(*id, |this, key, stack, at| {
                    if stack.entries()[at].was_sent() {
                        this.answer(key, stack, at, verdict);
                    }
                });
            }
            Settlement::SetAside(id, reason, message) => {
                self.with_pending(*id, |this, _, stack, at| {
                    this.fail(stack, at, *reason, message);
                });
            }
            Settlement::Forgotten(id) => self.with_pending(*id, |this, _, stack, at| {
                let message = "the server has forgotten what it decided, and no pull shows it";
                this.fail(stack, at, FailReason::OutcomeUnknown, message);
            }),
            Settlement::Judge(scope, began) => self.judge_scope(scope, *began),
        }
    }

    /// Runs `act` on a pending entry with its stack taken out of the rows; does nothing for any other.
    fn with_pending(
        &mut self,
        id: MutationId,
        act: impl FnOnce(&mut Self, &RecordKey, &mut Stack, usize),
    ) {
        let Some(key) = self.keys.get(&id).cloned() else {
            return;
        };
        let Some(mut stack) = self.work.take_out(&key) else {
            return;
        };
        if let Some(at) = stack.position(id)
            && stack.entries()[at].is_pending()
        {
            act(self, &key, &mut stack, at);
            stack.sort();
        }
        self.work.put_back(&key, stack);
    }

    fn answer(&mut self, key: &RecordKey, stack: &mut Stack, at: usize, verdict: &Verdict) {
        let repeated = match &stack.entries()[at].state {
            EntryState::Pending(pending) => pending.sends > 1,
            _ => false,
        };
        // A server that does not repeat its verdicts may be refusing what it has applied before.
        let doubtful = repeated && !self.request.traits.idempotent;
        match verdict {
            Verdict::Applied { version, .. } if self.is_elsewhere(key, stack, at, version) => {
                let id = stack.entries()[at].mutation.id;
                self.report.doubted.push((key.scope.clone(), id));
            }
            Verdict::Applied { version, record } => {
                self.acknowledge(key, stack, at, version.clone(), record.clone(), false);
            }
            Verdict::Conflict { theirs } if doubtful => {
                self.doubt(key, stack, at, Some(theirs.clone()), "conflict");
            }
            Verdict::Conflict { theirs } => self.conflict(key, stack, at, theirs),
            Verdict::Rejected { reason } if doubtful => self.doubt(key, stack, at, None, reason),
            Verdict::Rejected { reason } => {
                self.fail(stack, at, FailReason::Rejected, reason);
            }
            Verdict::Forbidden => {
                let message = "the account may not write this";
                self.fail(stack, at, FailReason::Forbidden, message);
            }
            Verdict::Retry { .. } => {}
        }
    }

    /// Whether an answer is of another history than the one in which the scope is pulled: what a server has applied
    /// before it was restored may be answered late, and means nothing. The mutation goes again once the scope has been
    /// pulled, and that answer counts, for a server may repeat its verdicts as it had written them.
    fn is_elsewhere(
        &mut self,
        key: &RecordKey,
        stack: &mut Stack,
        at: usize,
        version: &Option<Version>,
    ) -> bool {
        let scope = self.work.scope(&key.scope);
        let (Some(version), Some(epoch)) = (version, scope.epoch()) else {
            return false;
        };
        let EntryState::Pending(pending) = &mut stack.entries_mut()[at].state else {
            return false;
        };
        let is_here = version.epoch == *epoch && !scope.awaits_epoch();
        if is_here || (1..pending.sends).contains(&pending.answered_elsewhere) {
            return false;
        }
        pending.answered_elsewhere = pending.sends;
        true
    }

    /// Moves an entry from the outbox to the acknowledged ones, or out, if its change has been pulled already.
    fn acknowledge(
        &mut self,
        key: &RecordKey,
        stack: &mut Stack,
        at: usize,
        version: Option<Version>,
        carried: Option<ServerRecord>,
        lost: bool,
    ) {
        let scope = self.work.scope(&key.scope);
        let tick = self.work.next_tick();
        let shown = carried
            .as_ref()
            .and_then(|record| record.version.clone())
            .or_else(|| version.clone());
        let entry = &mut stack.entries_mut()[at];
        if !lost {
            self.report.applied.push(entry.mutation.id);
        }
        let sent_at = match &entry.state {
            EntryState::Pending(pending) => pending.sent_at,
            _ => None,
        };
        entry.state = EntryState::Acknowledged(Acknowledged {
            version,
            tick,
            sent_at,
            carried,
            lost,
        });
        if shown.is_some_and(|version| pulled_past(stack, &scope, &version)) {
            let entry = &stack.entries()[at];
            let (seq, id) = (entry.seq, entry.mutation.id);
            let stamped = &self.request.traits.stamped_fields;
            leave(stack, seq, stamped, &mut self.report.applied);
            if scope.told.is_none()
                && let Some(row) = self.work.now.scopes.get_mut(&key.scope)
            {
                row.left_since.insert(id);
            }
        }
    }

    /// Records a conflict and ends it as the policy says.
    fn conflict(&mut self, key: &RecordKey, stack: &mut Stack, at: usize, theirs: &ServerRecord) {
        let entry = stack.entries()[at].clone();
        let base = self.made_over(key, stack, &entry).cloned();
        let choice = self.request.resolve.resolve(&Contest {
            key,
            mutation_id: entry.mutation.id,
            mine: &entry.mutation.op,
            theirs,
            base: base.as_ref(),
        });
        hand_over(stack, &entry);
        self.acknowledge(
            key,
            stack,
            at,
            theirs.version.clone(),
            Some(theirs.clone()),
            true,
        );
        stack.sort();
        let again = match choice {
            Choice::Theirs => None,
            Choice::Mine => Some((entry.mutation.op.clone(), Resolution::Mine)),
            Choice::Merged(payload) => Some((Op::Update(payload), Resolution::Merged)),
        }
        .filter(|_| entry.again < self.request.max_again && !edited_since(stack, &entry));
        let resolution = again.as_ref().map_or(Resolution::Theirs, |(_, r)| *r);
        if let Some((op, _)) = again {
            self.put_again(key, stack, &entry, op, theirs);
        }
        self.work.conflicts.push(Conflict {
            mutation_id: entry.mutation.id,
            key: key.clone(),
            mine: entry.mutation.op.payload().cloned(),
            theirs: theirs.payload.clone(),
            base,
            resolution,
            at: self.request.stamp.now,
        });
    }

    /// The base, if it is still what the edit was made over. A merge that took a later one for that would undo
    /// their edit: nothing of theirs differs from what they have written.
    fn made_over<'s>(
        &mut self,
        key: &RecordKey,
        stack: &'s Stack,
        entry: &Entry,
    ) -> Option<&'s Payload> {
        let scope = self.work.scope(&key.scope);
        let same = match (base_version(stack, &scope), &entry.state) {
            // Without versions, only a change that came after the edit was sent is known.
            (None, EntryState::Pending(pending)) => !pending.echoed,
            (version, _) => version == entry.mutation.base_version,
        };
        stack.base_payload().filter(|_| same)
    }

    /// Puts an edit again over the server's record: a new mutation at the queue's end.
    fn put_again(
        &mut self,
        key: &RecordKey,
        stack: &mut Stack,
        entry: &Entry,
        op: Op,
        theirs: &ServerRecord,
    ) {
        let op = match (op, &theirs.payload) {
            // Over a delete that the user has now been told of, only a create brings the record back.
            (Op::Update(payload), None) => Op::Create(payload),
            (Op::Create(payload), Some(_)) => Op::Update(payload),
            (op, _) => op,
        };
        let based = Based {
            version: theirs.version.clone(),
            after: None,
        };
        let stamp = self.request.stamp;
        let mut new = new_entry(&mut self.work, key, op, based, entry.mutation.schema, stamp);
        new.again = entry.again + 1;
        append(&mut self.work, stack, new);
    }

    /// Sets an entry aside, and the entries of its record that follow it.
    fn fail(&mut self, stack: &mut Stack, at: usize, reason: FailReason, message: &str) {
        let first = stack.entries()[at].seq;
        let set_aside = stack
            .entries_mut()
            .iter_mut()
            .filter(|e| e.is_pending() && e.seq >= first);
        for entry in set_aside {
            let own = entry.seq == first;
            let reason = if own { reason } else { FailReason::Predecessor };
            entry.state = EntryState::Failed(Failed {
                reason,
                message: if own {
                    message.to_owned()
                } else {
                    format!("an earlier edit of the record was set aside: {message}")
                },
                at: self.request.stamp.now,
            });
            self.report.failed.push((entry.mutation.id, reason));
        }
    }

    fn doubt(
        &mut self,
        key: &RecordKey,
        stack: &mut Stack,
        at: usize,
        theirs: Option<ServerRecord>,
        reason: &str,
    ) {
        let entry = &mut stack.entries_mut()[at];
        // A refusal that is already doubted was not sent since: this is the same answer once more.
        if let EntryState::Pending(pending) = &mut entry.state
            && pending.doubt.is_none()
        {
            let tick = self.work.next_tick();
            pending.doubt = Some(Doubt {
                tick,
                theirs,
                reason: reason.to_owned(),
            });
            self.report
                .doubted
                .push((key.scope.clone(), entry.mutation.id));
        }
    }

    /// Judges the doubted entries of a scope by the stored state, now that a pull that began after the doubt
    /// has come to its end.
    fn judge_scope(&mut self, scope: &Scope, began: Tick) {
        let doubted: Vec<(MutationId, Doubt)> = self
            .work
            .now
            .stacks
            .iter()
            .filter(|(key, _)| key.scope == *scope)
            .flat_map(|(_, stack)| stack.entries())
            .filter_map(|entry| match &entry.state {
                EntryState::Pending(Pending {
                    doubt: Some(doubt), ..
                }) if doubt.tick <= began => Some((entry.mutation.id, doubt.clone())),
                _ => None,
            })
            .collect();
        for (id, doubt) in doubted {
            self.with_pending(id, |this, key, stack, at| {
                this.judge(key, stack, at, doubt);
            });
        }
    }

    fn judge(&mut self, key: &RecordKey, stack: &mut Stack, at: usize, doubt: Doubt) {
        if holds(stack, at, &self.request.traits.stamped_fields) {
            let entry = stack.entries_mut().remove(at);
            self.report.applied.push(entry.mutation.id);
            follow_own(stack, &entry, &self.request.traits.stamped_fields);
            return;
        }
        if let EntryState::Pending(pending) = &mut stack.entries_mut()[at].state {
            pending.doubt = None;
        }
        match doubt.theirs {
            Some(theirs) => self.conflict(key, stack, at, &theirs),
            None => self.fail(stack, at, FailReason::Rejected, &doubt.reason),
        }
    }
}

/// Whether the stored state shows that the server has applied a mutation: a create, by its record having been
/// pulled since it was first sent; any other, by the base being its result.
fn holds(stack: &Stack, at: usize, stamped: &[String]) -> bool {
    let entry = &stack.entries()[at];
    match (&entry.mutation.op, &entry.state) {
        (Op::Create(_), EntryState::Pending(pending)) => pending.echoed,
        (op, _) => is_result(op, stack.base_payload(), stamped),
    }
}

/// What was not applied hands on what it was based on to the entry that was made over it.
fn hand_over(stack: &mut Stack, from: &Entry) {
    let follower = stack
        .entries_mut()
        .iter_mut()
        .find(|e| e.mutation.after == Some(from.mutation.id));
    if let Some(follower) = follower {
        follower.mutation.base_version = from.mutation.base_version.clone();
        follower.mutation.after = from.mutation.after;
    }
}

/// Whether a later own mutation of the record exists.
fn edited_since(stack: &Stack, entry: &Entry) -> bool {
    stack.entries().iter().any(|e| e.seq > entry.seq)
}
