//! A device, a server and the network between them, with a naive model of what the device must hold.

use std::{collections::BTreeMap, sync::Arc};

use sync_core::{
    model::{MutationId, Op, Page, RecordKey},
    policy::Choice,
    store::{
        ApplyOutcome, ChangeApplier, Conflicts, CursorStore, Enqueued, Entry, EntryState,
        FailReason, Pick, Resolution, Seq, Settlement, Tick,
    },
    transport::Verdict,
};

use crate::{
    device::{Always, Asked, Device, json, key, now, text},
    reference::Server,
};

pub(crate) const IDS: [&str; 4] = ["a", "b", "c", "toy/a"];
pub(crate) const SCOPES: [&str; 2] = ["baby", "toy"];

/// One thing that happens.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    Edit(usize, u8),
    Push {
        max: u32,
        busy: usize,
    },
    Answer {
        mask: u8,
    },
    LoseAnswer,
    Ask {
        scope: usize,
        limit: usize,
    },
    Page(usize),
    LosePage(usize),
    Other {
        id: usize,
        remove: bool,
        concurrent: bool,
    },
    Retry(usize),
    Discard(usize),
    SetAside,
    Resync(usize),
    Sweep(usize),
    Acknowledge,
    BackUp,
    Restore,
}

/// A pull under way: when it began, and the page that is on its way.
#[derive(Default)]
pub(crate) struct Pulling {
    pub(crate) began: Option<Tick>,
    pub(crate) page: Option<(Asked, Page)>,
}

/// What the model knows of a base.
#[derive(Clone, Default)]
pub(crate) struct Base {
    pub(crate) text: Option<String>,
    /// A resync has not brought it yet.
    pub(crate) unseen: bool,
}

pub(crate) struct World {
    pub(crate) device: Device,
    pub(crate) server: Server,
    pub(crate) words: u32,
    pub(crate) answers: Vec<Vec<(MutationId, Verdict)>>,
    pub(crate) pulling: BTreeMap<&'static str, Pulling>,
    pub(crate) bases: BTreeMap<RecordKey, Base>,
    /// Every mutation that was enqueued and is neither settled nor dropped by the app.
    pub(crate) known: BTreeMap<MutationId, Entry>,
    /// Of each record, the moment before which own mutations no longer count: it was discarded, or restored.
    pub(crate) since: BTreeMap<RecordKey, u64>,
    pub(crate) told: Vec<MutationId>,
    pub(crate) to_be_told: Vec<MutationId>,
}

impl World {
    pub(crate) fn new(choice: Choice) -> Self {
        let mut device = Device::new();
        device.resolve = Arc::new(Always(choice));
        Self {
            device,
            server: Server::default(),
            words: 0,
            answers: Vec::new(),
            pulling: SCOPES.map(|scope| (scope, Pulling::default())).into(),
            bases: BTreeMap::new(),
            known: BTreeMap::new(),
            since: BTreeMap::new(),
            told: Vec::new(),
            to_be_told: Vec::new(),
        }
    }

    /// Whether edits of a scope have been sent that was never pulled.
    fn has_sent_unpulled(&self, scope: &str) -> bool {
        let pulled = now(self.device.store.scope(scope.into())).unwrap().0.pulled;
        let was_sent = |entry: &Entry| match &entry.state {
            EntryState::Pending(pending) => pending.sent_at.is_some(),
            _ => true,
        };
        let mut entries = self.device.entries().into_iter();
        !pulled && entries.any(|entry| entry.mutation.key.scope == scope.into() && was_sent(&entry))
    }

    fn word(&mut self) -> String {
        self.words += 1;
        format!("w{}", self.words)
    }

