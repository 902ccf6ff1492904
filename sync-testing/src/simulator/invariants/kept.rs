//! A conflict is kept with both sides, and what a purge could not send is kept whole, until the app acknowledges it.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{MutationId, Payload, RecordKey},
    store::{Conflict, Entry, Resolution},
    transport::{ServerRecord, Verdict},
};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{
        merge::beside,
        plan::Reply,
        seen::{Seen, TabId},
        snapshot::Snapshot,
        truth::Truth,
    },
};

/// One side of a conflict; none is a delete.
type Side = Option<Payload>;

#[derive(Default)]
pub(crate) struct Kept {
    /// What each mutation wrote when it was sent last.
    written: BTreeMap<MutationId, Side>,
    /// What the server has made of edits of each record that it has merged.
    merged: BTreeMap<RecordKey, Vec<Side>>,
    /// What the server has shown in answers to mutations that lost.
    shown: BTreeMap<MutationId, Vec<ServerRecord>>,
}

/// How often an edit is put again at most, as the engine has it by default.
const AGAIN: u32 = 3;

impl Invariant for Kept {
    fn name(&self) -> &'static str {
        "both sides are kept"
    }

    fn guarantee(&self) -> &'static str {
        "guarantees 8 and 9: conflicts and revoked edits are kept until the app acknowledges them"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Decided { request, answer } => {
                for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
                    let id = sent.mutation.id;
                    let wrote = sent.mutation.op.payload().cloned();
                    self.written.insert(id, wrote);
                    match &answer.verdict {
                        Verdict::Conflict { theirs } => {
                            let shown = self.shown.entry(id).or_default();
                            shown.push(theirs.clone());
                        }
                        Verdict::Applied {
                            record: Some(merged),
                            ..
                        } => {
                            let made = self.merged.entry(sent.mutation.key.clone()).or_default();
                            made.push(merged.payload.clone());
                        }
                        _ => {}
                    }
                }
                Ok(())
            }
            Seen::Stored {
                tab,
                call,
                before,
                after,
            } => {
                self.conflicts(*tab, *call, before, after, truth)?;
                revoked(*tab, *call, before, after)
            }
            _ => Ok(()),
        }
    }
}

impl Kept {
    fn conflicts(
        &self,
        tab: TabId,
        call: StoreCall,
        before: &Snapshot,
        after: &Snapshot,
        truth: &Truth,
    ) -> Result<(), String> {
        if before.conflicts == after.conflicts {
            return Ok(());
        }
        let may_go = matches!(call, StoreCall::Acknowledge | StoreCall::Wipe);
        for conflict in &before.conflicts {
            match after.conflict(conflict.mutation_id) {
                None if !may_go => return Err(format!("{tab}: {call:?} has forgotten a conflict")),
                Some(now) if now != conflict => self.sides(tab, now)?,
                _ => {}
            }
        }
        let new = |conflict: &&Conflict| before.conflict(conflict.mutation_id).is_none();
        for conflict in after.conflicts.iter().filter(new) {
            self.sides(tab, conflict)?;
            self.put_again(tab, conflict, before, after, truth)?;
        }
        Ok(())
    }

    fn sides(&self, tab: TabId, conflict: &Conflict) -> Result<(), String> {
        let (id, key) = (conflict.mutation_id, &conflict.key);
        if let Some(mine) = self.written.get(&id) {
            // What was applied, and overwritten later, is named as the server had merged it.
            let merged = self.merged.get(key).into_iter().flatten();
            let merged = merged.filter(|_| conflict.resolution == Resolution::Overwritten);
            let mut sides = merged.chain([mine]);
            if !sides.any(|side| same(side, &conflict.mine)) {
                return Err(format!(
                    "{tab}: the conflict of {id} of {key} names {:?} as the own edit, which was {mine:?}",
                    conflict.mine
                ));
            }
        }
        // What has overwritten an edit that was applied comes with a pull.
        let shown = self.shown.get(&id).map_or(&[][..], Vec::as_slice);
        if conflict.resolution != Resolution::Overwritten
            && !shown
                .iter()
                .any(|theirs| same(&theirs.payload, &conflict.theirs))
        {
            return Err(format!(
                "{tab}: the conflict of {id} of {key} names {:?} as theirs; the server has shown {shown:?}",
                conflict.theirs
            ));
        }
        Ok(())
    }

