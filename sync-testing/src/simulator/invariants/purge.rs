//! A purge removes the revoked scope, all of it and nothing else, and only on evidence.

use sync_core::{model::Scope, store::Entry};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{
        seen::Seen,
        snapshot::Snapshot,
        truth::{CONFIRMED, Truth},
    },
};

pub(crate) struct Purge;

impl Invariant for Purge {
    fn name(&self) -> &'static str {
        "purge is exact"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 9: only a revoked scope is purged, and what was not synced is kept"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        let Seen::Stored {
            tab,
            call: StoreCall::Purge,
            before,
            after,
        } = seen
        else {
            return Ok(());
        };
        let raised = |scope: &&Scope| {
            let of = |held: &Snapshot| held.scope(scope).map(|row| row.generation);
            of(before) != of(after)
        };
        let purged: Vec<&Scope> = after
            .scopes
            .iter()
            .map(|row| &row.scope)
            .filter(raised)
            .collect();
        let [purged] = purged.as_slice() else {
            return Err(format!("{tab}: a purge has reset {purged:?}"));
        };
        if without(before, purged) != without(after, purged) {
            return Err(format!(
                "{tab}: a purge of {purged} has changed another scope"
            ));
        }
        if after.keys().any(|key| key.scope == **purged)
            || after
                .entries
                .iter()
                .any(|entry| entry.mutation.key.scope == **purged)
        {
            return Err(format!("{tab}: a purge of {purged} has left something"));
        }
        for entry in before.entries.iter() {
            let unsynced = entry.mutation.key.scope == **purged && !entry.is_acknowledged();
            if unsynced && after.revoked(entry.mutation.id).is_none() {
                return Err(format!(
                    "{tab}: a purge of {purged} has lost {}",
                    entry.mutation.id
                ));
            }
        }
        let reads = truth.reads.get(&(tab.device, (**purged).clone()));
        if reads.is_none_or(|reads| reads.refused_for() < CONFIRMED) {
            return Err(format!(
                "{tab}: {purged} was purged, and the server has refused only these reads: {reads:?}"
            ));
        }
        Ok(())
    }
}

/// What a database holds of all scopes but one.
fn without<'a>(
    held: &'a Snapshot,
    scope: &Scope,
) -> (Vec<&'a sync_core::store::RecordRow>, Vec<&'a Entry>) {
    let records = held.records.iter().filter(|row| row.key.scope != *scope);
    let entries = held
        .entries
        .iter()
        .filter(|entry| entry.mutation.key.scope != *scope);
    (records.collect(), entries.collect())
}
