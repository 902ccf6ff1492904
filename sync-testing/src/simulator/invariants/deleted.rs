//! What was deleted comes back only by a create.

use std::collections::BTreeMap;

use sync_core::{
    model::{MutationId, Op, RecordKey},
    transport::Verdict,
};

use super::Invariant;
use crate::simulator::{seen::Seen, truth::Truth};

#[derive(Default)]
pub(crate) struct Deleted {
    /// Whether each record was there after its newest change, and that change's number.
    live: BTreeMap<RecordKey, (u64, bool)>,
    decided: BTreeMap<MutationId, u64>,
    restores: u64,
}

impl Invariant for Deleted {
    fn name(&self) -> &'static str {
        "deleted stays deleted"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 8: an update never brings a deleted record back"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if truth.restores != self.restores {
            let scopes = truth.server.scopes.values();
            let records = scopes.flat_map(|scope| &scope.records);
            *self = Self {
                live: records
                    .map(|(key, (seq, payload))| (key.clone(), (*seq, payload.is_some())))
                    .collect(),
                decided: BTreeMap::new(),
                restores: truth.restores,
            };
        }
        let Seen::Decided { request, answer } = seen else {
            return Ok(());
        };
        for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
            let Verdict::Applied {
                version: Some(version),
                ..
            } = &answer.verdict
            else {
                continue;
            };
            let (id, key, op) = (sent.mutation.id, &sent.mutation.key, &sent.mutation.op);
            let newest = self.live.get(key).copied();
            let is_repeated = self.decided.insert(id, version.seq) == Some(version.seq);
            if is_repeated || newest.is_some_and(|(seq, _)| version.seq <= seq) {
                continue;
            }
            let is_live = newest.is_some_and(|(_, live)| live);
            if matches!(op, Op::Update(_)) && !is_live {
                return Err(format!(
                    "{id} has brought {key} back as change {}",
                    version.seq
                ));
            }
            self.live
                .insert(key.clone(), (version.seq, op.payload().is_some()));
        }
        Ok(())
    }
}
