//! Applying a page: pulled changes move bases, and the overlay is folded over them again.

use super::{
    confirm::{carries_later, leave, leave_drained, leave_up_to},
    rows::{Loaded, Stack, Work, Writes, check_fence},
    sweep::forget_gone_base,
};
use crate::{
    error::StoreError,
    model::{Account, Change, Epoch, MutationId, Page, RecordKey, Scope},
    ordered::OrderedSet,
    store::{
        Applied, ApplyOutcome, ApplyRequest, BaseRow, Conflict, EntryState, Resolution, ScopeRow,
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

/// Which stacks a page needs, beside those of its own records that have an overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplyNeeds {
    /// None.
    Page,
    /// Those with an acknowledged entry: the last page of a pull may let them go, and the first page that names an
    /// epoch shows whether the server still knows of them.
    Acknowledged,
    /// All of the scope that have an overlay: with the last page of a resync, a base that it did not bring is
    /// gone.
    Overlaid,
}

/// Which stacks of a scope a page needs, beside those of its own records that have an overlay.
#[must_use]
pub fn apply_needs(scope: Option<&ScopeRow>, page: &Page) -> ApplyNeeds {
    let first_epoch = scope.is_none_or(|scope| scope.epochs.is_empty()) && page.epoch.is_some();
    if page.has_more && first_epoch {
        ApplyNeeds::Acknowledged
    } else if page.has_more {
        ApplyNeeds::Page
    } else if scope.is_some_and(|scope| scope.resync.is_some()) {
        ApplyNeeds::Overlaid
    } else {
        ApplyNeeds::Acknowledged
    }
}

/// Plans a page.
///
/// Loaded must be the meta row, the scope's row, the stacks of those records in the page that have an overlay,
/// and the stacks that [`apply_needs`] names; more do no harm.
///
/// - A page of another generation, or asked with another cursor than the stored one, is void.
/// - A pulled change moves only the base. Acknowledged entries leave when a change of their record with at least
///   their version comes, or their own id, or when the scanned position of a drained pull is past them; where
///   the server has no versions, when a pull that began after they were settled has drained. One whose answer has
///   carried a later state of the record stays until that is reached, whatever its own id says.
/// - An own mutation in the page is settled by it, be it as the maker of a change or as overwritten by one, and
///   so are the record's entries before it: the server handles a record's mutations in order.
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
        && (!enter_epoch(&mut scope, epoch)
            || was_accepted_in_another(&work, &request.scope, epoch))
    {
        return Ok(Planned::Not(ApplyOutcome::OtherEpoch));
    }
    let mut applied = Applied::default();
    let before = ids(&work.now, &scope);
    let conflicts = overwritten(&work.now, &mut scope, request);
    for change in &request.page.changes {
        let key = RecordKey {
            scope: request.scope.clone(),
            entity_type: change.entity_type.clone(),
            entity_id: change.entity_id.clone(),
        };
        if let Some(stack) = work.now.stacks.get_mut(&key) {
            let account = work.now.meta.account.as_ref();
            rebase(
                stack,
                change,
                &scope,
                account,
                request,
                &mut applied.confirmed,
            );
        }
    }
    applied.conflicts = conflicts;
    work.conflicts.clone_from(&applied.conflicts);
    advance(&mut scope, request);
    if !request.page.has_more {
        if let Some(resync) = &mut scope.resync {
            resync.sweeping = true;
            applied.sweep = true;
        }
        for stack in work.now.stacks.values_mut() {
            forget_gone_base(stack, &scope);
            let stamped = &request.traits.stamped_fields;
            leave_drained(
                stack,
                &scope,
                request.began,
                stamped,
                &mut applied.confirmed,
            );
        }
    }
    if scope.told.is_none() {
        let after = ids(&work.now, &scope);
        let left = before.into_iter().filter(|id| !after.contains(id));
        scope.left_since.extend(left);
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

/// Whether a mutation was accepted in another epoch than the one that its scope is pulled in. Pulls tell a new epoch
/// from the one before; where there was none before, as in a scope that was only ever pushed to, this does.
fn was_accepted_in_another(work: &Work, scope: &Scope, epoch: &Epoch) -> bool {
    let stacks = work
        .now
        .stacks
        .iter()
        .filter(|(key, _)| key.scope == *scope);
    let mut entries = stacks.flat_map(|(_, stack)| stack.entries());
    let first = work.scope(scope).epochs.is_empty();
    first
        && entries.any(|entry| match &entry.state {
            EntryState::Acknowledged(ack) if !ack.lost => ack
                .version
                .as_ref()
                .is_some_and(|version| version.epoch != *epoch),
            _ => false,
        })
}

fn advance(scope: &mut ScopeRow, request: &ApplyRequest) {
    let page = &request.page;
    scope.cursor = Some(page.next.detached());
    scope.pulled = true;
    // An older page that was asked with the same cursor does not step back.
    scope.through = scope.through.max(page.through);
    if page.verdict_retention.is_some() {
        scope.verdict_retention = page.verdict_retention;
    }
    if !page.has_more {
        scope.drained = scope.drained.max(page.through);
        // Not before: a mark that is older than an earlier page may come with a later one, as its record was
        // changed again meanwhile.
        let through = scope.version_of(scope.drained, scope.generation);
        if scope.told.is_none() || scope.told < through {
            scope.told = through;
        }
        scope.told_since.clear();
        scope.left_since.clear();
        scope.synced_at = Some(request.now);
    }
}

/// Moves a base to a pulled change and lets go of the entries that the change contains.
fn rebase(
    stack: &mut Stack,
    change: &Change,
    scope: &ScopeRow,
    account: Option<&Account>,
    request: &ApplyRequest,
    confirmed: &mut Vec<MutationId>,
) {
    let stamped = &request.traits.stamped_fields;
    let same = match (stack.base_payload(), change.op.payload()) {
        (Some(before), Some(payload)) => before.same_json_except(payload, stamped),
        _ => false,
    };
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
            pending.over_own &= same;
        }
    }
    let overwritten = change
        .overwritten
        .iter()
        .filter(|mark| Some(&mark.account) == account)
        .map(|mark| mark.mutation_id);
    let version = scope.version_of(change.seq, scope.generation);
    for id in change.mutation_id.into_iter().chain(overwritten) {
        let at = stack.position(id);
        if let Some(own) = at.map(|at| &stack.entries()[at])
            && !carries_later(own, version.as_ref())
        {
            leave(stack, own.seq, stamped, confirmed);
        }
    }
    leave_up_to(stack, version.as_ref(), stamped, confirmed);
}

