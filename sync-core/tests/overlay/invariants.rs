//! What must hold after every step, and once everything has come to rest.

use sync_core::{
    model::{RecordKey, Scope},
    store::{CursorStore, Entry, EntryState, Records},
    transport::Verdict,
};

use crate::{
    device::{key, now, text},
    world::{IDS, Pulling, SCOPES, Step, World},
};

impl World {
    pub(crate) fn check(&mut self) {
        let entries = self.device.entries();
        for entry in &entries {
            self.known.insert(entry.mutation.id, entry.clone());
        }
        self.nothing_is_lost(&entries);
        for id in IDS {
            let key = key(id);
            let stack: Vec<&Entry> = entries.iter().filter(|e| e.mutation.key == key).collect();
            self.the_view_is_the_fold(id, &key, &stack);
            self.nothing_flickers(id, &key, &stack);
        }
    }

    /// What has left the overlay was decided by the server, and not refused.
    fn nothing_is_lost(&mut self, entries: &[Entry]) {
        let held = |id| entries.iter().any(|e| e.mutation.id == id);
        let server = &self.server;
        self.known.retain(|id, entry| {
            if held(*id) {
                return true;
            }
            assert!(server.decided.contains(id), "{entry:?} was lost");
            if let Some(verdict) = server.stored.verdicts.get(id) {
                let refused = matches!(verdict, Verdict::Rejected { .. });
                assert!(!refused, "{entry:?} was refused and has vanished");
            }
            false
        });
    }

    fn the_view_is_the_fold(&self, id: &str, key: &RecordKey, stack: &[&Entry]) {
        let base = self.bases.get(key).cloned().unwrap_or_default();
        let view = self.device.view(id);
        let expected = fold(base.text, stack);
        // What a resync did not bring may be swept at any time.
        let swept = base.unseen && view == fold(None, stack);
        assert!(
            view == expected || swept,
            "{id}: {view:?}, not {expected:?}"
        );
    }

    /// After an own mutation was applied, the view is what it made, or something newer.
    fn nothing_flickers(&self, id: &str, key: &RecordKey, stack: &[&Entry]) {
        let since = self.since.get(key).copied().unwrap_or_default();
        let applied = self.server.applied.iter();
        let newest = applied
            .filter(|(_, (of, moment))| of == key && *moment > since)
            .max_by_key(|(_, (_, moment))| *moment);
        let Some((newest, (_, moment))) = newest else {
            return;
        };
        let view = self.device.view(id);
        let mut states = self.server.history.iter();
        let server = states.any(|(of, at, text)| of == key && at >= moment && *text == view);
        let own = stack
            .iter()
            .filter(|e| e.mutation.id >= *newest)
            .any(|e| e.mutation.op.payload().map(text) == view);
        assert!(
            server || own,
            "{id} shows {view:?}, older than {newest}: {stack:?}"
        );
    }

    fn pull_to_the_end(&mut self, scope: &'static str) {
        self.pulling.insert(scope, Pulling::default());
        for _ in 0..100 {
            self.ask(scope, 2);
            self.page(scope);
            self.check();
            let row = now(self.device.store.scope(scope.into())).unwrap().0;
            match row.resync {
                Some(resync) if resync.sweeping => self.sweep(scope),
                None if self.pulling[scope].began.is_none() => return,
                _ => {}
            }
        }
        panic!("the pull of {scope} does not come to its end");
    }

    /// The network heals and mutations stop.
    pub(crate) fn come_to_rest(&mut self) {
        for _ in 0..10 {
            for _ in 0..10 {
                self.push(8, 100);
                self.answer(u8::MAX);
            }
            for scope in SCOPES {
                self.pull_to_the_end(scope);
            }
            for at in 0..IDS.len() {
                self.take_step(Step::Discard(at));
            }
            if self.device.entries().is_empty() {
                break;
            }
        }
        assert_eq!(self.device.entries(), []);
        for id in IDS {
            let state = self.server.stored.records.get(&key(id));
            let theirs = state.and_then(|state| state.text.clone());
            assert_eq!(self.device.view(id), theirs, "{id} has not converged");
        }
        for scope in SCOPES {
            let row = now(self.device.store.scope(Scope::from(scope))).unwrap().0;
            assert_eq!(row.resync, None);
            let server = &self.server.stored.records;
            let of_scope = |key: &&RecordKey| key.scope.as_str() == scope;
            let live = server
                .iter()
                .filter(|(key, s)| of_scope(key) && s.text.is_some());
            let count = now(self.device.store.count(scope.into(), None)).unwrap();
            assert_eq!(count, live.count() as u64);
        }
        for id in &self.to_be_told {
            assert!(
                self.told.contains(id),
                "{id} was overwritten, and nobody said so"
            );
        }
    }
}

/// The overlay folded over a base, in the simplest way.
fn fold(base: Option<String>, stack: &[&Entry]) -> Option<String> {
    let (failed, live): (Vec<&Entry>, Vec<_>) = stack.iter().partition(|e| e.is_failed());
    live.into_iter().chain(failed).fold(base, |state, entry| {
        let written = entry.mutation.op.payload().map(text);
        match &entry.state {
            EntryState::Acknowledged(ack) => match &ack.carried {
                Some(carried) => carried.payload.as_ref().map(text),
                None => written,
            },
            EntryState::Pending(_) => written,
            EntryState::Failed(_) => written.or(state),
        }
    })
}
