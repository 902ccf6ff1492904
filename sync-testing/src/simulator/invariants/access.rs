//! Nothing is asked on behalf of an account that the database does not belong to.

use std::collections::BTreeMap;

use sync_core::model::{Account, MutationId};

use super::Invariant;
use crate::{
    StoreCall,
    simulator::{
        network::Asked,
        seen::{Seen, TabId},
        snapshot::Snapshot,
        truth::Truth,
    },
};

#[derive(Default)]
pub(crate) struct Access {
    /// Whose each mutation is.
    owners: BTreeMap<MutationId, Account>,
}

impl Invariant for Access {
    fn name(&self) -> &'static str {
        "one account"
    }

    fn guarantee(&self) -> &'static str {
        "guarantee 12: a database is one account's"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        if let Seen::Stored {
            tab,
            call,
            before,
            after,
        } = seen
        {
            // Whose they are is told as soon as they are there, or as soon as the database is somebody's.
            if after.shares_entries(before) && !matches!(call, StoreCall::Wipe | StoreCall::Bind) {
                return Ok(());
            }
            return self.stored(*tab, *call, after, truth);
        }
        let Seen::Sent { tab, asked, .. } = seen else {
            return Ok(());
        };
        if let Asked::Push(push) = asked {
            for sent in &push.mutations {
                let id = sent.mutation.id;
                let owner = self.owners.get(&id);
                if owner.is_some_and(|owner| *owner != push.account) {
                    return Err(format!(
                        "{tab} sends {id} of {owner:?} for {}",
                        push.account
                    ));
                }
            }
        }
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

impl Access {
    fn stored(
        &mut self,
        tab: TabId,
        call: StoreCall,
        after: &Snapshot,
        truth: &Truth,
    ) -> Result<(), String> {
        let left =
            after.records.len() + after.entries.len() + after.conflicts.len() + after.revoked.len();
        if call == StoreCall::Wipe && left > 0 {
            return Err(format!("{tab}: a wipe has left {left} rows"));
        }
        if let Some(account) = truth.accounts.get(&tab.device) {
            for entry in after.entries.iter() {
                self.owners
                    .entry(entry.mutation.id)
                    .or_insert_with(|| account.clone());
            }
        }
        Ok(())
    }
}
