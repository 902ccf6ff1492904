//! What to make of a batch that failed as a whole.

use std::time::Duration;

use super::{
    super::{Action, Context, PauseReason, Sent, Ticket, pull::Pulls},
    Pushes, Round,
    hold::Setback,
};
use crate::{
    model::Scope,
    ordered::{OrderedMap, OrderedSet},
    store::FailReason,
    transport::TransportErrorKind as Kind,
};

/// A batch that failed.
#[derive(Debug)]
pub(super) struct Failure<'a> {
    pub(super) round: Round,
    pub(super) ticket: Ticket,
    pub(super) sent: &'a [Sent],
    pub(super) kind: Kind,
    pub(super) retry_after: Option<Duration>,
}

impl Pushes {
    /// Decides what comes next. Returns why the engine is to pause, if it is.
    pub(super) fn refused(
        &mut self,
        failure: Failure<'_>,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) -> Option<PauseReason> {
        let Failure {
            round,
            ticket,
            sent,
            kind,
            retry_after,
        } = failure;
        if let (Round::Own(scope), Some(head)) = (&round, sent.first()) {
            self.head_is(scope, head.id);
        }
        match kind {
            Kind::Unauthorized | Kind::OtherAccount => {
                self.backoff.space(cx.now, &cx.settings);
                self.put_back(round, cx.now);
                return cx.pause_reason(kind, ticket);
            }
            Kind::TooLarge => self.too_large(round, sent, cx),
            Kind::CursorExpired => {
                let setbacks = sent.iter().map(|sent| {
                    let setback = Setback {
                        pull: true,
                        retry_after,
                    };
                    (sent.key.scope.clone(), setback)
                });
                self.backoff.space(cx.now, &cx.settings);
                self.set_back(setbacks.collect(), cx, pulls);
                if round == Round::Common {
                    self.want(cx.now);
                }
            }
            Kind::BadRequest | Kind::Forbidden => self.narrow(&round, sent, kind, cx, pulls),
            Kind::Network => {
                self.fail(retry_after, cx);
                self.put_back(round, cx.now);
            }
            Kind::Timeout | Kind::Unavailable | Kind::Foreign | Kind::Malformed => {
                if kind == Kind::Timeout && sent.len() > 1 {
                    // On a slow line a smaller batch may make it in time.
                    self.batch.halve(sent.len());
                }
                let again_and_again = round != Round::Common || self.keeps_failing(sent, cx);
                match retry_after {
                    None if again_and_again => self.narrow(&round, sent, kind, cx, pulls),
                    Some(after) if again_and_again => self.put_off(&round, sent, after, cx),
                    _ => {
                        self.fail(retry_after, cx);
                        self.put_back(round, cx.now);
                    }
                }
            }
        }
        None
    }

    /// Counts the failures of one and the same batch, and says whether there were enough of them.
    fn keeps_failing(&mut self, sent: &[Sent], cx: &Context) -> bool {
        let Some(head) = sent.first() else {
            return false;
        };
        let times = match self.failing {
            Some((id, times)) if id == head.id => times + 1,
            _ => 1,
        };
        self.failing = Some((head.id, times));
        times >= cx.settings.narrow_after
    }

    /// The server asks for patience again and again: the scopes wait for it one by one, so that one of them does not
    /// hold up the others. Nobody is blamed: such an answer is not about a mutation, and proves nothing as a probe.
    fn put_off(&mut self, round: &Round, sent: &[Sent], after: Duration, cx: &mut Context) {
        self.failing = None;
        if *round == Round::Common {
            self.want(cx.now);
        }
        let scopes: OrderedSet<_> = sent.iter().map(|sent| &sent.key.scope).collect();
        if self.are_isolated(&scopes) {
            self.backoff.space(cx.now, &cx.settings);
        } else {
            self.fail(Some(after), cx);
        }
        for scope in scopes {
            let hold = self.holds.get_or_default(scope.detached());
            hold.narrowed(cx.settings.batch_count);
            if *round != Round::Common {
                hold.backoff
                    .fail(cx.now, Some(after), &cx.settings, &mut cx.random);
            }
        }
    }

    /// Whether something else has gone through since these scopes go on their own: the server is there for others.
    fn are_isolated(&self, scopes: &OrderedSet<&Scope>) -> bool {
        scopes.iter().all(|scope| {
            let narrowed = self.holds.get(*scope).and_then(|h| h.narrowed.as_ref());
            narrowed.is_some_and(|narrowed| narrowed.isolated)
        })
    }

    fn too_large(&mut self, round: Round, sent: &[Sent], cx: &mut Context) {
        match sent {
            [Sent { id, key }] => {
                // Were everything too large, this would not empty the outbox in a moment.
                self.fail(None, cx);
                if let Some(narrowed) = self.narrowed(&key.scope) {
                    narrowed.clear(*id);
                }
                cx.actions.push_back(Action::SetAside {
                    id: *id,
                    reason: FailReason::TooLarge,
                    message: "too large for the server, even alone".to_owned(),
                });
            }
            // Half of nothing, or of one, cannot help.
            _ if sent.is_empty() || self.batch.count == 1 => self.fail(None, cx),
            _ => self.batch.halve(sent.len()),
        }
        self.put_back(round, cx.now);
    }

    /// A batch was refused as a whole, or keeps failing: who is it?
    fn narrow(
        &mut self,
        round: &Round,
        sent: &[Sent],
        kind: Kind,
        cx: &mut Context,
        pulls: &mut Pulls,
    ) {
        let now = cx.now;
        self.failing = None;
        if *round == Round::Common {
            self.want(now);
        }
        let scopes: OrderedSet<_> = sent.iter().map(|sent| &sent.key.scope).collect();
        if self.are_isolated(&scopes) || matches!(kind, Kind::BadRequest | Kind::Forbidden) {
            self.backoff.space(now, &cx.settings);
        } else {
            self.fail(None, cx);
        }
        match sent {
            [] => {}
            [alone] if kind == Kind::Forbidden => {
                let scope = &alone.key.scope;
                let hold = self.holds.get_or_default(scope.detached());
                hold.parked.push(alone.id);
                let setback = Setback {
                    pull: true,
                    retry_after: None,
                };
                self.set_back(OrderedMap::from([(scope.clone(), setback)]), cx, pulls);
            }
            [alone] => {
                let scope = &alone.key.scope;
                let hold = self.holds.get_or_default(scope.detached());
                hold.backoff.fail(now, None, &cx.settings, &mut cx.random);
                let narrowed = hold.narrowed(1);
                narrowed.limit = 1;
                // Only these can be a mutation's fault.
                if matches!(kind, Kind::BadRequest | Kind::Unavailable) {
                    narrowed.not_before = now + cx.settings.poison_spacing;
                    let to_prove = narrowed.refused_alone(alone, kind);
                    if to_prove && !matches!(round, Round::ProbeNext(_) | Round::ProbeSuspect(_)) {
                        self.probe = Some(Round::ProbeOthers(scope.clone()));
                    }
                    self.convict(cx);
                }
            }
            _ if scopes.len() == 1 => {
                for scope in scopes {
                    let hold = self.holds.get_or_default(scope.detached());
                    hold.narrowed(1).limit = 1;
                }
            }
            _ => {
                for scope in scopes {
                    let hold = self.holds.get_or_default(scope.detached());
                    hold.narrowed(cx.settings.batch_count);
                }
            }
        }
    }
}
