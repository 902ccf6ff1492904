//! What comes in: commands of handles, notices of other engines, time.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::{FutureExt, channel::oneshot};

use super::{super::shared::Command, Driver, Ended, work::is_anothers};
use crate::{
    coordination::{Notice, Standing},
    model::Scope,
    scheduler::{self, SyncReport},
    store::{Edit, EnqueueRequest, Touched},
};

/// How often an engine that does not lead repeats which scopes it wants, and that it is visible.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);
/// How long the leader keeps a scope active for another engine that has announced it, and polls though it is hidden.
const ANNOUNCED_FOR: Duration = Duration::from_secs(30);

impl Driver {
    /// Handles the commands and notices that wait, so that what was asked before is not overlooked when all seems
    /// done.
    pub(super) fn take_in(&mut self) {
        while self.stopping.is_none()
            && let Ok(command) = self.commands.try_recv()
        {
            self.command(Some(command));
        }
        while let Some(notice) = self.notices.next().now_or_never() {
            self.notice(notice);
        }
    }

    pub(super) fn command(&mut self, command: Option<Command>) {
        match command {
            None => self.stop(None),
            Some(Command::Shutdown(reply)) => self.stop(Some(reply)),
            Some(Command::Activate(scope)) => {
                let count = self.active.get_or_default(scope.clone());
                *count += 1;
                if *count == 1 && !self.announced.contains_key(&scope) {
                    self.feed(scheduler::Event::Activated(scope));
                }
                self.announce_at = self.now();
            }
            Some(Command::Deactivate(scope)) => {
                if let Some(count) = self.active.get_mut(&scope) {
                    *count -= 1;
                    if *count == 0 {
                        self.active.remove(&scope);
                        if !self.announced.contains_key(&scope) {
                            self.feed(scheduler::Event::Deactivated(scope));
                        }
                    }
                }
            }
            Some(Command::Enqueued) => self.feed(scheduler::Event::Enqueued),
            Some(Command::Recheck(touched)) => self.recheck(touched),
            Some(Command::Visible(visible)) => {
                self.work.shared.hub.update(|r| r.visible = visible);
                self.visible = visible;
                self.announce_at = self.now();
                self.feed_visible();
            }
            Some(Command::Online(online)) => {
                self.work.shared.hub.update(|r| r.online = online);
                self.feed(scheduler::Event::Online(online));
            }
            Some(Command::Poke(scope)) => self.feed(scheduler::Event::Poked(scope)),
            Some(Command::SyncNow(scopes, reply)) if self.knows_who_leads() => {
                self.sync_now(scopes, reply);
            }
            Some(Command::SyncNow(scopes, reply)) => self.early.push((scopes, reply)),
            Some(Command::Resume) => {
                let shared = &self.work.shared;
                shared.peers.send(shared.peer, &Notice::Resumed);
                self.feed(scheduler::Event::Resumed);
            }
            Some(Command::Idle(reply)) => self.idle.push(reply),
        }
    }

    /// Tells of what calls may have done that were dropped on the way: these views, or any, if it names none.
    pub(super) fn recheck(&self, touched: Touched) {
        let shared = Arc::clone(&self.work.shared);
        self.spawn(async move {
            // Stores work in order: when an enqueue of nothing is through, so is the abandoned call.
            let nothing: Vec<Edit> = Vec::new();
            let request = EnqueueRequest {
                account: shared.account.clone(),
                stamp: shared.stamp(),
                edits: nothing,
            };
            let enqueued = shared.store.enqueue(request).await;
            if enqueued.is_err_and(|error| is_anothers(&error)) {
                shared.wiped.store(true, Ordering::Relaxed);
            }
            Ended::Rechecked(touched)
        });
    }

    pub(super) fn sync_now(&mut self, scopes: Vec<Scope>, reply: oneshot::Sender<SyncReport>) {
        if !self.leads() {
            let peers = &self.work.shared.peers;
            peers.send(self.work.shared.peer, &Notice::SyncWanted(scopes.clone()));
        }
        let id = self.next_report;
        self.next_report += 1;
        self.reports.insert(id, reply);
        self.feed(scheduler::Event::SyncNow { id, scopes });
    }

