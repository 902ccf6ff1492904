//! A server of one author, as small as the rules allow: it applies in order, remembers its verdicts, keeps the
//! newest change of each record, and can be restored to an earlier state.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{
        Change, ChangeOp, Cursor, Mutation, MutationId, Op, Overwritten, Page, RecordKey, Schema,
        Scope, Version,
    },
    store::Seq,
    transport::{ServerRecord, Verdict},
};

use crate::device::{json, text};

#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) text: Option<String>,
    seq: u64,
    /// The mutation that made it, if it was made as it was sent.
    maker: Option<MutationId>,
    own: Option<MutationId>,
    overwritten: Vec<Overwritten>,
}

/// What a restore brings back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) records: BTreeMap<RecordKey, State>,
    heads: BTreeMap<Scope, u64>,
    pub(crate) verdicts: BTreeMap<MutationId, Verdict>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Server {
    pub(crate) stored: Stored,
    backup: Stored,
    epoch: u64,
    /// Up to here the versions of earlier epochs are those of this one.
    shared: BTreeMap<Scope, u64>,
    /// What each record has been, with a moment that never repeats.
    pub(crate) history: Vec<(RecordKey, u64, Option<String>)>,
    /// When an own mutation was applied, by that moment.
    pub(crate) applied: BTreeMap<MutationId, (RecordKey, u64)>,
    pub(crate) decided: BTreeSet<MutationId>,
    first: BTreeMap<Scope, Seq>,
    sent: BTreeMap<MutationId, Op>,
    /// Own mutations that another's edit has overwritten.
    pub(crate) overwrites: Vec<MutationId>,
    /// Own mutations that were set aside, so that whether they were applied is not known to their successors.
    pub(crate) set_aside: BTreeSet<MutationId>,
}

fn chance(id: MutationId, one_in: u128) -> bool {
    (id.as_uuid().as_u128() / 7).is_multiple_of(one_in)
}

impl Server {
    pub(crate) fn epoch(&self) -> String {
        format!("epoch {}", self.epoch)
    }

    /// Handles a batch in order; from the place `busy` on, it has no time, and none at all for a scope whose
    /// cursor is of another epoch.
    pub(crate) fn push(
        &mut self,
        batch: &[(Seq, Mutation)],
        cursors: &[(Scope, Option<Cursor>)],
        busy: usize,
    ) -> Vec<(MutationId, Verdict)> {
        let strange = cursors.iter().filter(|(_, cursor)| {
            let epoch = cursor.as_ref().and_then(|c| c.as_str().split_once(':'));
            epoch.is_some_and(|(epoch, _)| epoch != self.epoch())
        });
        let mut held: BTreeSet<Scope> = strange.map(|(scope, _)| scope.clone()).collect();
        let mut answers = Vec::new();
        for (at, (seq, mutation)) in batch.iter().enumerate() {
            let scope = &mutation.key.scope;
            let as_before = self.sent.entry(mutation.id).or_insert_with(|| {
                let first = self.first.entry(scope.clone()).or_default();
                assert!(*seq > *first, "{scope} is out of order");
                *first = *seq;
                mutation.op.clone()
            });
            assert_eq!(*as_before, mutation.op, "it was sent otherwise before");
            if at >= busy || held.contains(scope) {
                held.insert(scope.clone());
                let (after, resync) = (None, false);
                answers.push((mutation.id, Verdict::Retry { after, resync }));
            } else {
                let verdict = self.decide(mutation);
                answers.push((mutation.id, verdict));
            }
        }
        answers
    }

    fn decide(&mut self, mutation: &Mutation) -> Verdict {
        let theirs = self.record(&mutation.key);
        match self.stored.verdicts.get(&mutation.id) {
            Some(Verdict::Conflict { .. }) => return Verdict::Conflict { theirs },
            Some(verdict) => return verdict.clone(),
            None => {}
        }
        let verdict = self.judge(mutation, theirs);
        self.decided.insert(mutation.id);
        self.stored.verdicts.insert(mutation.id, verdict.clone());
        verdict
    }

    fn judge(&mut self, mutation: &Mutation, theirs: ServerRecord) -> Verdict {
        let follows_rejected = mutation.after.is_some_and(|after| {
            matches!(
                self.stored.verdicts.get(&after),
                Some(Verdict::Rejected { .. })
            )
        });
        if follows_rejected || chance(mutation.id, 9) {
            let reason = "no".to_owned();
            return Verdict::Rejected { reason };
        }
        let state = self.stored.records.get(&mutation.key).cloned();
        let present = state.as_ref().is_some_and(|state| state.text.is_some());
        let mut overwritten = Vec::new();
        if let Some(state) = &state {
            let concurrent = !self.knew(mutation, state);
            if concurrent {
                // A client's own chain of edits never conflicts with itself; a restore may take out of it what
                // somebody else had put between.
                let whole = |id: &MutationId| self.epoch == 0 && !self.set_aside.contains(id);
                let own = state.maker.filter(whole);
                assert_eq!(own, None, "{} does not know its predecessor", mutation.id);
                if !present && !matches!(mutation.op, Op::Delete) || chance(mutation.id, 2) {
                    return Verdict::Conflict { theirs };
                }
            }
            // What supersedes a winner carries its marks on.
            overwritten.clone_from(&state.overwritten);
        }
        if !present && matches!(mutation.op, Op::Update(_)) {
            return Verdict::Conflict { theirs };
        }
        if !present && matches!(mutation.op, Op::Delete) {
            // Nothing is appended, but what comes after this one must not conflict with what came before it.
            if let Some(state) = self.stored.records.get_mut(&mutation.key) {
                state.maker = Some(mutation.id);
            }
            let version = Some(self.version(self.head(&mutation.key.scope)));
            let record = None;
            return Verdict::Applied { version, record };
        }
        let sent = mutation.op.payload().map(text);
        let merged = sent.as_ref().filter(|_| chance(mutation.id, 5));
        let merged = merged.map(|sent| format!("{sent} merged"));
        let seq = self.write(
            &mutation.key,
            merged.clone().or(sent),
            Some(mutation.id),
            overwritten,
        );
        let moment = self.history.len() as u64;
        self.applied
            .insert(mutation.id, (mutation.key.clone(), moment));
        let mut record = None;
        if merged.is_some() {
            if let Some(state) = self.stored.records.get_mut(&mutation.key) {
                state.maker = None;
            }
            record = Some(self.record(&mutation.key));
        }
        let version = Some(self.version(seq));
        Verdict::Applied { version, record }
    }

