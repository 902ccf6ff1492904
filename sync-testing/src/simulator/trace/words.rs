//! What a line says of a request, a verdict, a transaction or an event.

use std::fmt::Write;

use sync_core::{
    engine::Event,
    model::{Cursor, MutationId, Payload},
    store::Enqueued,
    transport::Verdict,
};

use crate::{
    StoreCall,
    simulator::{network::Asked, snapshot::Snapshot},
};

/// The end of an id, which tells it from the others of a history.
pub(super) fn short(id: MutationId) -> String {
    let text = id.to_string();
    text[text.len() - 6..].to_owned()
}

fn cursor(cursor: Option<&Cursor>) -> &str {
    cursor.map_or("the start", Cursor::as_str)
}

fn payload(payload: Option<&Payload>) -> &str {
    payload.map_or("nothing", Payload::as_str)
}

pub(super) fn enqueued(outcome: &Enqueued) -> String {
    match outcome {
        Enqueued::Queued(id) => short(*id),
        Enqueued::Cancelled => "cancelled".to_owned(),
    }
}

pub(super) fn asked(asked: &Asked) -> String {
    let request = match asked {
        Asked::Pull(request) => {
            let from = cursor(request.cursor.as_ref());
            return format!("pull {} from {from}", request.scope);
        }
        Asked::Push(request) => request,
    };
    let mut text = "push".to_owned();
    for sent in &request.mutations {
        let mutation = &sent.mutation;
        let (id, op, key) = (short(mutation.id), mutation.op.name(), &mutation.key);
        let _ = write!(text, " {id} {op} {key}");
        if let Some(payload) = mutation.op.payload() {
            let _ = write!(text, " {}", payload.as_str());
        }
        if let Some(base) = &mutation.base_version {
            let _ = write!(text, " over {base}");
        }
        if let Some(after) = mutation.after {
            let _ = write!(text, " after {}", short(after));
        }
        let _ = write!(text, " aged {} ms;", sent.age.as_millis());
    }
    text
}

pub(super) fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied { version, record } => {
            let mut text = "applied".to_owned();
            if let Some(version) = version {
                let _ = write!(text, " as {}", version.seq);
            }
            if let Some(merged) = record {
                let _ = write!(text, ", merged to {}", payload(merged.payload.as_ref()));
            }
            text
        }
        Verdict::Conflict { theirs } => {
            format!("conflict with {}", payload(theirs.payload.as_ref()))
        }
        Verdict::Rejected { reason } => format!("rejected: {reason}"),
        Verdict::Forbidden => "forbidden".to_owned(),
        Verdict::Retry { after, resync } => {
            let mut text = "retry".to_owned();
            if let Some(after) = after {
                let _ = write!(text, " in {after:?}");
            }
            if *resync {
                text.push_str(" after a resync");
            }
            text
        }
    }
}

/// What an event says, and whether it is about a pull alone.
pub(super) fn told(event: &Event) -> (String, bool) {
    let text = match event {
        Event::Synced { scope } => return (format!("{scope} is synced"), true),
        Event::Applied { mutations } => {
            let ids: Vec<String> = mutations.iter().copied().map(short).collect();
            format!("applied {}", ids.join(" "))
        }
        Event::Conflict {
            key,
            mutation_id,
            resolution,
        } => format!(
            "{} of {key} is in conflict: {resolution:?}",
            short(*mutation_id)
        ),
        Event::Failed {
            mutation_id,
            reason,
        } => format!("{} has failed: {reason:?}", short(*mutation_id)),
        Event::Revoked { scope, unsynced } => {
            format!("{scope} is revoked, with {unsynced} edits that were not sent")
        }
        Event::Resync { scope, new_epoch } => {
            let epoch = if *new_epoch { " in a new epoch" } else { "" };
            format!("{scope} is fetched anew{epoch}")
        }
        Event::Paused { reason } => format!("paused: {reason:?}"),
        other => format!("{other:?}"),
    };
    (text, false)
}

/// What a transaction has changed.
pub(super) fn difference(call: StoreCall, before: &Snapshot, after: &Snapshot) -> String {
    let mut text = String::new();
    for key in after.changed_since(before) {
        let _ = match after.record(key) {
            Some(row) => write!(text, " {key} = {} {:?};", row.payload.as_str(), row.marks),
            None => write!(text, " {key} gone;"),
        };
    }
    for entry in after.entries.iter() {
        let id = short(entry.mutation.id);
        let was = before.entry(entry.mutation.id);
        let _ = match was {
            None => write!(text, " {id} {:?};", entry.kind()),
            Some(was) if was.kind() != entry.kind() => write!(text, " {id} {:?};", entry.kind()),
            Some(was) if was.mutation.op != entry.mutation.op => {
                let written = payload(entry.mutation.op.payload());
                write!(text, " {id} takes a later edit in: {written};")
            }
            Some(was) if call == StoreCall::Take && was != entry => write!(text, " {id} sent;"),
            Some(_) => Ok(()),
        };
    }
    for (was, now) in after.still(before) {
        if now.is_none() {
            let _ = write!(text, " {} left;", short(was.mutation.id));
        }
    }
    for row in &after.scopes {
        let was = before.scope(&row.scope);
        if was.map(|was| (&was.cursor, was.generation, &was.resync))
            != Some((&row.cursor, row.generation, &row.resync))
        {
            let (scope, at) = (&row.scope, cursor(row.cursor.as_ref()));
            let resync = if row.resync.is_some() { ", resync" } else { "" };
            let generation = row.generation.0;
            let _ = write!(text, " {scope} at {at} (generation {generation}{resync});");
        }
    }
    for conflict in &after.conflicts {
        if before.conflict(conflict.mutation_id).is_none() {
            let id = short(conflict.mutation_id);
            let _ = write!(text, " {id} in conflict: {:?};", conflict.resolution);
        }
    }
    for revoked in &after.revoked {
        if before.revoked(revoked.mutation.id).is_none() {
            let _ = write!(text, " {} revoked;", short(revoked.mutation.id));
        }
    }
    text
}