/// The mutations in the overlay, as far as it is loaded; none once that does not matter.
fn ids(now: &Loaded, scope: &ScopeRow) -> OrderedSet<MutationId> {
    let stacks = now.stacks.values().filter(|_| scope.told.is_none());
    let entries = stacks.flat_map(|stack| stack.entries());
    entries.map(|entry| entry.mutation.id).collect()
}

/// The own edits that changes of the page have overwritten, unless that was already told. A first sync tells only of
/// those that are in the overlay, or were when it began: other overwrites are older than this database.
fn overwritten(now: &Loaded, scope: &mut ScopeRow, request: &ApplyRequest) -> Vec<Conflict> {
    let told = scope.told.clone();
    let left = scope.left_since.clone();
    let is_of_this_database = |id| {
        let mut stacks = now.stacks.values();
        left.contains(&id) || stacks.any(|stack| stack.position(id).is_some())
    };
    let mut conflicts = Vec::new();
    for change in &request.page.changes {
        for mark in &change.overwritten {
            let new = match &told {
                Some(told) => scope
                    .version_of(Some(mark.by), scope.generation)
                    .is_some_and(|by| by > *told),
                None => is_of_this_database(mark.mutation_id),
            };
            let own = now.meta.account.as_ref() == Some(&mark.account);
            if new && own && scope.told_since.insert(mark.mutation_id) {
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
