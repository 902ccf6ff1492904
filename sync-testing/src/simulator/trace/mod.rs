//! A history as a timeline that people can read.

mod words;

use std::fmt::Write;

use sync_core::time::Time;

use self::words::{asked, difference, short, told, verdict};
use super::{
    network::Asked,
    seen::{Seen, Violation},
};

/// So many lines in a row about pulls that bring nothing are told as one.
const DULL: usize = 4;

#[derive(Debug, Default)]
pub(crate) struct Trace {
    lines: Vec<Line>,
}

#[derive(Debug)]
struct Line {
    at: Time,
    text: String,
    /// Whether it is about a pull that brings nothing.
    dull: bool,
}

impl Trace {
    /// The timeline: runs of pulls that bring nothing are one line.
    pub(crate) fn into_text(self) -> String {
        let mut text = String::new();
        for run in self.lines.chunk_by(|one, next| one.dull == next.dull) {
            if let [first, .., last] = run
                && first.dull
                && run.len() >= DULL
            {
                let (at, until) = (first.at.as_millis(), last.at.as_millis());
                let lines = run.len();
                let _ = writeln!(
                    text,
                    "{at:>9}    ... {lines} lines about pulls that bring nothing, until {until}"
                );
                continue;
            }
            for Line { at, text: line, .. } in run {
                let _ = writeln!(text, "{:>9} {line}", at.as_millis());
            }
        }
        text
    }

    /// Tells what does not hold, where it came out.
    pub(crate) fn violated(&mut self, at: Time, violation: &Violation) {
        let Violation {
            invariant, what, ..
        } = violation;
        self.line(at, format!("!! {invariant}: {what}"), false);
    }

    pub(crate) fn see(&mut self, at: Time, seen: &Seen<'_>) {
        let mut dull = false;
        let line = match seen {
            Seen::Step(step) => step.to_string(),
            Seen::Enqueued {
                tab,
                keys,
                outcomes,
            } => {
                let mut text = format!("   {tab} has enqueued");
                for (key, outcome) in keys.iter().zip(*outcomes) {
                    let _ = write!(text, " {key}: {};", words::enqueued(outcome));
                }
                text
            }
            Seen::Stored {
                tab,
                call,
                before,
                after,
            } => {
                let changed = difference(*call, before, after);
                if changed.is_empty() {
                    return;
                }
                format!("   {tab} {call:?}:{changed}")
            }
            Seen::Sent {
                tab,
                request,
                asked: what,
            } => {
                dull = matches!(what, Asked::Pull(_));
                format!("   {tab} -> #{request} {}", asked(what))
            }
            Seen::Refused {
                tab, request, kind, ..
            } => format!("   {tab} <- #{request} {kind:?}"),
            Seen::Over { tab, request } => {
                dull = true;
                format!("   {tab} <- #{request} over")
            }
            Seen::Read {
                device,
                scope,
                page: Some(page),
                ..
            } => {
                dull = page.changes.is_empty() && !page.has_more;
                let (changes, next) = (page.changes.len(), page.next.as_str());
                let more = if page.has_more { ", and more" } else { "" };
                format!(
                    "   server: device {device} reads {scope}: {changes} changes up to {next}{more}"
                )
            }
            Seen::Read { device, scope, .. } => {
                format!("   server: device {device} may not read {scope}")
            }
            Seen::Decided { request, answer } => {
                let mut text = format!("   server decides for {}:", request.account);
                for answer in &answer.answers {
                    let _ = write!(text, " {} {};", short(answer.id), verdict(&answer.verdict));
                }
                text
            }
            Seen::Told { tab, event } => {
                let (text, of_a_pull) = told(event);
                dull = of_a_pull;
                format!("   {tab} tells: {text}")
            }
            Seen::Bound { device, account } => format!("   device {device} is {account}'s"),
            Seen::Granted {
                scope,
                account,
                role,
            } => match role {
                Some(role) => format!("   server: {account} is {role:?} of {scope}"),
                None => format!("   server: {account} has no access to {scope}"),
            },
            Seen::Froze { tab, until } => {
                format!("   {tab} is frozen until {}", until.as_millis())
            }
            Seen::BackedUp => "   server: backed up".to_owned(),
            Seen::Restored => "   server: restored".to_owned(),
            Seen::Arrived { .. } | Seen::Looked { .. } => return,
            Seen::Flushed { .. } => "all apps are shown again".to_owned(),
            Seen::Healed => "the faults stop".to_owned(),
            Seen::End { .. } => "the end".to_owned(),
        };
        self.line(at, line, dull);
    }

    fn line(&mut self, at: Time, text: String, dull: bool) {
        self.lines.push(Line { at, text, dull });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(trace: &mut Trace, at: u64, dull: bool) {
        trace.line(Time::from_millis(at), format!("line {at}"), dull);
    }

    #[test]
    fn pulls_that_bring_nothing_are_one_line_where_there_are_many_of_them() {
        let mut trace = Trace::default();
        for (at, dull) in [(1, false), (2, true), (3, true), (4, false)] {
            line(&mut trace, at, dull);
        }
        for at in 5..=20 {
            line(&mut trace, at, true);
        }
        line(&mut trace, 21, false);
        let text = trace.into_text();
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        assert_eq!(
            lines,
            [
                "1 line 1",
                "2 line 2",
                "3 line 3",
                "4 line 4",
                "5    ... 16 lines about pulls that bring nothing, until 20",
                "21 line 21",
            ]
        );
    }
}
