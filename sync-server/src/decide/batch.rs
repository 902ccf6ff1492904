//! Deciding the mutations of a push, one after the other.

use std::collections::{HashMap, HashSet};

use sync_core::{
    model::{Cursor, RecordKey, Scope},
    time::Timestamp,
    transport::{ServerRecord, Verdict},
};

use super::{
    Incoming,
    conflict::{Effect, Encounter},
};
use crate::{
    cursor::Standing,
    log::{BatchRequest, Outcome, RecordRow, ScopeRow, VerdictRow},
};

/// What the log holds about a mutation and its record, read in the transaction that stores the decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// The scope's row, locked against other writers; none when nothing was ever written there.
    pub scope: Option<ScopeRow>,
    /// The record, or its tombstone.
    pub record: Option<RecordRow>,
    /// The verdict of the mutation itself.
    pub verdict: Option<VerdictRow>,
    /// The verdict of the mutation that it names as its predecessor.
    pub predecessor: Option<VerdictRow>,
    /// When the version that it is based on was made, where that is known: see [`Situation::base_seq`].
    pub base_made: Option<Timestamp>,
}

impl Situation {
    /// The number of the change whose time belongs into `base_made`.
    #[must_use]
    pub fn base_seq(&self, incoming: &Incoming) -> Option<u64> {
        self.scope.as_ref()?.resolve(incoming.base.as_ref()?)
    }
}

/// What to answer and what to store, all of it or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The answer.
    pub answer: Verdict,
    /// The scope's row as it is now.
    pub scope: Option<ScopeRow>,
    /// The change that was made. It replaces the record's earlier one.
    pub record: Option<RecordRow>,
    /// The verdict to keep.
    pub verdict: Option<VerdictRow>,
}

impl Decision {
    fn answer(answer: Verdict) -> Self {
        Self {
            answer,
            scope: None,
            record: None,
            verdict: None,
        }
    }
}

/// The memory of a batch while its mutations are decided in order.
#[derive(Debug)]
pub struct Batch<'a> {
    request: &'a BatchRequest,
    /// Whether the client's cursor of a scope is good; filled when the scope is first met.
    in_step: HashMap<Scope, bool>,
    /// Scopes whose rest is left unprocessed.
    held: HashSet<Scope>,
    /// Records of which a mutation was rejected.
    rejected: HashSet<RecordKey>,
}

impl<'a> Batch<'a> {
    /// Before the first mutation.
    #[must_use]
    pub fn new(request: &'a BatchRequest) -> Self {
        Self {
            request,
            in_step: HashMap::new(),
            held: HashSet::new(),
            rejected: HashSet::new(),
        }
    }

    /// The answer of a mutation that is left unprocessed since one of its scope is to be tried again.
    #[must_use]
    pub fn unprocessed(&self, incoming: &Incoming) -> Option<Verdict> {
        self.held.contains(&incoming.key.scope).then_some(RETRY)
    }

    /// The answer when what was decided could not be stored: it and the rest of its scope are tried again.
    pub fn failed(&mut self, incoming: &Incoming) -> Verdict {
        self.held.insert(incoming.key.scope.clone());
        // A rejection that was not stored is none.
        self.rejected.remove(&incoming.key);
        RETRY
    }

    /// Decides one mutation.
    pub fn decide(&mut self, incoming: &Incoming, situation: &Situation) -> Decision {
        if let Some(decision) = self.resync(incoming, situation) {
            return decision;
        }
        let decision = match &situation.verdict {
            Some(verdict) => Decision::answer(self.repeat(incoming, verdict, situation)),
            None => self.judge(incoming, situation),
        };
        if let Verdict::Rejected { .. } = decision.answer {
            self.rejected.insert(incoming.key.clone());
        }
        decision
    }

    /// What to do where the client's cursor of the scope is of no use any more: what it has seen can no longer
    /// be told from its versions, so that it has to look first.
    fn resync(&mut self, incoming: &Incoming, situation: &Situation) -> Option<Decision> {
        let scope = &incoming.key.scope;
        if !self.in_step.contains_key(scope) {
            let row = match &situation.scope {
                Some(row) => row.clone(),
                None => self.fresh(scope),
            };
            let standing = Standing::of(self.cursor(scope), &row);
            let in_step = matches!(standing, Standing::At(_));
            self.in_step.insert(scope.clone(), in_step);
            if standing == Standing::Beyond {
                let mut row = row;
                row.begin_epoch(self.request.fresh_epoch.clone(), 0);
                return Some(Decision {
                    scope: Some(row),
                    ..Decision::answer(RESYNC)
                });
            }
        }
        let in_step = self.in_step.get(scope).copied().unwrap_or(true);
        (!in_step).then(|| Decision::answer(RESYNC))
    }

