//! Applying a page: pulled changes move bases, and the overlay is folded over them again.

use super::{
    rows::{Loaded, Stack, Work, Writes, check_fence},
    settle::follow_own,
};
use crate::{
    error::StoreError,
    model::{Change, Epoch, MutationId, RecordKey, Version},
    store::{
        Acknowledged, Applied, ApplyOutcome, ApplyRequest, BaseRow, Conflict, Entry, EntryState,
        Meta, Resolution, ScopeRow, Tick,
    },
};

/// What to do with a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// Nothing, for this reason.
    Not(ApplyOutcome),
    /// Store each change of a record that was not loaded as the record itself (a put with no marks, or a
    /// removal), in the page's order; then the writes.
    Write {
        /// The rows of the records that have an overlay, and of the scope.
        writes: Box<Writes>,
        /// What to return; `touched` has only what the writes touch.
        applied: Applied,
    },
}

/// Plans a page.
///
/// Loaded must be the meta row, the scope's row and the stacks of those records in the page that have an
/// overlay; with the last page (no more after it), of every record of the scope that has one.
///
/// - A page of another generation, or asked with another cursor than the stored one, is void.
/// - A pulled change moves only the base. Acknowledged entries leave when a change of their record with at least
///   their version comes, or their own id, or when the scanned position of a drained pull is past them; where
///   the server has no versions, when a pull that began after they were settled has drained.
/// - An own mutation in the page is settled by it, and so are the record's entries before it: the server handles
///   a record's mutations in order.
///
/// # Errors
/// `Fenced`.
pub fn apply(loaded: Loaded, request: &ApplyRequest) -> Result<Planned, StoreError> {
    check_fence(&loaded.meta, request.fence)?;
    let mut work = Work::new(loaded);
    let mut scope = work.scope(&request.scope);
    if scope.generation != request.generation || scope.cursor != request.from {
        return Ok(Planned::Not(ApplyOutcome::Stale));
    }
    if let Some(epoch) = &request.page.epoch
        && !enter_epoch(&mut scope, epoch)
    {
        return Ok(Planned::Not(ApplyOutcome::OtherEpoch));
    }
    let mut applied = Applied::default();
    for change in &request.page.changes {
        let key = RecordKey {
            scope: request.scope.clone(),
            entity_type: change.entity_type.clone(),
            entity_id: change.entity_id.clone(),
        };
        if let Some(stack) = work.now.stacks.get_mut(&key) {
            rebase(stack, change, &scope, request, &mut applied.confirmed);
        }
    }
    applied.conflicts = overwritten(&work.now.meta, &scope, request);
    work.conflicts.clone_from(&applied.conflicts);
    advance(&mut scope, request);
    if !request.page.has_more {
        if let Some(resync) = &mut scope.resync {
            // What answers carried stays until the sweep has removed what the server no longer has.
            resync.sweeping = Some(request.began);
            applied.sweep = true;
        } else {
            for stack in work.now.stacks.values_mut() {
                confirm_drained(stack, &scope, request.began, &request.traits.stamped_fields);
            }
        }
    }
    work.now.scopes.insert(request.scope.clone(), scope);
    let writes = work.finish();
    applied.touched = writes.touched.clone();
    Ok(Planned::Write {
        writes: Box::new(writes),
        applied,
    })
}

/// Takes note of the page's epoch; false if it is another than the scope's.
fn enter_epoch(scope: &mut ScopeRow, epoch: &Epoch) -> bool {
    let generation = scope.generation;
    if scope.epoch() == Some(epoch) {
        return true;
    }
    let settled = scope.epochs.last().is_some_and(|(g, _)| *g == generation);
    let expected =
        scope.epochs.is_empty() || scope.resync.as_ref().is_some_and(|resync| resync.new_epoch);
    if settled || !expected || scope.cursor.is_some() {
        return false;
    }
    scope.epochs.push((generation, epoch.clone()));
    true
}

fn advance(scope: &mut ScopeRow, request: &ApplyRequest) {
    let page = &request.page;
    scope.cursor = Some(page.next.detached());
    scope.pulled = true;
    if page.through.is_some() {
        scope.through = page.through;
    }
    // A first sync has nothing to tell: its overwrites are older than this database.
    if scope.told.is_some() || !page.has_more {
        let through = scope.version_of(scope.through, scope.generation);
        if scope.told.is_none() || scope.told < through {
            scope.told = through;
        }
    }
    if page.verdict_retention.is_some() {
        scope.verdict_retention = page.verdict_retention;
    }
    if !page.has_more {
        scope.drained = scope.through;
        scope.synced_at = Some(request.now);
    }
}

