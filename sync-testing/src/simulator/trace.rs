//! A history as a timeline that people can read.

use std::fmt::Write;

use sync_core::{store::Entry, time::Time, transport::Verdict};

use super::{network::Asked, seen::Seen, snapshot::Snapshot};
use crate::StoreCall;

#[derive(Debug, Default)]
pub(crate) struct Trace {
    text: String,
}

impl Trace {
    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn see(&mut self, now: Time, seen: &Seen<'_>) {
        let line = match seen {
            Seen::Step(step) => format!("{step}"),
            Seen::Enqueued {
                tab,
                keys,
                outcomes,
            } => format!("   {tab} enqueued {keys:?}: {outcomes:?}"),
            Seen::Stored {
                tab,
                call,
                before,
                after,
            } => {
                if before == after {
                    return;
                }
                format!("   {tab} {call:?}: {}", difference(*call, before, after))
            }
            Seen::Sent {
                tab,
                request,
                asked,
            } => format!("   {tab} -> #{request} {}", asked_text(asked)),
            Seen::Refused {
                tab, request, kind, ..
            } => format!("   {tab} <- #{request} {kind:?}"),
            Seen::Over { tab, request } => format!("   {tab} <- #{request} over"),
            Seen::Read {
                device,
                scope,
                page,
                ..
            } => {
                let word = if page.is_some() {
                    "reads"
                } else {
                    "may not read"
                };
                format!("   server: device {device} {word} {scope}")
            }
            Seen::Decided { request, answer } => {
                let mut text = format!("   server decides for {}:", request.account);
                for answer in &answer.answers {
                    let _ = write!(
                        text,
                        " {} {};",
                        short(&answer.id),
                        verdict_text(&answer.verdict)
                    );
                }
                text
            }
            Seen::Told { tab, event } => format!("   {tab} tells {event:?}"),
            Seen::Bound { device, account } => format!("   device {device} is {account}'s"),
            Seen::Granted {
                scope,
                account,
                role,
            } => format!("   server: {account} has {role:?} in {scope}"),
            Seen::Froze { tab, until } => {
                format!("   {tab} is frozen until {} ms", until.as_millis())
            }
            Seen::BackedUp => "   server: backed up".to_owned(),
            Seen::Restored => "   server: restored".to_owned(),
            Seen::Arrived { .. } | Seen::Looked { .. } => return,
            Seen::Flushed { .. } => "all apps are shown again".to_owned(),
            Seen::Healed => "the faults stop".to_owned(),
            Seen::End { .. } => "the end".to_owned(),
        };
        let _ = writeln!(self.text, "{:>9} {line}", now.as_millis());
    }
}

fn short(id: &sync_core::model::MutationId) -> String {
    let text = id.to_string();
    text[text.len() - 6..].to_owned()
}

fn asked_text(asked: &Asked) -> String {
    match asked {
        Asked::Pull(request) => {
            let from = request
                .cursor
                .as_ref()
                .map_or("the start", |cursor| cursor.as_str());
            format!("pull {} from {from}", request.scope)
        }
        Asked::Push(request) => {
            let mut text = "push".to_owned();
            for sent in &request.mutations {
                let mutation = &sent.mutation;
                let payload = mutation.op.payload().map_or("", |payload| payload.as_str());
                let (id, op, key) = (short(&mutation.id), mutation.op.name(), &mutation.key);
                let _ = write!(text, " {id} {op} {key} {payload};");
            }
            text
        }
    }
}

fn verdict_text(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Applied { version, .. } => match version {
            Some(version) => format!("applied as {}", version.seq),
            None => "applied".to_owned(),
        },
        Verdict::Conflict { theirs } => {
            let theirs = theirs
                .payload
                .as_ref()
                .map_or("deleted", |payload| payload.as_str());
            format!("conflict with {theirs}")
        }
        Verdict::Rejected { reason } => format!("rejected: {reason}"),
        Verdict::Forbidden => "forbidden".to_owned(),
        Verdict::Retry { resync, .. } => {
            format!("retry{}", if *resync { " after a resync" } else { "" })
        }
    }
}

/// What a transaction has changed.
fn difference(call: StoreCall, before: &Snapshot, after: &Snapshot) -> String {
    let mut text = String::new();
    for row in after.records.iter() {
        let key = &row.key;
        if before.record(key) != Some(row) {
            let _ = write!(text, " {key} = {} {:?};", row.payload.as_str(), row.marks);
        }
    }
    for key in before.keys().filter(|key| after.record(key).is_none()) {
        let _ = write!(text, " {key} gone;");
    }
    let state = |entry: &Entry| format!("{} {:?}", short(&entry.mutation.id), entry.kind());
    for entry in after.entries.iter() {
        let was = before.entry(entry.mutation.id);
        if was.map(Entry::kind) != Some(entry.kind()) {
            let _ = write!(text, " {};", state(entry));
        } else if call == StoreCall::Take && was != Some(entry) {
            let _ = write!(text, " {} sent;", short(&entry.mutation.id));
        }
    }
    for entry in before.entries.iter() {
        if after.entry(entry.mutation.id).is_none() {
            let _ = write!(text, " {} left;", short(&entry.mutation.id));
        }
    }
    for row in &after.scopes {
        let scope = &row.scope;
        let was = before.scope(scope);
        if was.map(|was| (&was.cursor, was.generation, &was.resync))
            != Some((&row.cursor, row.generation, &row.resync))
        {
            let cursor = row
                .cursor
                .as_ref()
                .map_or("the start", |cursor| cursor.as_str());
            let resync = if row.resync.is_some() { ", resync" } else { "" };
            let _ = write!(
                text,
                " {scope} at {cursor} (generation {}{resync});",
                row.generation.0
            );
        }
    }
    if before.conflicts.len() < after.conflicts.len() {
        text.push_str(" conflict recorded;");
    }
    text
}