    /// A conflict ends as the app wants it. What it says was put again is in the outbox, as a new mutation over theirs.
    fn put_again(
        &self,
        tab: TabId,
        conflict: &Conflict,
        before: &Snapshot,
        after: &Snapshot,
        truth: &Truth,
    ) -> Result<(), String> {
        if conflict.resolution == Resolution::Overwritten {
            return Ok(());
        }
        let (id, key) = (conflict.mutation_id, &conflict.key);
        let (wanted, payload) = wanted(truth.replies[tab.device], conflict);
        // Who has written on, or lost too often, has theirs.
        let may_give_up = before.entry(id).is_none_or(|lost| {
            let mut entries = before.entries_of(key);
            lost.again >= AGAIN || entries.any(|entry| entry.seq > lost.seq)
        });
        match conflict.resolution {
            Resolution::Theirs if may_give_up || wanted == Resolution::Theirs => return Ok(()),
            resolution if resolution == wanted => {}
            resolution => {
                return Err(format!(
                    "{tab}: the conflict of {id} of {key} has ended as {resolution:?}, and the app said {wanted:?}"
                ));
            }
        }
        let shown = self.shown.get(&id).map_or(&[][..], Vec::as_slice);
        let is_over_theirs = |entry: &Entry| {
            let mut theirs = shown
                .iter()
                .filter(|of| same(&of.payload, &conflict.theirs));
            theirs.any(|of| of.version == entry.mutation.base_version)
        };
        let mut new = after
            .entries_of(key)
            .filter(|entry| before.entry(entry.mutation.id).is_none());
        let is_there = new.any(|entry| {
            let wrote = entry.mutation.op.payload().cloned();
            same(&wrote, &payload) && is_over_theirs(entry)
        });
        if is_there {
            return Ok(());
        }
        Err(format!(
            "{tab}: {id} of {key} has lost and was put again over {shown:?}, says its conflict, and it was not"
        ))
    }
}

/// How an app wants a conflict to end, and what it writes then.
fn wanted(reply: Reply, conflict: &Conflict) -> (Resolution, Side) {
    match (reply, &conflict.mine, &conflict.theirs) {
        (Reply::Accepts, ..) => (Resolution::Theirs, None),
        (Reply::Merges, Some(mine), Some(theirs)) => match beside(mine, theirs) {
            Some(merged) => (Resolution::Merged, Some(merged)),
            None => (Resolution::Theirs, None),
        },
        (Reply::PutsItsOwnAgain | Reply::Merges, mine, _) => (Resolution::Mine, mine.clone()),
    }
}

fn revoked(tab: TabId, call: StoreCall, before: &Snapshot, after: &Snapshot) -> Result<(), String> {
    let may_go = matches!(call, StoreCall::Acknowledge | StoreCall::Wipe);
    for kept in &before.revoked {
        let id = kept.mutation.id;
        if !may_go && after.revoked(id) != Some(kept) {
            return Err(format!("{tab}: {call:?} has lost the copy of {id}"));
        }
    }
    let known: BTreeSet<MutationId> = before.revoked.iter().map(|kept| kept.mutation.id).collect();
    for kept in &after.revoked {
        let id = kept.mutation.id;
        let was = before.entry(id).map(|entry: &Entry| &entry.mutation);
        if !known.contains(&id) && was != Some(&kept.mutation) {
            return Err(format!("{tab}: {call:?} keeps another edit than {id} was"));
        }
    }
    Ok(())
}

fn same(one: &Side, other: &Side) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.same_json(other),
        (None, None) => true,
        _ => false,
    }
}
