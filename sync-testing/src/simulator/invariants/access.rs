//! Nothing is asked on behalf of an account that the database does not belong to.

use super::Invariant;
use crate::simulator::{network::Asked, seen::Seen, truth::Truth};

pub(crate) struct Access;

impl Invariant for Access {
    fn name(&self) -> &'static str {
        "one account"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 12: a database is one account's"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        let Seen::Sent { tab, asked, .. } = seen else {
            return Ok(());
        };
        let named = match asked {
            Asked::Pull(request) => &request.account,
            Asked::Push(request) => &request.account,
        };
        match truth.accounts.get(&tab.device) {
            Some(bound) if bound == named => Ok(()),
            bound => Err(format!(
                "{tab} asks for {named}; its database is {bound:?}'s"
            )),
        }
    }
}