    pub(crate) fn take_step(&mut self, step: Step) {
        match step {
            Step::Edit(id, kind) => self.edit(IDS[id], kind),
            Step::Push { max, busy } => self.push(max, busy),
            Step::Answer { mask } => self.answer(mask),
            Step::LoseAnswer => {
                self.answers.pop();
            }
            Step::Ask { scope, limit } => self.ask(SCOPES[scope], limit),
            Step::Page(scope) => self.page(SCOPES[scope]),
            Step::LosePage(scope) => {
                self.pulling.insert(SCOPES[scope], Pulling::default());
            }
            Step::Other {
                id,
                remove,
                concurrent,
            } => {
                let key = key(IDS[id]);
                let told = now(self.device.store.scope(key.scope.clone()))
                    .unwrap()
                    .0
                    .told;
                let overwrites = self.server.overwrites.len();
                let word = self.word();
                self.server
                    .other(&key, (!remove).then_some(word), concurrent);
                if told.is_some_and(|told| told.epoch.as_str() == self.server.epoch()) {
                    self.to_be_told
                        .extend(&self.server.overwrites[overwrites..]);
                }
            }
            Step::Retry(id) => {
                self.forget_failed(IDS[id]);
                self.device.retry(IDS[id]);
            }
            Step::Discard(id) => {
                if !self.device.discard(IDS[id]).is_empty() {
                    self.count_anew(key(IDS[id]));
                }
                self.known
                    .retain(|_, e| !(e.mutation.key == key(IDS[id]) && e.is_failed()));
            }
            Step::SetAside => self.set_aside(),
            Step::Resync(scope) => self.resync(SCOPES[scope], false),
            Step::Sweep(scope) => self.sweep(SCOPES[scope]),
            Step::Acknowledge => {
                let ids = self
                    .device
                    .conflicts()
                    .iter()
                    .map(|c| c.mutation_id)
                    .collect();
                now(self.device.store.acknowledge_conflicts(ids)).unwrap();
            }
            Step::BackUp => self.server.back_up(),
            Step::Restore => {
                let unpulled = SCOPES.map(|scope| self.has_sent_unpulled(scope));
                self.server.restore();
                let moment = self.server.history.len() as u64;
                for id in IDS {
                    let key = key(id);
                    let scope = SCOPES.iter().position(|scope| key.scope == (*scope).into());
                    // A device that has sent edits and never pulled has no cursor by which the server could tell it
                    // to look first: answers of both histories meet. It loses nothing and converges all the same.
                    let noticed = scope.is_none_or(|scope| !unpulled[scope]);
                    let since = if noticed { moment } else { u64::MAX };
                    self.since.insert(key, since);
                }
                self.to_be_told.clear();
            }
        }
        self.check();
    }

    fn edit(&mut self, id: &'static str, kind: u8) {
        let word = json(&self.word());
        let op = match (kind, self.device.view(id)) {
            (0, _) => Op::Delete,
            (1, _) | (2.., None) => Op::Create(word),
            (2.., Some(_)) => Op::Update(word),
        };
        self.forget_failed(id);
        let before = self.device.entries();
        if self.device.edit(id, op) == Enqueued::Cancelled {
            let after = self.device.entries();
            let gone = before.iter().filter(|e| !after.contains(e));
            for entry in gone {
                assert!(!entry.was_sent(), "only what was never sent is cancelled");
                self.known.remove(&entry.mutation.id);
            }
        }
    }

    /// The app takes a record's failed entries back.
    fn forget_failed(&mut self, id: &str) {
        self.known
            .retain(|_, e| !(e.mutation.key == key(id) && e.is_failed()));
    }

    pub(crate) fn push(&mut self, max: u32, busy: usize) {
        let taken = self.device.take_with(Pick::default(), max, u64::MAX);
        assert!(taken.forgotten.is_empty());
        let entries = taken.entries.into_iter().map(|t| t.entry);
        let batch: Vec<(Seq, _)> = entries.map(|e| (e.seq, e.mutation)).collect();
        let answers = self.server.push(&batch, &taken.cursors, busy);
        self.answers.push(answers);
    }

    pub(crate) fn answer(&mut self, mask: u8) {
        let Some(answers) = self.answers.pop() else {
            return;
        };
        let settlements: Vec<Settlement> = answers
            .into_iter()
            .enumerate()
            .filter(|(at, _)| mask >> at & 1 == 1)
            .map(|(_, (id, verdict))| Settlement::Answer(id, verdict))
            .collect();
        let report = self.device.settle(settlements.clone());
        self.tell(
            report
                .conflicts
                .iter()
                .map(|c| (c.mutation_id, c.resolution)),
        );
        let before = self.snapshot();
        let report = self.device.settle(settlements);
        assert!(report.applied.is_empty() && report.failed.is_empty());
        assert_eq!(
            self.snapshot(),
            before,
            "an answer that is repeated does nothing"
        );
    }