    /// Whether a mutation was made over this state, or after the own mutation that made it.
    fn knew(&self, mutation: &Mutation, state: &State) -> bool {
        let base = mutation.base_version.as_ref();
        let known = base.is_some_and(|base| {
            let scope = &mutation.key.scope;
            let same = base.epoch.as_str() == self.epoch();
            let shared = self.shared.get(scope).copied().unwrap_or_default();
            state.seq <= base.seq && (same || state.seq <= shared)
        });
        known || (state.maker.is_some() && state.maker == mutation.after)
    }

    fn write(
        &mut self,
        key: &RecordKey,
        text: Option<String>,
        own: Option<MutationId>,
        overwritten: Vec<Overwritten>,
    ) -> u64 {
        let head = self.stored.heads.entry(key.scope.clone()).or_default();
        *head += 1;
        let seq = *head;
        let moment = self.history.len() as u64 + 1;
        self.history.push((key.clone(), moment, text.clone()));
        let state = State {
            text,
            seq,
            maker: own,
            own,
            overwritten,
        };
        self.stored.records.insert(key.clone(), state);
        seq
    }

    /// An edit of somebody else. It may have been concurrent with the one that it replaces.
    pub(crate) fn other(&mut self, key: &RecordKey, text: Option<String>, concurrent: bool) {
        let before = self.stored.records.get(key);
        if text.is_none() && before.is_none_or(|state| state.text.is_none()) {
            return;
        }
        let mut overwritten = before.map(|b| b.overwritten.clone()).unwrap_or_default();
        if concurrent && let Some(id) = before.and_then(|state| state.own) {
            let by = self.head(&key.scope) + 1;
            self.overwrites.push(id);
            overwritten.push(Overwritten {
                mutation_id: id,
                account: "me".into(),
                payload: None,
                by,
            });
        }
        self.write(key, text, None, overwritten);
    }

    pub(crate) fn back_up(&mut self) {
        self.backup = self.stored.clone();
    }

    /// Goes back to the backup, as another epoch.
    pub(crate) fn restore(&mut self) {
        self.stored = self.backup.clone();
        self.epoch += 1;
        self.shared = self.stored.heads.clone();
        self.applied.clear();
        self.overwrites.clear();
        let records: Vec<_> = self.stored.records.clone().into_iter().collect();
        for (key, state) in records {
            let moment = self.history.len() as u64 + 1;
            self.history.push((key, moment, state.text));
        }
    }

    /// The page that follows a cursor; none when the cursor is of another epoch.
    pub(crate) fn pull(
        &self,
        scope: &Scope,
        cursor: Option<&Cursor>,
        limit: usize,
    ) -> Option<Page> {
        let from: u64 = match cursor {
            Some(cursor) => {
                let (epoch, from) = cursor.as_str().split_once(':')?;
                (epoch == self.epoch())
                    .then(|| from.parse().ok())
                    .flatten()?
            }
            None => 0,
        };
        let mut states: Vec<_> = self
            .stored
            .records
            .iter()
            .filter(|(key, state)| key.scope == *scope && state.seq > from)
            .collect();
        states.sort_by_key(|(_, state)| state.seq);
        let has_more = states.len() > limit;
        states.truncate(limit);
        let last = states.last().map(|(_, state)| state.seq);
        let through = if has_more {
            last.unwrap_or(from)
        } else {
            self.head(scope)
        };
        let change = |(key, state): &(&RecordKey, &State)| Change {
            entity_type: key.entity_type.clone(),
            entity_id: key.entity_id.clone(),
            op: match &state.text {
                Some(text) => ChangeOp::Put(json(text)),
                None => ChangeOp::Remove,
            },
            schema: Schema(1),
            seq: Some(state.seq),
            mutation_id: state.own,
            overwritten: state.overwritten.clone(),
        };
        Some(Page {
            changes: states.iter().map(change).collect(),
            next: format!("{}:{through}", self.epoch()).into(),
            has_more,
            through: Some(through),
            epoch: Some(self.epoch().into()),
            verdict_retention: None,
        })
    }

    fn head(&self, scope: &Scope) -> u64 {
        self.stored.heads.get(scope).copied().unwrap_or_default()
    }

    fn version(&self, seq: u64) -> Version {
        Version::new(self.epoch(), seq)
    }

    fn record(&self, key: &RecordKey) -> ServerRecord {
        let state = self.stored.records.get(key);
        let seq = state.map_or(self.head(&key.scope), |state| state.seq);
        ServerRecord {
            payload: state.and_then(|state| state.text.as_deref()).map(json),
            schema: Schema(1),
            version: Some(self.version(seq)),
        }
    }
}
