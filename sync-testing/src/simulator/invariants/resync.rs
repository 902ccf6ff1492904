//! A scope is fetched anew only when the server has said that it must be.

use std::collections::BTreeMap;

use sync_core::{model::Scope, transport::TransportErrorKind};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{network::Asked, seen::Seen, truth::Truth},
};

#[derive(Default)]
pub(crate) struct Resync {
    pulls: BTreeMap<u64, Scope>,
    /// How often each device was told that its cursor is of no use any more, and has not started over since.
    expired: BTreeMap<(usize, Scope), u32>,
}

impl Invariant for Resync {
    fn name(&self) -> &'static str {
        "resync on evidence"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 11: no scope is fetched anew again and again"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Sent {
                request,
                asked: Asked::Pull(pull),
                ..
            } => {
                self.pulls.insert(*request, pull.scope.clone());
            }
            Seen::Over { request, .. } => {
                self.pulls.remove(request);
            }
            Seen::Refused {
                tab,
                request,
                kind: TransportErrorKind::CursorExpired,
                ..
            } => {
                if let Some(scope) = self.pulls.get(request) {
                    *self.expired.entry((tab.device, scope.clone())).or_default() += 1;
                }
            }
            Seen::Stored {
                tab,
                call: StoreCall::Resync,
                before,
                after,
            } => {
                for row in &after.scopes {
                    let scope = &row.scope;
                    let was = before.scope(scope).map(|row| row.generation);
                    if was == Some(row.generation) {
                        continue;
                    }
                    let for_an_epoch =
                        truth.restores > 0 && row.resync.as_ref().is_some_and(|r| r.new_epoch);
                    let expired = self.expired.entry((tab.device, scope.clone())).or_default();
                    if *expired > 0 {
                        *expired -= 1;
                    } else if !for_an_epoch {
                        return Err(format!(
                            "{tab} fetches {scope} anew, and nobody has said that it must"
                        ));
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }
}
