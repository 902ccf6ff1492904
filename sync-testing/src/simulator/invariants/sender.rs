//! One push at a time goes out of an outbox, and only the engine that leads moves what the server has to do with.

use std::collections::BTreeMap;

use super::Invariant;
use sync_core::time::Time;

use crate::{
    StoreCall,
    simulator::{
        network::Asked,
        seen::{Seen, TabId},
        truth::{ON_THE_WAY, Truth},
    },
};

#[derive(Default)]
pub(crate) struct Sender {
    /// The push of each device, and the engine that it comes from.
    pushing: BTreeMap<usize, (TabId, u64)>,
    /// The engine of each device that was the last to begin to lead.
    leader: BTreeMap<usize, TabId>,
    /// Until when an engine was frozen: what it was about to send then, it sends when it thaws.
    frozen: BTreeMap<TabId, Time>,
}

impl Invariant for Sender {
    fn name(&self) -> &'static str {
        "one sender"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 2: at most one engine sends from an outbox, one batch at a time"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Sent {
                tab,
                request,
                asked: Asked::Push(_),
            } => {
                let Some((by, other)) = self.pushing.insert(tab.device, (*tab, *request)) else {
                    return Ok(());
                };
                if by != *tab && (self.may_overlap(by, truth) || self.may_overlap(*tab, truth)) {
                    return Ok(());
                }
                Err(format!(
                    "{tab} pushes #{request} while #{other} is under way"
                ))
            }
            Seen::Over { tab, request } => {
                if self.pushing.get(&tab.device) == Some(&(*tab, *request)) {
                    self.pushing.remove(&tab.device);
                }
                Ok(())
            }
            Seen::Froze { tab, until } => {
                self.frozen.insert(*tab, *until);
                Ok(())
            }
            Seen::Stored {
                tab,
                call: StoreCall::Lead,
                ..
            } => {
                self.leader.insert(tab.device, *tab);
                Ok(())
            }
            Seen::Stored {
                tab,
                call:
                    call @ (StoreCall::Take
                    | StoreCall::Settle
                    | StoreCall::Apply
                    | StoreCall::Resync
                    | StoreCall::Sweep
                    | StoreCall::Purge),
                ..
            } => match self.leader.get(&tab.device) {
                Some(leader) if leader == tab => Ok(()),
                leader => Err(format!(
                    "{tab}: {call:?} was allowed, and the one that leads is {leader:?}"
                )),
            },
            _ => Ok(()),
        }
    }
}

impl Sender {
    /// Whether an engine may send beside another one for a moment: the fence tells whose answer counts. It may where
    /// its lease goes by a wall clock that was set, and where it was frozen with a request in its hands.
    fn may_overlap(&self, tab: TabId, truth: &Truth) -> bool {
        let thawed = self.frozen.get(&tab);
        truth.clock_set_forward.contains(&tab.device)
            || thawed.is_some_and(|until| truth.now <= *until + ON_THE_WAY)
    }
}
