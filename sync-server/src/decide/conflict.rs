//! The conflict rule: what a permitted mutation does to a record.

use sync_core::{
    model::{Account, Op, Payload},
    time::Timestamp,
};

use super::{Concurrent, ConflictPolicy, Incoming, Rules, Situation};
use crate::log::{IncludedRow, Outcome, OverwrittenRow, RecordRow, Retention, ScopeRow};

/// The most marks of overwritten edits that a record carries on.
const MARKS: usize = 16;

/// The most bytes of payload that these marks may have, the newest one aside.
const MARK_BYTES: usize = 256 * 1024;

/// What a mutation comes to.
pub(super) enum Effect {
    /// It makes a change: this one, whose number is the scope's next.
    Change(Box<RecordRow>),
    /// There was nothing to change.
    Nothing,
    /// It lost.
    Lost,
}

/// A permitted mutation, and what it meets.
pub(super) struct Encounter<'a> {
    pub(super) account: &'a Account,
    pub(super) received: Timestamp,
    pub(super) incoming: &'a Incoming,
    pub(super) op: &'a Op,
    pub(super) scope: &'a ScopeRow,
    pub(super) situation: &'a Situation,
    pub(super) rules: &'a Rules,
}

impl Encounter<'_> {
    pub(super) fn effect(&self) -> Effect {
        let record = self.situation.record.as_ref();
        let live = record.is_some_and(|record| record.payload.is_some());
        match (self.op, record) {
            (Op::Delete, _) if !live => Effect::Nothing,
            // Never a create: whoever deleted the record must not see it come back.
            (Op::Update(_), _) if !live => Effect::Lost,
            (_, None) => Effect::Change(self.change(self.op.payload(), None)),
            (_, Some(record)) if self.has_seen(record) => {
                Effect::Change(self.change(self.op.payload(), Some(record)))
            }
            (_, Some(record)) => self.contest(record),
        }
    }

    /// Whether the edit was made in the knowledge of this state of the record.
    fn has_seen(&self, record: &RecordRow) -> bool {
        let base = self.situation.base_seq(self.incoming);
        if self.incoming.unconditional || base.is_some_and(|base| base >= record.seq) {
            return true;
        }
        let Some(after) = self.incoming.after else {
            return false;
        };
        // The author saw the predecessor as it was sent, so that it must have been applied as it was sent.
        if record.mutation_id == after {
            return !record.merged && record.account == *self.account;
        }
        // The predecessor may have found its work done, as a delete of what was gone: nothing has come since.
        self.situation.predecessor.as_ref().is_some_and(|verdict| {
            let as_sent = matches!(
                verdict.outcome,
                Outcome::Applied { seq, merged: false } if seq >= record.seq
            );
            as_sent && verdict.key == record.key && verdict.account == *self.account
        })
    }

    /// Two edits that do not know of each other.
    fn contest(&self, record: &RecordRow) -> Effect {
        if let ConflictPolicy::FirstWins = self.rules.conflicts {
            return Effect::Lost;
        }
        if let (ConflictPolicy::Merge(merge), Some(current), Some(incoming)) =
            (&self.rules.conflicts, &record.payload, self.op.payload())
        {
            let merged = merge.merge(&Concurrent {
                key: &record.key,
                current,
                incoming,
                mutation_id: self.incoming.id,
            });
            if let Some(merged) = merged {
                return match (merged.same_json(incoming), merged.same_json(current)) {
                    (true, false) => self.win(record),
                    (false, true) => Effect::Lost,
                    _ => self.join(record, &merged),
                };
            }
        }
        if self.edited() > record.edited {
            self.win(record)
        } else {
            Effect::Lost
        }
    }

    /// Overwrites what had arrived first, and leaves marks that tell the authors.
    fn win(&self, record: &RecordRow) -> Effect {
        let mut change = self.change(self.op.payload(), Some(record));
        let marks = self.unseen(record).map(|edit| OverwrittenRow {
            mutation_id: edit.mutation_id,
            account: edit.account,
            payload: record.payload.clone(),
            by: change.seq,
            at: self.received,
        });
        change.overwritten.extend(marks);
        bound(&mut change.overwritten);
        Effect::Change(change)
    }

    /// Puts a merge with what had arrived first in its place.
    fn join(&self, record: &RecordRow, merged: &Payload) -> Effect {
        let mut change = self.change(Some(merged), Some(record));
        change.included = self.unseen(record).collect();
        let too_many = change.included.len().saturating_sub(MARKS);
        change.included.drain(..too_many);
        Effect::Change(change)
    }

    /// The edits in a record that the author of this one does not know of, the newest last.
    fn unseen(&self, record: &RecordRow) -> impl Iterator<Item = IncludedRow> {
        let base = self.situation.base_seq(self.incoming).unwrap_or(0);
        let newest = IncludedRow {
            mutation_id: record.mutation_id,
            account: record.account.clone(),
            seq: record.seq,
        };
        record
            .included
            .iter()
            .cloned()
            .chain([newest])
            .filter(move |edit| edit.seq > base && self.incoming.after != Some(edit.mutation_id))
    }

    fn change(&self, payload: Option<&Payload>, over: Option<&RecordRow>) -> Box<RecordRow> {
        let edited = self.edited();
        let merged = match (payload, self.op.payload()) {
            (Some(made), Some(sent)) => !made.same_json(sent),
            _ => false,
        };
        Box::new(RecordRow {
            key: self.incoming.key.detached(),
            payload: payload.map(Payload::detached),
            schema: self.incoming.schema,
            seq: self.scope.head + 1,
            created: match (payload, over) {
                (Some(_), Some(over)) if over.payload.is_some() => over.created,
                _ => self.scope.head + 1,
            },
            mutation_id: self.incoming.id,
            account: self.account.detached(),
            merged,
            edited: over.map_or(edited, |over| edited.max(over.edited)),
            made: self.received,
            overwritten: over.map_or_else(Vec::new, |over| self.carried(over)),
            included: Vec::new(),
        })
    }

    /// When the edit was made, by the server's clock: its age before the receipt, but not before what it was
    /// based on was made. The device's own clock cancels out.
    fn edited(&self) -> Timestamp {
        let by_age = Retention::cut(self.received, self.incoming.age);
        self.situation
            .base_made
            .map_or(by_age, |made| by_age.max(made))
            .min(self.received)
    }

    /// The marks of the record that this one supersedes; none is told for longer than a tombstone is kept.
    fn carried(&self, record: &RecordRow) -> Vec<OverwrittenRow> {
        let since = Retention::cut(self.received, self.rules.tombstones());
        let marks = record.overwritten.iter();
        marks.filter(|mark| mark.at >= since).cloned().collect()
    }
}

/// Keeps the newest marks.
fn bound(marks: &mut Vec<OverwrittenRow>) {
    let bytes = |mark: &OverwrittenRow| mark.payload.as_ref().map_or(0, Payload::len);
    let mut total = 0;
    let kept = marks
        .iter()
        .rev()
        .enumerate()
        .take_while(|(count, mark)| {
            total += bytes(mark);
            *count == 0 || (*count < MARKS && total <= MARK_BYTES)
        })
        .count();
    marks.drain(..marks.len() - kept);
}
