//! A scope's cursor never stands beyond the records that it stands for.

use sync_core::model::Scope;

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{
        seen::{Seen, TabId},
        snapshot::Snapshot,
        truth::Truth,
    },
};

pub(crate) struct Cursor;

impl Invariant for Cursor {
    fn name(&self) -> &'static str {
        "cursor not ahead of the data"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 6: records and cursor move together, and only a pull moves them"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        let Seen::Stored {
            tab,
            call,
            before,
            after,
        } = seen
        else {
            return Ok(());
        };
        for row in &after.scopes {
            let scope = &row.scope;
            let was = before.scope(scope);
            if was.and_then(|was| was.cursor.as_ref()) == row.cursor.as_ref() {
                continue;
            }
            match call {
                StoreCall::Apply => holds_what_was_scanned(*tab, scope, after, truth)?,
                StoreCall::Resync | StoreCall::Purge | StoreCall::Wipe if row.cursor.is_none() => {}
                other => return Err(format!("{tab}: {other:?} has moved the cursor of {scope}")),
            }
        }
        Ok(())
    }
}

/// Every record whose newest change lies within what was scanned is there as the server holds it.
fn holds_what_was_scanned(
    tab: TabId,
    scope: &Scope,
    held: &Snapshot,
    truth: &Truth,
) -> Result<(), String> {
    let (Some(row), Some(server)) = (held.scope(scope), truth.server.scopes.get(scope)) else {
        return Ok(());
    };
    // A page that was read before a restore may be applied after it: it is of another history.
    let Some(through) = row.through.filter(|_| row.epoch() == server.epoch.as_ref()) else {
        return Ok(());
    };
    for (key, (seq, payload)) in &server.records {
        let scanned = *seq <= through;
        // What lies in the overlay hides the base, and beside a resync older records may still be there.
        let hidden = held.entries_of(key).next().is_some();
        if !scanned || hidden || (payload.is_none() && row.resync.is_some()) {
            continue;
        }
        let shown = held.record(key).map(|row| &row.payload);
        let same = match (shown, payload) {
            (Some(shown), Some(payload)) => shown.same_json(payload),
            (None, None) => true,
            _ => false,
        };
        // What the server has committed is known from outside only once it has answered.
        let newer = |shown| server.number_of(key, shown).is_none();
        if !same && !shown.is_some_and(newer) {
            return Err(format!(
                "{tab} has scanned {scope} through {through}, and does not hold change {seq} of {key}"
            ));
        }
    }
    Ok(())
}