    /// Whether this engine leads, or another one is taken to, or the lead cannot be had now.
    pub(super) fn knows_who_leads(&self) -> bool {
        self.leads() || self.follows() || self.lead_again_at.is_some()
    }

    pub(super) fn begin_early_syncs(&mut self) {
        if self.knows_who_leads() {
            for (scopes, reply) in std::mem::take(&mut self.early) {
                self.sync_now(scopes, reply);
            }
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        let shared = &self.work.shared;
        match notice {
            Notice::Touched(views) => {
                let types = |(scope, types): (Scope, Vec<_>)| (scope, types.into_iter().collect());
                let touched = Touched(views.into_iter().map(types).collect());
                shared.hub.touched(&touched);
            }
            Notice::Changed => {
                shared.hub.all_touched();
                self.feed(scheduler::Event::Enqueued);
            }
            Notice::Enqueued => self.feed(scheduler::Event::Enqueued),
            Notice::Active(scopes) => {
                if self.leads() {
                    // Whoever announces itself may be new, and is told what is out of the ordinary.
                    self.said = Standing::default();
                }
                let until = self.now() + ANNOUNCED_FOR;
                for scope in scopes {
                    let known = self.announced.insert(scope.clone(), until).is_some();
                    if !known && !self.active.contains_key(&scope) {
                        self.feed(scheduler::Event::Activated(scope));
                    }
                }
            }
            Notice::Seen => {
                self.seen_until = Some(self.now() + ANNOUNCED_FOR);
                self.feed_visible();
            }
            Notice::SyncWanted(scopes) => {
                let id = self.next_report;
                self.next_report += 1;
                self.feed(scheduler::Event::SyncNow { id, scopes });
            }
            // Of which account it is by now is looked at, as the notice may be late.
            Notice::Wiped => self.recheck(Touched::default()),
            Notice::Resumed => self.feed(scheduler::Event::Resumed),
            Notice::Leads(standing) if !self.leads() => {
                shared
                    .hub
                    .update(|runtime| runtime.last_error.clone_from(&standing.last_error));
                self.said = standing;
            }
            // It is late: this engine leads by now.
            Notice::Leads(_) => {}
            Notice::Happened(event) => {
                shared.hub.emit(event);
                shared.hub.status_changed();
            }
        }
    }

    /// One user sees one of the engines, or nobody sees any: a leader that is hidden polls for the others.
    fn feed_visible(&mut self) {
        let visible = self.visible || self.seen_until.is_some();
        self.feed(scheduler::Event::Visible(visible));
    }

    pub(super) fn timer(&mut self) {
        let now = self.now();
        if self.lead_again_at.is_some_and(|at| at <= now) {
            self.lead_again_at = None;
        }
        let mut forgotten = Vec::new();
        self.announced.retain(|scope, until| {
            let kept = *until > now;
            if !kept {
                forgotten.push(scope.clone());
            }
            kept
        });
        for scope in forgotten {
            if !self.active.contains_key(&scope) {
                self.feed(scheduler::Event::Deactivated(scope));
            }
        }
        if self.seen_until.is_some_and(|until| until <= now) {
            self.seen_until = None;
            self.feed_visible();
        }
        if !self.leads() && self.announce_at <= now {
            self.announce_at = now + ANNOUNCE_EVERY;
            if !self.active.is_empty() {
                let scopes = self.active.keys().cloned().collect();
                let shared = &self.work.shared;
                shared.peers.send(shared.peer, &Notice::Active(scopes));
                if self.visible {
                    shared.peers.send(shared.peer, &Notice::Seen);
                }
            }
        }
        self.feed(scheduler::Event::Timer);
    }

    pub(super) fn stop(&mut self, reply: Option<oneshot::Sender<()>>) {
        self.work.stop.store(true, Ordering::Relaxed);
        self.stopping.get_or_insert_default().extend(reply);
    }
}
