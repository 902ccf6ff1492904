//! However things fail, the requests that a device makes in a minute are bounded.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use sync_core::{model::Scope, time::Time, transport::TransportErrorKind};

use super::Invariant;
use crate::simulator::{
    network::Asked,
    plan::{Act, Step},
    seen::{Seen, TabId},
    truth::Truth,
};

/// The most failures of one kind in a minute: one each half second, with a little room.
const MOST: usize = 125;
/// The most requests that have been begun before the first of them comes back with the token refused, or before the
/// app has supplied another.
const MOST_REFUSED: u32 = 12;

#[derive(Default)]
pub(crate) struct Requests {
    under_way: BTreeMap<u64, (usize, Option<Scope>)>,
    failed: BTreeMap<(usize, Option<Scope>), VecDeque<Time>>,
    /// Until when the server has asked each engine to wait with requests of a kind.
    asked_to_wait: BTreeMap<(TabId, Option<Scope>), Time>,
    /// How often each engine has met with its token refused since the app has supplied it.
    token_refused: BTreeMap<TabId, u32>,
}

impl Invariant for Requests {
    fn name(&self) -> &'static str {
        "bounded requests"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 11: under any failure the requests per minute are bounded"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Sent {
                tab,
                request,
                asked,
            } => {
                let scope = match asked {
                    Asked::Pull(request) => Some(request.scope.clone()),
                    Asked::Push(_) => None,
                };
                let until = self.asked_to_wait.remove(&(*tab, scope.clone()));
                if until.is_some_and(|until| truth.now < until) {
                    return Err(format!("{tab} was asked to wait, and has asked again"));
                }
                self.under_way.insert(*request, (tab.device, scope));
            }
            Seen::Over { request, .. } => {
                self.under_way.remove(request);
            }
            // An engine that has just been started knows of nothing.
            Seen::Bound { device, .. } => {
                self.asked_to_wait
                    .retain(|(tab, _), _| tab.device != *device);
                self.token_refused.retain(|tab, _| tab.device != *device);
            }
            Seen::Step(Step {
                device,
                tab,
                act: Act::Resume,
                ..
            }) => {
                self.token_refused.remove(&TabId {
                    device: *device,
                    tab: *tab,
                });
            }
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
                let Some(of) = self.under_way.get(request) else {
                    return Ok(());
                };
                if let Some(after) = retry_after {
                    self.asked_to_wait
                        .insert((*tab, of.1.clone()), truth.now + *after);
                }
                let failed = self.failed.entry(of.clone()).or_default();
                failed.push_back(truth.now);
                while failed
                    .front()
                    .is_some_and(|first| truth.now.since(*first) > Duration::from_secs(60))
                {
                    failed.pop_front();
                }
                if failed.len() > MOST {
                    return Err(format!(
                        "device {} has made {} requests of one kind in a minute, and all have failed",
                        of.0,
                        failed.len()
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