    fn cursor(&self, scope: &Scope) -> Option<&'a Cursor> {
        self.request
            .cursors
            .iter()
            .find_map(|(named, cursor)| (named == scope).then_some(cursor.as_ref()))
            .flatten()
    }

    fn fresh(&self, scope: &Scope) -> ScopeRow {
        ScopeRow::new(scope.clone(), self.request.fresh_epoch.clone())
    }

    /// The answer of a mutation that has been decided before.
    fn repeat(&self, incoming: &Incoming, verdict: &VerdictRow, situation: &Situation) -> Verdict {
        if verdict.account != self.request.account {
            return rejected("its id is another account's");
        }
        if verdict.fingerprint != incoming.fingerprint {
            return rejected("its id is that of another mutation");
        }
        let fresh;
        let scope = match &situation.scope {
            Some(row) => row,
            None => {
                fresh = self.fresh(&incoming.key.scope);
                &fresh
            }
        };
        match &verdict.outcome {
            Outcome::Applied { seq, merged } => Verdict::Applied {
                version: Some(scope.version(*seq)),
                record: (*merged && incoming.permission.read)
                    .then(|| held(situation.record.as_ref(), scope)),
            },
            Outcome::Conflict { .. } => conflict(incoming, situation.record.as_ref(), scope),
            Outcome::Rejected { reason } => rejected(reason),
            Outcome::Forbidden => Verdict::Forbidden,
        }
    }

    /// Decides a mutation that is new.
    fn judge(&self, incoming: &Incoming, situation: &Situation) -> Decision {
        let refused = if incoming.permission.write {
            self.refusal(incoming, situation)
        } else {
            Some(Outcome::Forbidden)
        };
        let op = match (refused, &incoming.op) {
            (None, Ok(op)) => op,
            (None, Err(reason)) => {
                let reason = reason.clone();
                return self.refuse(incoming, Outcome::Rejected { reason });
            }
            (Some(outcome), _) => return self.refuse(incoming, outcome),
        };
        let mut scope = match &situation.scope {
            Some(row) => row.clone(),
            None => self.fresh(&incoming.key.scope),
        };
        // The wall clock may step back; the times of a scope's changes do not.
        let received = self.request.received.max(scope.made);
        let effect = Encounter {
            account: &self.request.account,
            received,
            incoming,
            op,
            scope: &scope,
            situation,
            rules: &self.request.rules,
        }
        .effect();
        let (answer, record, outcome) = match effect {
            Effect::Change(record) => {
                scope.head = record.seq;
                scope.made = received;
                let answer = Verdict::Applied {
                    version: Some(scope.version(record.seq)),
                    record: (record.merged && incoming.permission.read)
                        .then(|| record.to_server_record(&scope)),
                };
                let outcome = Outcome::Applied {
                    seq: record.seq,
                    merged: record.merged,
                };
                (answer, Some(*record), outcome)
            }
            Effect::Nothing => {
                let seq = scope.head;
                let answer = Verdict::Applied {
                    version: Some(scope.version(seq)),
                    record: None,
                };
                let merged = false;
                (answer, None, Outcome::Applied { seq, merged })
            }
            Effect::Lost => {
                let current = situation.record.as_ref();
                let seq = current.map_or(scope.head, |record| record.seq);
                let answer = conflict(incoming, current, &scope);
                (answer, None, Outcome::Conflict { seq })
            }
        };
        let row_is_new = situation.scope.is_none();
        Decision {
            answer,
            scope: (record.is_some() || row_is_new).then_some(scope),
            record,
            verdict: Some(self.verdict(incoming, outcome)),
        }
    }

    /// Whether the mutation follows one that was refused, and so builds on what never was.
    fn refusal(&self, incoming: &Incoming, situation: &Situation) -> Option<Outcome> {
        let refused_before = situation.predecessor.as_ref().is_some_and(|verdict| {
            let refused = matches!(
                verdict.outcome,
                Outcome::Rejected { .. } | Outcome::Forbidden
            );
            refused && verdict.key == incoming.key && verdict.account == self.request.account
        });
        (refused_before || self.rejected.contains(&incoming.key)).then(|| Outcome::Rejected {
            reason: "it follows a mutation that was refused".to_owned(),
        })
    }

    fn refuse(&self, incoming: &Incoming, outcome: Outcome) -> Decision {
        let answer = match &outcome {
            Outcome::Rejected { reason } => rejected(reason),
            _ => Verdict::Forbidden,
        };
        Decision {
            verdict: Some(self.verdict(incoming, outcome)),
            ..Decision::answer(answer)
        }
    }

    fn verdict(&self, incoming: &Incoming, outcome: Outcome) -> VerdictRow {
        VerdictRow {
            mutation_id: incoming.id,
            account: self.request.account.detached(),
            key: incoming.key.detached(),
            fingerprint: incoming.fingerprint,
            outcome,
            at: self.request.received,
        }
    }
}

/// Not now.
pub(crate) const RETRY: Verdict = Verdict::Retry {
    after: None,
    resync: false,
};

const RESYNC: Verdict = Verdict::Retry {
    after: None,
    resync: true,
};

fn rejected(reason: impl Into<String>) -> Verdict {
    Verdict::Rejected {
        reason: reason.into(),
    }
}

/// A conflict with what the server holds; that is told only to who may read it.
fn conflict(incoming: &Incoming, record: Option<&RecordRow>, scope: &ScopeRow) -> Verdict {
    if incoming.permission.read {
        Verdict::Conflict {
            theirs: held(record, scope),
        }
    } else {
        Verdict::Forbidden
    }
}

/// The record as the server holds it: gone, as of the scope's head, when not even a tombstone is left.
fn held(record: Option<&RecordRow>, scope: &ScopeRow) -> ServerRecord {
    record.map_or_else(
        || ServerRecord {
            payload: None,
            schema: Default::default(),
            version: Some(scope.version(scope.head)),
        },
        |record| record.to_server_record(scope),
    )
}
