//! What the apps on the devices do, and what they must see.

use serde::{Deserialize, Serialize};
use sync_core::{
    engine::{Entity, ScopeHandle},
    model::{Account, MutationId, Op, Payload, RecordKey, Schema},
    store::Enqueued,
};

use super::{World, key};
use crate::simulator::{
    SimError,
    device::{Device, Tab},
    plan::{ACCOUNTS, SCOPES, Slot, TYPES},
    seen::{Seen, TabId},
};

impl World {
    /// The app writes or deletes, as an app of its age does: what it does not know, it does not touch.
    pub(super) fn write(&mut self, device: &mut Device, tab: usize, slots: &[Slot], delete: bool) {
        let Some(Tab { engine, .. }) = device.awake(tab) else {
            return;
        };
        let slots: Vec<Slot> = slots
            .iter()
            .filter(|slot| slot.kind < device.types().len())
            .copied()
            .collect();
        let Some(first) = slots.first() else { return };
        let scope = engine.scope(SCOPES[first.scope]);
        let held = device.disk.held();
        let mut edits = scope.edits();
        let mut keys: Vec<RecordKey> = Vec::new();
        let mut expected = Vec::new();
        for slot in &slots {
            let slot = Slot {
                scope: first.scope,
                ..*slot
            };
            let key = key(slot);
            let there = held.record(&key).is_some() || keys.contains(&key);
            if delete && !there {
                return;
            }
            let op = match (delete, there) {
                (true, _) => Op::Delete,
                // An app may also create what is there: it is replaced.
                (false, true) if self.written.is_multiple_of(5) => Op::Create(self.payload()),
                (false, true) => Op::Update(self.payload()),
                (false, false) => Op::Create(self.payload()),
            };
            expected.retain(|(of, _)| *of != key);
            expected.push((key.clone(), op.payload().cloned()));
            edits = edits.untyped(TYPES[slot.kind], key.entity_id.clone(), op, Schema(1));
            keys.push(key);
        }
        let Some(Ok(outcomes)) = self.app_on(device, edits.enqueue()) else {
            return;
        };
        self.enqueued(device, tab, &keys, &outcomes);
        if delete && outcomes == [Enqueued::Cancelled] {
            self.is_gone(device, &keys);
        }
        for (key, payload) in expected {
            self.reads_back(device, &scope, &key, payload.as_ref());
        }
    }

    fn enqueued(&self, device: &Device, tab: usize, keys: &[RecordKey], outcomes: &[Enqueued]) {
        for outcome in outcomes {
            let label = match outcome {
                Enqueued::Queued(_) => "outcome: enqueued",
                Enqueued::Cancelled => "outcome: cancelled",
            };
            self.recorder.count(label, 1);
        }
        self.recorder.see(&Seen::Enqueued {
            tab: TabId {
                device: device.number,
                tab,
            },
            keys,
            outcomes,
        });
    }

    /// What a delete has cancelled is not there.
    fn is_gone(&self, device: &Device, keys: &[RecordKey]) {
        let held = device.disk.held();
        if let Some(key) = keys.iter().find(|key| held.record(key).is_some()) {
            let what = format!("device {} has deleted {key} and shows it", device.number);
            self.recorder.violated(
                "read your writes",
                "guarantee 4: no pull overwrites an unsettled edit",
                what,
            );
        }
    }

    /// When an edit has returned, every handle shows it.
    fn reads_back(
        &self,
        device: &Device,
        scope: &ScopeHandle,
        key: &RecordKey,
        wrote: Option<&Payload>,
    ) {
        let read = scope.get_untyped(key.entity_type.clone(), key.entity_id.clone());
        let Some(Ok(shown)) = self.app(read) else {
            return;
        };
        let shown = shown.map(|record| record.payload);
        let is_it = |payload: Option<&Payload>| match (payload, wrote) {
            (Some(payload), Some(wrote)) => payload.same_json(wrote),
            (None, None) => true,
            _ => false,
        };
        // Time may have passed: another engine on the database, or the server, may have been quicker, and what is
        // pending now may be what the app has made of a conflict.
        let pending = device
            .disk
            .held()
            .entries_of(key)
            .any(|entry| entry.is_pending() && is_it(entry.mutation.op.payload()));
        if !is_it(shown.as_ref()) && pending {
            let what = format!(
                "device {} has written {key} and reads something else",
                device.number
            );
            self.recorder.violated(
                "read your writes",
                "guarantee 4: no pull overwrites an unsettled edit",
                what,
            );
        }
    }

    pub(super) fn update_with(&mut self, device: &mut Device, tab: usize, slot: Slot) {
        let Some(Tab { engine, .. }) = device.awake(tab) else {
            return;
        };
        let scope = engine.scope(SCOPES[slot.scope]);
        let n = self.next();
        let key = key(Slot { kind: 0, ..slot });
        let outcome = self.app_on(
            device,
            scope.update_with(key.entity_id.as_str().to_owned(), |feed: &mut Feed| {
                feed.on = Some(std::mem::replace(&mut feed.n, n));
            }),
        );
        if let Some(Ok(Some(written))) = outcome
            && written.n != n
        {
            let what = format!(
                "device {} has changed {key} to something else",
                device.number
            );
            self.recorder.violated(
                "update_with",
                "guarantee 4: no pull overwrites an unsettled edit",
                what,
            );
        }
    }

