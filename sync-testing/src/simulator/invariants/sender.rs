//! One push at a time goes out of an outbox.

use std::collections::BTreeMap;

use super::Invariant;
use crate::simulator::{network::Asked, seen::Seen, truth::Truth};

#[derive(Default)]
pub(crate) struct Sender {
    pushing: BTreeMap<usize, u64>,
}

impl Invariant for Sender {
    fn name(&self) -> &'static str {
        "one sender"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 2: at most one engine sends from an outbox, one batch at a time"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
        match seen {
            Seen::Sent {
                tab,
                request,
                asked: Asked::Push(_),
            } => match self.pushing.insert(tab.device, *request) {
                Some(other) => Err(format!(
                    "{tab} pushes #{request} while #{other} is under way"
                )),
                None => Ok(()),
            },
            Seen::Over { tab, request } => {
                if self.pushing.get(&tab.device) == Some(request) {
                    self.pushing.remove(&tab.device);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
