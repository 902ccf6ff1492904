//! Taking: the next batch, in order, marked as sent by the transaction that reads it.

use super::rows::{Loaded, Stack, Work, Writes};
use crate::{
    model::{Mutation, Op, RecordKey, Scope},
    ordered::OrderedSet,
    store::{
        DEFAULT_VERDICT_RETENTION, EntryState, Meta, Pending, ScopeRow, Seq, TakeRequest, Taken,
        TakenEntry,
    },
};

/// Collects a batch. The store offers the pending entries in their order, until the answer is [`Offer::Full`].
#[derive(Debug)]
pub struct Take<'a> {
    request: &'a TakeRequest,
    work: Work,
    taken: Taken,
    bytes: u64,
    blocked: OrderedSet<Scope>,
    passed: OrderedSet<RecordKey>,
}

/// Whether to go on offering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// Offer the next entry.
    More,
    /// The batch is full.
    Full,
}

impl<'a> Take<'a> {
    /// An empty batch.
    #[must_use]
    pub fn new(meta: Meta, request: &'a TakeRequest) -> Self {
        Self {
            request,
            work: Work::new(Loaded {
                meta,
                ..Loaded::default()
            }),
            taken: Taken::default(),
            bytes: 0,
            blocked: OrderedSet::new(),
            passed: OrderedSet::new(),
        }
    }

    /// Whether an entry of this record could go; if not, its stack need not be loaded.
    #[must_use]
    pub fn wants(&self, key: &RecordKey) -> bool {
        let pick = &self.request.pick;
        pick.only.as_ref().is_none_or(|only| *only == key.scope)
            && !pick.hold.contains(&key.scope)
            && !self.blocked.contains(&key.scope)
            && !self.passed.contains(key)
    }

    /// Offers the pending entry with this sequence number, with its record's stack and its scope as stored.
    pub fn offer(&mut self, key: &RecordKey, seq: Seq, stack: Stack, scope: ScopeRow) -> Offer {
        if !self.wants(key) {
            return Offer::More;
        }
        let full = self.taken.entries.len() >= self.request.max_count as usize;
        if full {
            return Offer::Full;
        }
        let offered = stack.entries().iter().find(|entry| entry.seq == seq);
        if offered.is_some_and(|entry| self.request.pick.skip.contains(&entry.mutation.id)) {
            self.passed.insert(key.clone());
            return Offer::More;
        }
        let retention = scope.verdict_retention.unwrap_or(DEFAULT_VERDICT_RETENTION);
        let cursor = scope.cursor.clone();
        // Until a resync has shown which history the server is in, acknowledged entries may have to go first. Those of
        // a scope that was never pulled have been put back when the resync began.
        if scope.pulled && scope.resync.is_some() && cursor.is_none() {
            self.wait(key, true);
            return Offer::More;
        }
        self.work.load(key, stack, Some(scope));
        let Some(stack) = self.work.now.stacks.get_mut(key) else {
            return Offer::More;
        };
        let traits = &self.request.traits;
        let unconfirmed = stack.entries().iter().any(|e| e.is_acknowledged());
        let base = stack.base_payload().cloned();
        let Some(entry) = stack.entries_mut().iter_mut().find(|e| e.seq == seq) else {
            return Offer::More;
        };
        let EntryState::Pending(pending) = &mut entry.state else {
            return Offer::More;
        };
        // A server that does not repeat its verdicts is asked about a record again only once a pull has shown
        // what became of the last answer.
        if pending.doubt.is_some() || (!traits.idempotent && unconfirmed) {
            self.wait(key, traits.ordered);
            return Offer::More;
        }
        if traits.idempotent
            && pending
                .sent_at
                .is_some_and(|sent| self.request.now.since(sent) > retention)
        {
            self.taken
                .forgotten
                .push((key.scope.clone(), entry.mutation.id));
            self.blocked.insert(key.scope.clone());
            return Offer::More;
        }
        if pending.sent_at.is_none() {
            bring_up_to_date(self.request, &mut entry.mutation);
        }
        let bytes = entry.mutation.op.payload().map_or(0, |p| p.len() as u64);
        if !self.taken.entries.is_empty() && self.bytes + bytes > self.request.max_bytes {
            return Offer::Full;
        }
        mark_sent(pending, self.request);
        let over = (pending.over_own && traits.edit_time_field.is_some())
            .then_some(base)
            .flatten();
        self.bytes += bytes;
        self.taken.entries.push(TakenEntry {
            entry: entry.clone(),
            over,
        });
        if !traits.ordered {
            self.passed.insert(key.clone());
        }
        if !self.taken.cursors.iter().any(|(s, _)| *s == key.scope) {
            self.taken.cursors.push((key.scope.clone(), cursor));
        }
        Offer::More
    }

    /// Leaves out what waits for a pull: the whole scope, or only this record.
    fn wait(&mut self, key: &RecordKey, whole_scope: bool) {
        self.taken.waiting.insert(key.scope.clone());
        if whole_scope {
            self.blocked.insert(key.scope.clone());
        } else {
            self.passed.insert(key.clone());
        }
    }

    /// The batch, and what to store.
    #[must_use]
    pub fn finish(self) -> (Taken, Writes) {
        let Self {
            work, mut taken, ..
        } = self;
        let writes = work.finish();
        taken.touched = writes.touched.clone();
        (taken, writes)
    }
}

fn mark_sent(pending: &mut Pending, request: &TakeRequest) {
    pending.sent_at.get_or_insert(request.now);
    pending.sends = pending.sends.saturating_add(1);
}

/// A payload that was never sent goes out in the newest format; one that was sent goes out again as it was.
fn bring_up_to_date(request: &TakeRequest, mutation: &mut Mutation) {
    let Some(payload) = mutation.op.payload() else {
        return;
    };
    let upgraded = request
        .upgrade
        .upgrade(&mutation.key.entity_type, mutation.schema, payload);
    match upgraded {
        Ok(Some((payload, schema))) => {
            mutation.schema = schema;
            mutation.op = match mutation.op {
                Op::Create(_) => Op::Create(payload),
                _ => Op::Update(payload),
            };
        }
        Ok(None) => {}
        Err(reason) => tracing::warn!(
            mutation = %mutation.id, %reason,
            "a payload could not be upgraded and is sent as it is"
        ),
    }
}
