//! Starting over: resync, sweep, purge and wipe.

use super::rows::{Loaded, Stack, Work, Writes, check_fence};
use crate::{
    error::{StoreError, StoreErrorKind},
    model::Scope,
    store::{BaseRow, Counts, Entry, EntryState, Fence, Pending, Resync, Revoked, ScopeRow},
    time::Timestamp,
};

/// Begins a resync. With a new epoch, loaded must hold the stacks with acknowledged entries: what the server had
/// applied goes back to the outbox, at its old place and marked as sent; what had lost a conflict stays until
/// the resync ends.
///
/// # Errors
/// `Fenced`.
pub fn resync(
    loaded: Loaded,
    scope: &Scope,
    new_epoch: bool,
    fence: Fence,
) -> Result<Writes, StoreError> {
    check_fence(&loaded.meta, fence)?;
    let mut work = Work::new(loaded);
    let mut row = work.scope(scope);
    // An epoch that an interrupted resync was waiting for, and has not seen, is still to come.
    let awaited = row.awaits_epoch();
    row.generation = row.generation.next();
    row.cursor = None;
    row.drained = None;
    if new_epoch {
        row.through = None;
        row.told = None;
        row.told_since.clear();
        row.left_since.clear();
    }
    row.resync = Some(Resync {
        new_epoch: new_epoch || awaited,
        ..Resync::default()
    });
    work.now.scopes.insert(scope.clone(), row);
    if new_epoch {
        for stack in work.now.stacks.values_mut() {
            for entry in stack.entries_mut() {
                back_to_the_outbox(entry);
            }
            stack.sort();
        }
    }
    Ok(work.finish())
}

fn back_to_the_outbox(entry: &mut Entry) {
    if let EntryState::Acknowledged(ack) = &entry.state
        && !ack.lost
    {
        entry.state = EntryState::Pending(Pending {
            sent_at: ack.sent_at,
            sends: 1,
            ..Pending::default()
        });
    }
}

/// Once a resync's pull has drained, a base that it did not bring is gone, swept out yet or not.
///
/// So no stack waits for the sweep, which may pass a record while something lies over it.
pub(super) fn forget_gone_base(stack: &mut Stack, scope: &ScopeRow) {
    let drained = scope.resync.as_ref().is_some_and(|resync| resync.sweeping);
    if drained && stack.base.generation < scope.generation {
        stack.base = BaseRow {
            payload: None,
            seq: None,
            generation: scope.generation,
        };
    }
}

/// Ends a sweep. Loaded must be the scope.
#[must_use]
pub fn sweep_end(loaded: Loaded, scope: &Scope) -> Writes {
    let mut work = Work::new(loaded);
    let mut row = work.scope(scope);
    row.resync = None;
    // No row of an older generation is left.
    if let Some(newest) = row.epochs.pop() {
        row.epochs = vec![newest];
    }
    work.now.scopes.insert(scope.clone(), row);
    work.finish()
}

/// The scope's row after a purge, to be stored in place of the old one, and what no pull has shown to be at the server.
/// Loaded must be the scope; `entries` are all of it, of which those are left out here that have lost a conflict, as it
/// keeps them. The store removes the scope's records, bases and entries.
///
/// What the server has said to have applied is kept, too: one that was restored may have forgotten it, with the access.
///
/// # Errors
/// `Fenced`.
pub fn purge(
    loaded: &Loaded,
    scope: &Scope,
    entries: Vec<Entry>,
    at: Timestamp,
    fence: Fence,
) -> Result<(ScopeRow, Vec<Revoked>), StoreError> {
    check_fence(&loaded.meta, fence)?;
    let generation = loaded
        .scopes
        .get(scope)
        .map_or(loaded.meta.first_generation, |row| row.generation);
    let revoked = entries
        .into_iter()
        .filter(|entry| !matches!(&entry.state, EntryState::Acknowledged(ack) if ack.lost))
        .map(|entry| Revoked {
            mutation: entry.mutation,
            at,
        })
        .collect();
    Ok((ScopeRow::new(scope.clone(), generation.next()), revoked))
}

/// Refuses a wipe while something would be lost.
///
/// # Errors
/// `Invalid`, with what it is.
pub fn may_wipe(
    counts: Counts,
    revoked: u64,
    conflicts: u64,
    force: bool,
) -> Result<(), StoreError> {
    let Counts {
        pending,
        failed,
        acknowledged,
    } = counts;
    if force || pending + failed + acknowledged + revoked + conflicts == 0 {
        return Ok(());
    }
    Err(StoreError::new(
        StoreErrorKind::Invalid,
        format!(
            "a wipe would lose {pending} pending, {failed} failed, {acknowledged} acknowledged and {revoked} \
             revoked mutations and {conflicts} conflicts; sync, discard or acknowledge them first, or force it"
        ),
    ))
}