/// Moves a base to a pulled change and lets go of the entries that the change contains.
fn rebase(
    stack: &mut Stack,
    change: &Change,
    scope: &ScopeRow,
    request: &ApplyRequest,
    confirmed: &mut Vec<MutationId>,
) {
    stack.base = BaseRow {
        payload: change
            .op
            .payload()
            .map(|payload| (payload.detached(), change.schema)),
        seq: change.seq,
        generation: scope.generation,
    };
    for entry in stack.entries_mut() {
        if let EntryState::Pending(pending) = &mut entry.state {
            pending.echoed |= pending.sent_at.is_some();
        }
    }
    if let Some(at) = change.mutation_id.and_then(|id| stack.position(id)) {
        let own = stack.entries_mut().remove(at);
        // The server handles a record's mutations in order, so it has decided those before this one too.
        let before = |e: &Entry| {
            e.seq < own.seq && (e.is_acknowledged() || (e.is_pending() && !own.is_failed()))
        };
        let gone: Vec<Entry> = stack.entries_mut().extract_if(.., |e| before(e)).collect();
        confirmed.extend(
            gone.iter()
                .chain([&own])
                .filter(|e| !e.is_acknowledged())
                .map(|e| e.mutation.id),
        );
        follow_own(stack, &own, &request.traits.stamped_fields);
    }
    let version = scope.version_of(change.seq, scope.generation);
    let contained = stack
        .entries()
        .iter()
        .rposition(|e| shown_version(e).is_some_and(|shown| Some(shown) <= version.as_ref()));
    if let Some(last) = contained {
        let gone: Vec<Entry> = stack.entries_mut().drain(..=last).collect();
        for entry in gone {
            follow_own(stack, &entry, &request.traits.stamped_fields);
        }
    }
}

/// The version at which an acknowledged entry is contained in a change of its record.
fn shown_version(entry: &Entry) -> Option<&Version> {
    let EntryState::Acknowledged(ack) = &entry.state else {
        return None;
    };
    let carried = ack.carried.as_ref().and_then(|c| c.version.as_ref());
    carried.or(ack.version.as_ref())
}

/// Lets go of the acknowledged entries that a drained pull has passed.
pub(super) fn confirm_drained(
    stack: &mut Stack,
    scope: &ScopeRow,
    began: Tick,
    stamped: &[String],
) {
    let through = scope.version_of(scope.through, scope.generation);
    let passed = |entry: &Entry, ack: &Acknowledged| match (shown_version(entry), &through) {
        (Some(shown), Some(through)) if shown.epoch == through.epoch => shown <= through,
        _ => ack.tick <= began,
    };
    let gone: Vec<Entry> = stack
        .entries_mut()
        .extract_if(.., |entry| match &entry.state {
            EntryState::Acknowledged(ack) => passed(entry, ack),
            _ => false,
        })
        .collect();
    for entry in gone {
        follow_own(stack, &entry, stamped);
    }
}

/// The own edits that changes of the page have overwritten, unless that was already told.
fn overwritten(meta: &Meta, scope: &ScopeRow, request: &ApplyRequest) -> Vec<Conflict> {
    let Some(told) = &scope.told else {
        return Vec::new();
    };
    let mut conflicts = Vec::new();
    for change in &request.page.changes {
        for mark in &change.overwritten {
            let new = scope
                .version_of(Some(mark.by), scope.generation)
                .is_some_and(|by| by > *told);
            if new && meta.account.as_ref() == Some(&mark.account) {
                conflicts.push(Conflict {
                    mutation_id: mark.mutation_id,
                    key: RecordKey {
                        scope: request.scope.detached(),
                        entity_type: change.entity_type.detached(),
                        entity_id: change.entity_id.detached(),
                    },
                    mine: mark.payload.as_ref().map(|p| p.detached()),
                    theirs: change.op.payload().map(|p| p.detached()),
                    base: None,
                    resolution: Resolution::Overwritten,
                    at: request.now,
                });
            }
        }
    }
    conflicts
}
