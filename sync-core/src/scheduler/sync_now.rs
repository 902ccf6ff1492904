//! Manual syncs, and what else waits for the first round of a flush.

use super::{Action, Context, FlushEnd, NoAttempt, SyncEnd, SyncReport, Ticket};
use crate::{
    model::Scope,
    ordered::{OrderedMap, OrderedSet},
    time::Time,
};

/// Pulls that follow a flush.
#[derive(Debug)]
pub(super) struct AfterFlush {
    /// The flush's first round has this ticket or a later one.
    pub(super) round: Ticket,
    /// They wait no longer than this.
    pub(super) by: Time,
    /// What to pull.
    pub(super) scopes: Vec<Scope>,
    /// The manual sync that they are for, if any.
    pub(super) sync: Option<u64>,
}

/// A manual sync under way.
#[derive(Debug)]
struct Sync {
    id: u64,
    flush: Option<FlushEnd>,
    /// Pulls with this ticket or a later one count.
    since: Ticket,
    waiting: OrderedSet<Scope>,
    done: OrderedMap<Scope, SyncEnd>,
}

/// All that waits for flushes and pulls.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    waits: Vec<AfterFlush>,
    syncs: Vec<Sync>,
}

impl Sync {
    fn report(self, cx: &mut Context, flush: FlushEnd) {
        cx.actions.push_back(Action::Report(SyncReport {
            id: self.id,
            flush: self.flush.unwrap_or(flush),
            scopes: self.done,
        }));
    }
}

impl Syncs {
    /// Lets pulls wait for a flush.
    pub(super) fn wait(&mut self, wait: AfterFlush) {
        if let Some(id) = wait.sync {
            self.syncs.push(Sync {
                id,
                flush: None,
                since: wait.round,
                waiting: wait.scopes.iter().cloned().collect(),
                done: OrderedMap::new(),
            });
        }
        self.waits.push(wait);
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waits.is_empty() && self.syncs.is_empty()
    }

    /// When the first wait ends at the latest.
    pub(super) fn next(&self) -> Option<Time> {
        self.waits.iter().map(|wait| wait.by).min()
    }

    /// A round has ended: what has waited for it is released.
    pub(super) fn round_ended(
        &mut self,
        ticket: Ticket,
        end: FlushEnd,
        cx: &Context,
    ) -> Vec<AfterFlush> {
        self.release(end, cx, |wait| ticket >= wait.round)
    }

    /// Releases what has waited long enough, or for a flush that does not begin before `flush_at`.
    pub(super) fn overdue(&mut self, flush_at: Option<Time>, cx: &Context) -> Vec<AfterFlush> {
        if self.waits.is_empty() {
            return Vec::new();
        }
        self.release(FlushEnd::Unfinished, cx, |wait| {
            wait.by <= cx.now || flush_at.is_none_or(|at| at > wait.by)
        })
    }

    fn release(
        &mut self,
        end: FlushEnd,
        cx: &Context,
        which: impl Fn(&AfterFlush) -> bool,
    ) -> Vec<AfterFlush> {
        let released: Vec<_> = self.waits.extract_if(.., |wait| which(wait)).collect();
        for sync in &mut self.syncs {
            if released.iter().any(|wait| wait.sync == Some(sync.id)) && sync.flush.is_none() {
                sync.flush = Some(end);
                sync.since = cx.next_ticket;
            }
        }
        released
    }

    /// A pull has ended; without a ticket, it is not going to be attempted.
    pub(super) fn pulled(&mut self, scope: &Scope, ticket: Option<Ticket>, end: SyncEnd) {
        for sync in &mut self.syncs {
            let counts = sync.flush.is_some() && ticket.is_none_or(|ticket| ticket >= sync.since);
            if counts && let Some(scope) = sync.waiting.take(scope) {
                sync.done.insert(scope, end);
            }
        }
    }

    /// Reports the syncs that have all they wait for.
    pub(super) fn report(&mut self, cx: &mut Context) {
        if self.syncs.is_empty() {
            return;
        }
        let over = |sync: &mut Sync| sync.waiting.is_empty() && sync.flush.is_some();
        for sync in self.syncs.extract_if(.., over) {
            sync.report(cx, FlushEnd::Unfinished);
        }
    }

    /// Nothing is attempted any more: everything that waits is over.
    pub(super) fn abandon(&mut self, why: NoAttempt, cx: &mut Context) {
        self.waits.clear();
        for mut sync in self.syncs.drain(..) {
            let rest = std::mem::take(&mut sync.waiting).into_iter();
            sync.done
                .extend(rest.map(|scope| (scope, SyncEnd::NotAttempted(why))));
            sync.report(cx, FlushEnd::NotAttempted(why));
        }
    }

    /// Answers a manual sync that cannot begin.
    pub(super) fn decline(id: u64, scopes: Vec<Scope>, why: NoAttempt, cx: &mut Context) {
        let ends = scopes
            .into_iter()
            .map(|scope| (scope, SyncEnd::NotAttempted(why)));
        cx.actions.push_back(Action::Report(SyncReport {
            id,
            flush: FlushEnd::NotAttempted(why),
            scopes: ends.collect(),
        }));
    }
}