    pub(super) fn read(&self, device: &Device, tab: usize) {
        let Some(Tab { engine, .. }) = device.awake(tab) else {
            return;
        };
        let held = device.disk.held();
        for scope in &SCOPES[..self.plan.cast.scopes] {
            for entity_type in device.types() {
                let handle = engine.scope(*scope);
                let Some(Ok(list)) = self.app(handle.list_untyped(*entity_type)) else {
                    continue;
                };
                let in_list = |key: &&RecordKey| {
                    key.scope.as_str() == *scope && key.entity_type.as_str() == *entity_type
                };
                let expected = held.keys().filter(in_list).count();
                if list.len() != expected {
                    let what = format!(
                        "device {} lists {} records of {expected}",
                        device.number,
                        list.len()
                    );
                    self.recorder.violated(
                        "lists are whole",
                        "guarantee 7: what is stored is shown",
                        what,
                    );
                }
            }
        }
    }

    /// Logs out, without losing anything unless it is forced to, and in again as another account.
    pub(super) fn relogin(
        &self,
        device: &mut Device,
        force: bool,
        id: u64,
    ) -> Result<(), SimError> {
        let Some(Tab { engine, .. }) = device.awake(0) else {
            return Ok(());
        };
        let engine = engine.clone();
        let wiped = self.app_on(device, engine.wipe(force));
        drop(engine);
        for tab in 0..device.tabs.len() {
            device.kill(self, tab);
        }
        self.executor.run_ready();
        if matches!(wiped, Some(Ok(()))) {
            self.recorder.count("app: wiped", 1);
            device.account = Account::from(ACCOUNTS[id as usize % ACCOUNTS.len()]);
        }
        let _ = device.disk.take_dead();
        self.start_all(device)
    }

    pub(super) fn decide_failed(&self, device: &Device, tab: usize, retry: bool) {
        let Some(Tab { engine, .. }) = device.awake(tab) else {
            return;
        };
        let held = device.disk.held();
        let failed = held.entries.iter().filter(|entry| entry.is_failed());
        let Some(key) = failed.map(|entry| entry.mutation.key.clone()).next() else {
            return;
        };
        if retry {
            if self.app_on(device, engine.retry(key)).is_some() {
                self.recorder.count("outcome: retried", 1);
            }
        } else if self.app_on(device, engine.discard(key)).is_some() {
            self.recorder.count("outcome: discarded", 1);
        }
    }

    pub(super) fn acknowledge(&self, device: &Device, tab: usize) {
        let Some(Tab { engine, .. }) = device.awake(tab) else {
            return;
        };
        let held = device.disk.held();
        let conflicts = held.conflicts.iter().map(|conflict| conflict.mutation_id);
        let revoked = held.revoked.iter().map(|revoked| revoked.mutation.id);
        // Some apps acknowledge all at once, others one after the other.
        let at_once = match self.written.is_multiple_of(2) {
            true => usize::MAX,
            false => 1,
        };
        let (seen, left): (Vec<_>, Vec<_>) = (
            conflicts.clone().take(at_once).collect(),
            conflicts.skip(at_once).collect(),
        );
        let _ = self.app_on(device, engine.acknowledge_conflicts(seen));
        if !device.disk.has_dead() {
            let copies = revoked.clone().take(at_once);
            let _ = self.app_on(device, engine.acknowledge_revoked(copies));
        }
        let now = device.disk.held();
        let lost = |id: &MutationId| now.conflict(*id).is_none();
        let lost_copy = |id: &MutationId| now.revoked(*id).is_none();
        if left.iter().any(lost) || revoked.skip(at_once).any(|id| lost_copy(&id)) {
            let what = format!(
                "device {} has acknowledged one, and another is gone",
                device.number
            );
            self.recorder.violated(
                "acknowledged one by one",
                "guarantee 8: a conflict is kept until the app acknowledges it",
                what,
            );
        }
    }

    fn next(&mut self) -> u64 {
        self.written += 1;
        self.written
    }

    fn payload(&mut self) -> Payload {
        let n = self.next();
        // The world's own JSON is right.
        Payload::parse(format!(r#"{{"n":{n}}}"#)).unwrap_or_else(|_| unreachable!())
    }
}

/// What an app that knows its entities writes.
#[derive(Debug, Serialize, Deserialize)]
struct Feed {
    #[serde(skip)]
    id: String,
    n: u64,
    /// The edit that this one was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<u64>,
}

impl Entity for Feed {
    const TYPE: &'static str = TYPES[0];

    fn id(&self) -> String {
        self.id.clone()
    }
}
