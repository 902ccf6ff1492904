//! One push at a time goes out of an outbox.

use std::collections::BTreeMap;

use super::Invariant;
use crate::simulator::{
    network::Asked,
    seen::{Seen, TabId},
    truth::Truth,
};

#[derive(Default)]
pub(crate) struct Sender {
    /// The push of each device, and the engine that it comes from.
    pushing: BTreeMap<usize, (TabId, u64)>,
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
            } => match self.pushing.insert(tab.device, (*tab, *request)) {
                // Where a lease goes by the wall clock, two may send for a moment; the fence tells whose answer counts.
                Some((by, _)) if by != *tab && truth.clock_set_forward.contains(&tab.device) => {
                    Ok(())
                }
                Some((_, other)) => Err(format!(
                    "{tab} pushes #{request} while #{other} is under way"
                )),
                None => Ok(()),
            },
            Seen::Over { tab, request } => {
                if self.pushing.get(&tab.device) == Some(&(*tab, *request)) {
                    self.pushing.remove(&tab.device);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
