//! However things fail, the requests that a device makes in a minute are bounded.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use sync_core::{model::Scope, time::Time, transport::TransportErrorKind};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{
        network::Asked,
        plan::{Act, Step},
        seen::{Seen, TabId},
        truth::Truth,
    },
};

/// The most failures of one kind in a minute: one each half second, with a little room.
const MOST: usize = 125;
/// The most requests that have been begun before the first of them comes back with the token refused, or before the
/// app has supplied another.
const MOST_REFUSED: u32 = 12;

/// The most pulls of a scope that bring nothing, and that nothing has asked for, in `IDLE`.
const MOST_IDLE: usize = 6;
const IDLE: Duration = Duration::from_secs(4);
/// How long after something has happened a pull may come of it: a manual sync waits 2 s for the flush.
const AFTERMATH: Duration = Duration::from_secs(3);

#[derive(Default)]
pub(crate) struct Requests {
    under_way: BTreeMap<u64, UnderWay>,
    failed: BTreeMap<(usize, Option<Scope>), VecDeque<Time>>,
    /// The pulls that brought nothing since something has happened on the device.
    idle: BTreeMap<(usize, Scope), VecDeque<Time>>,
    /// When something has happened last.
    busy_at: Time,
    /// Until when the server has asked each engine to wait with pulls (true) or pushes (false) of a scope. A server that
    /// is busy with one scope may be there for the others.
    asked_to_wait: BTreeMap<(TabId, bool, Scope), Time>,
    /// How often each engine has met with its token refused since the app has supplied it.
    token_refused: BTreeMap<TabId, u32>,
}

/// A request that is not over.
struct UnderWay {
    is_pull: bool,
    scopes: BTreeSet<Scope>,
}

impl UnderWay {
    fn new(asked: &Asked) -> Self {
        match asked {
            Asked::Pull(request) => Self {
                is_pull: true,
                scopes: BTreeSet::from([request.scope.clone()]),
            },
            Asked::Push(request) => Self {
                is_pull: false,
                scopes: request
                    .mutations
                    .iter()
                    .map(|sent| sent.mutation.key.scope.clone())
                    .collect(),
            },
        }
    }
}

impl Invariant for Requests {
    fn name(&self) -> &'static str {
        "bounded requests"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 11: under any failure the requests per minute are bounded"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if let Seen::Step(_) | Seen::Bound { .. } | Seen::Healed | Seen::Flushed { .. } = seen {
            self.idle.clear();
            self.busy_at = truth.now;
        }
        match seen {
            // A refused push asks whether there is access.
            Seen::Stored {
                tab,
                call: StoreCall::Settle,
                ..
            } => self.idle.retain(|(device, _), _| *device != tab.device),
            Seen::Read {
                device,
                scope,
                page: Some(page),
                sent,
                ..
            } if page.changes.is_empty()
                && !page.has_more
                // What arrives late says nothing of how often it is asked now.
                && sent.since(self.busy_at) > AFTERMATH =>
            {
                let of = (*device, (*scope).clone());
                let idle = recent(self.idle.entry(of).or_default(), truth.now, IDLE);
                if idle > MOST_IDLE {
                    return Err(format!(
                        "device {device} has pulled {scope} {idle} times in {IDLE:?}, for nothing"
                    ));
                }
            }
            Seen::Sent {
                tab,
                request,
                asked,
            } => {
                let sent = UnderWay::new(asked);
                for scope in &sent.scopes {
                    let of = (*tab, sent.is_pull, scope.clone());
                    let until = self.asked_to_wait.remove(&of);
                    if until.is_some_and(|until| truth.now < until) {
                        return Err(format!("{tab} was asked to wait, and has asked again"));
                    }
                }
                self.under_way.insert(*request, sent);
            }
            Seen::Over { request, .. } => {
                self.under_way.remove(request);
            }
            // An engine that has just been started knows of nothing.
            Seen::Bound { device, .. } => {
                self.asked_to_wait
                    .retain(|(tab, ..), _| tab.device != *device);
                self.token_refused.retain(|tab, _| tab.device != *device);
            }
            Seen::Step(Step {
                device,
                act: Act::Resume,
                ..
            }) => self.token_refused.retain(|tab, _| tab.device != *device),
            Seen::Healed => self.token_refused.clear(),
            Seen::Refused {
                tab,
                request,
                kind,
                retry_after,
            } => {
                if *kind == TransportErrorKind::Unauthorized {
                    let times = self.token_refused.entry(*tab).or_default();
                    *times += 1;
                    if *times > MOST_REFUSED {
                        return Err(format!(
                            "{tab} asks again and again with a token that is refused"
                        ));
                    }
                }
                let Some(sent) = self.under_way.get(request) else {
                    return Ok(());
                };
                if let Some(after) = retry_after {
                    let of = |scope: &Scope| (*tab, sent.is_pull, scope.clone());
                    let asked = sent.scopes.iter().map(|s| (of(s), truth.now + *after));
                    self.asked_to_wait.extend(asked);
                }
                let pulled = sent.scopes.first().filter(|_| sent.is_pull);
                let of = (tab.device, pulled.cloned());
                let failed = self.failed.entry(of).or_default();
                let failed = recent(failed, truth.now, Duration::from_secs(60));
                if failed > MOST {
                    return Err(format!(
                        "device {} has made {failed} requests of one kind in a minute, and all have failed",
                        tab.device
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Adds a moment, and counts those of this long.
fn recent(times: &mut VecDeque<Time>, now: Time, long: Duration) -> usize {
    times.push_back(now);
    while times.front().is_some_and(|first| now.since(*first) > long) {
        times.pop_front();
    }
    times.len()
}