    pub(crate) fn ask(&mut self, scope: &'static str, limit: usize) {
        let mut asked = self.device.ask(scope);
        let pulling = self.pulling.get_mut(scope).unwrap();
        asked.began = *pulling.began.get_or_insert(asked.began);
        match self.server.pull(&asked.scope, asked.from.as_ref(), limit) {
            Some(page) => pulling.page = Some((asked, page)),
            None => self.resync(scope, false),
        }
    }

    pub(crate) fn page(&mut self, scope: &'static str) {
        let Some((asked, page)) = self.pulling.get_mut(scope).unwrap().page.take() else {
            return;
        };
        match self.device.apply(asked.clone(), page.clone()).unwrap() {
            ApplyOutcome::Applied(applied) => {
                self.tell(
                    applied
                        .conflicts
                        .iter()
                        .map(|c| (c.mutation_id, c.resolution)),
                );
                for change in &page.changes {
                    let key = RecordKey {
                        scope: asked.scope.clone(),
                        entity_type: change.entity_type.clone(),
                        entity_id: change.entity_id.clone(),
                    };
                    let text = change.op.payload().map(text);
                    let unseen = false;
                    self.bases.insert(key, Base { text, unseen });
                }
                if !page.has_more {
                    self.pulling.insert(scope, Pulling::default());
                }
                let before = self.snapshot();
                self.device.apply(asked, page).unwrap();
                assert_eq!(
                    self.snapshot(),
                    before,
                    "a page that is repeated does nothing"
                );
            }
            ApplyOutcome::Stale => {
                self.pulling.insert(scope, Pulling::default());
            }
            ApplyOutcome::OtherEpoch => self.resync(scope, true),
        }
    }

    fn tell(&mut self, conflicts: impl Iterator<Item = (MutationId, Resolution)>) {
        for (id, resolution) in conflicts {
            if resolution == Resolution::Overwritten {
                assert!(!self.told.contains(&id), "{id} is told twice");
                self.told.push(id);
            }
        }
    }

    fn resync(&mut self, scope: &'static str, new_epoch: bool) {
        let fence = self.device.fence;
        now(self.device.store.resync(scope.into(), new_epoch, fence)).unwrap();
        self.pulling.insert(scope, Pulling::default());
        for (key, base) in &mut self.bases {
            base.unseen |= key.scope.as_str() == scope;
        }
    }

    pub(crate) fn sweep(&mut self, scope: &'static str) {
        let fence = self.device.fence;
        let sweeping = |world: &Self| {
            let row = now(world.device.store.scope(scope.into())).unwrap().0;
            row.resync.is_some_and(|resync| resync.sweeping)
        };
        let under_way = sweeping(self);
        now(self.device.store.sweep(scope.into(), 1, fence)).unwrap();
        if under_way && !sweeping(self) {
            self.bases
                .retain(|key, base| !(base.unseen && key.scope.as_str() == scope));
        }
    }

    /// Own mutations of a record count from now on, if they ever do again.
    fn count_anew(&mut self, key: RecordKey) {
        let since = self.since.entry(key).or_default();
        *since = (*since).max(self.server.history.len() as u64);
    }

    fn set_aside(&mut self) {
        let sent = |e: &&Entry| e.is_pending() && e.was_sent();
        if let Some(entry) = self.device.entries().iter().find(sent) {
            let key = &entry.mutation.key;
            let of_record = self.device.entries().into_iter();
            let ids = of_record.filter(|e| e.mutation.key == *key && e.is_pending());
            // A failed delete shows what is beneath it, be it applied or not.
            self.count_anew(key.clone());
            self.server.set_aside.extend(ids.map(|e| e.mutation.id));
            self.device.set_aside(entry.mutation.id, FailReason::Poison);
        }
    }

    fn snapshot(&self) -> impl PartialEq + std::fmt::Debug + use<> {
        let rows = IDS.map(|id| self.device.row(id));
        let scopes = now(self.device.store.scopes()).unwrap();
        (rows, self.device.entries(), scopes, self.device.conflicts())
    }
}
