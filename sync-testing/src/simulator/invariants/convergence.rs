//! When edits and faults have stopped, every device that may read a scope holds what the server holds.

use std::collections::BTreeMap;

use sync_core::{
    model::{Payload, RecordKey},
    store::Entry,
};

use super::Invariant;
use crate::simulator::{seen::Seen, snapshot::Snapshot, truth::Truth};

pub(crate) struct Convergence;

impl Invariant for Convergence {
    fn name(&self) -> &'static str {
        "convergence"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 8: all end with the same records"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        let Seen::End { devices } = seen else {
            return Ok(());
        };
        for (device, held) in *devices {
            for row in &held.scopes {
                let scope = &row.scope;
                let reads = truth.reads.get(&(*device, scope.clone()));
                if reads.is_some_and(|reads| !reads.may) || !row.pulled {
                    continue;
                }
                let server = truth.server.scopes.get(scope);
                let on_server: BTreeMap<&RecordKey, &Payload> = server
                    .iter()
                    .flat_map(|server| &server.records)
                    .filter_map(|(key, (_, payload))| Some((key, payload.as_ref()?)))
                    .collect();
                compare(*device, scope.as_str(), held, &on_server, truth)?;
            }
        }
        Ok(())
    }
}

fn compare(
    device: usize,
    scope: &str,
    held: &Snapshot,
    on_server: &BTreeMap<&RecordKey, &Payload>,
    truth: &Truth,
) -> Result<(), String> {
    let in_scope = |key: &&RecordKey| key.scope.as_str() == scope;
    let here = held.keys().filter(in_scope);
    for key in here.chain(on_server.keys().copied()) {
        let is_choked = truth.waits_for_ever(key);
        let hidden = |entry: &Entry| entry.is_failed() || (is_choked && entry.is_pending());
        if held.entries_of(key).any(hidden) {
            continue;
        }
        let shown = held.record(key).map(|row| &row.payload);
        let there = on_server.get(key).copied();
        let same = match (shown, there) {
            (Some(shown), Some(there)) => shown.same_json(there),
            (None, None) => true,
            _ => false,
        };
        if !same {
            let text =
                |payload: Option<&Payload>| payload.map_or("nothing", |p| p.as_str()).to_owned();
            return Err(format!(
                "device {device} shows {} for {key}, the server holds {}",
                text(shown),
                text(there)
            ));
        }
    }
    Ok(())
}
