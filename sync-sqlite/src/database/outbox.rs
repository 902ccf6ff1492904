//! The outbox: enqueue, take, settle, retry, discard.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sync_core::{
    model::{EntityType, MutationId, RecordKey, Scope},
    overlay::{Offer, Stack, Take, check_fence, discard, enqueue, retry, settle, settle_needs},
    store::{
        EnqueueRequest, Enqueued, Entry, Pick, Seq, SettleReport, SettleRequest, Stamp,
        TakeRequest, Taken, Touched,
    },
};

use super::{
    Database, Flush,
    entries::{entry_ids, seq_of},
    scopes::Rows,
};
use crate::{
    error::{Attempt, Failure},
    ids::ReadId,
};
use sync_core::error::StoreError;

impl Database {
    pub(crate) fn enqueue(
        &mut self,
        request: &EnqueueRequest,
    ) -> Result<Vec<Enqueued>, StoreError> {
        self.write("enqueueing", Flush::Edit, |tx| {
            let mut loaded = tx.load(request.edits.iter().map(|edit| edit.key.clone()))?;
            let merging = loaded.stacks.iter().filter(|(_, stack)| may_merge(stack));
            let scopes: BTreeSet<Scope> = merging.map(|(key, _)| key.scope.clone()).collect();
            for scope in scopes {
                if let Some(tail) = tx.tail(&scope)? {
                    loaded.tails.insert(scope, tail);
                }
            }
            let (outcomes, writes) = enqueue(loaded, request)?;
            tx.store(&writes)?;
            Ok(outcomes)
        })
    }

    /// What is taken is sent: were the mark lost in a power cut, a later edit could merge into what the server
    /// already has. So this call is always on the disk when it returns.
    pub(crate) fn take(&mut self, request: &TakeRequest) -> Result<Taken, StoreError> {
        self.write("taking a batch", Flush::Always, |tx| {
            let meta = tx.meta()?;
            check_fence(&meta, request.fence)?;
            let mut take = Take::new(meta, request);
            let mut queue = Queue::open(tx, &request.pick)?;
            while let Some((seq, key)) = queue.next(tx)? {
                if take.wants(&key)
                    && take.offer(&key, seq, tx.stack(&key)?, tx.scope(&key.scope)?) == Offer::Full
                {
                    break;
                }
            }
            let (taken, writes) = take.finish();
            tx.store(&writes)?;
            Ok(taken)
        })
    }

    pub(crate) fn settle(&mut self, request: &SettleRequest) -> Result<SettleReport, StoreError> {
        self.write("settling", Flush::Later, |tx| {
            let needs = settle_needs(&request.settlements);
            let mut keys = BTreeSet::new();
            for id in &needs.ids {
                keys.extend(tx.key_of(*id)?);
            }
            for scope in &needs.judged {
                keys.extend(tx.doubted(scope)?.keys(scope, tx)?);
            }
            let (report, writes) = settle(tx.load(keys)?, request)?;
            tx.store(&writes)?;
            Ok(report)
        })
    }

    pub(crate) fn retry(
        &mut self,
        key: &RecordKey,
        stamp: Stamp,
    ) -> Result<(Option<MutationId>, Touched), StoreError> {
        self.write("retrying", Flush::Edit, |tx| {
            let (id, writes) = retry(tx.load([key.clone()])?, key, stamp);
            tx.store(&writes)?;
            Ok((id, writes.touched))
        })
    }

    pub(crate) fn discard(&mut self, key: &RecordKey) -> Result<(Vec<Entry>, Touched), StoreError> {
        self.write("discarding", Flush::Edit, |tx| {
            let (dropped, writes) = discard(tx.load([key.clone()])?, key);
            tx.store(&writes)?;
            Ok((dropped, writes.touched))
        })
    }
}

/// Whether an edit may merge into an entry of its record, if that is its scope's last.
fn may_merge(stack: &Stack) -> bool {
    let mut entries = stack.entries().iter();
    entries.any(|entry| entry.is_pending() && !entry.was_sent())
}

/// The pending entries of the scopes that may go, in the order of the store.
///
/// Each scope is read by itself, a few entries at a time, so that a scope that is held back costs nothing however
/// long its queue is.
struct Queue {
    scopes: Vec<Head>,
    /// The next sequence number of each scope that has one, with the scope's place in `scopes`.
    order: BTreeMap<Seq, usize>,
    types: BTreeMap<i64, EntityType>,
}

/// What was read ahead of one scope.
struct Head {
    number: i64,
    scope: Scope,
    ahead: VecDeque<(Seq, RecordKey)>,
    /// The row id of the last entry that was read.
    read_to: Option<i64>,
}

/// How many entries of a scope are read ahead.
const AHEAD: usize = 64;

impl Queue {
    fn open(rows: &Rows<'_>, pick: &Pick) -> Attempt<Self> {
        let mut query = rows
            .conn
            .prepare_cached("SELECT id, scope FROM sync_store_state WHERE pending > 0")?;
        let found = query.query_map([], |row| {
            Ok((row.get(0)?, Scope::from(row.get::<_, String>(1)?)))
        })?;
        let mut queue = Self {
            scopes: Vec::new(),
            order: BTreeMap::new(),
            types: rows.types()?.into_iter().collect(),
        };
        for found in found {
            let (number, scope): (i64, Scope) = found?;
            if pick.only.as_ref().is_some_and(|only| *only != scope) || pick.hold.contains(&scope) {
                continue;
            }
            queue.scopes.push(Head {
                number,
                scope,
                ahead: VecDeque::new(),
                read_to: None,
            });
            queue.line_up(rows, queue.scopes.len() - 1)?;
        }
        Ok(queue)
    }

    fn next(&mut self, rows: &Rows<'_>) -> Attempt<Option<(Seq, RecordKey)>> {
        let Some((_, at)) = self.order.pop_first() else {
            return Ok(None);
        };
        let next = self
            .scopes
            .get_mut(at)
            .and_then(|head| head.ahead.pop_front());
        self.line_up(rows, at)?;
        Ok(next)
    }

    /// Puts a scope's next entry into the order, reading on where nothing was left.
    fn line_up(&mut self, rows: &Rows<'_>, at: usize) -> Attempt<()> {
        let Some(head) = self.scopes.get_mut(at) else {
            return Ok(());
        };
        if head.ahead.is_empty() {
            head.read_on(rows, &self.types)?;
        }
        if let Some((seq, _)) = head.ahead.front() {
            self.order.insert(*seq, at);
        }
        Ok(())
    }
}

impl Head {
    fn read_on(&mut self, rows: &Rows<'_>, types: &BTreeMap<i64, EntityType>) -> Attempt<()> {
        let (first, last) = entry_ids(self.number)?;
        let mut query = rows.conn.prepare_cached(
            "SELECT id, type, entity_id FROM sync_store_entries \
             WHERE id > +?1 AND id <= +?2 AND state = 1 ORDER BY id",
        )?;
        let from = self.read_to.unwrap_or(first);
        let mut found = query.query([from, last])?;
        while self.ahead.len() < AHEAD
            && let Some(row) = found.next()?
        {
            let id = row.get(0)?;
            let number: i64 = row.get(1)?;
            let entity_type = types
                .get(&number)
                .cloned()
                .ok_or_else(|| Failure::Unreadable(format!("entity type {number} has no name")))?;
            let key = RecordKey {
                scope: self.scope.clone(),
                entity_type,
                entity_id: row.get::<_, ReadId>(2)?.0,
            };
            self.read_to = Some(id);
            self.ahead.push_back((seq_of(id), key));
        }
        Ok(())
    }
}
