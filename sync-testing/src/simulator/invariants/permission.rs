//! What an account may not write is not applied for it.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{Account, MutationId, Scope},
    transport::Verdict,
};
use sync_server::access::Role;

use super::Invariant;
use crate::simulator::{seen::Seen, truth::Truth};

#[derive(Default)]
pub(crate) struct Permission {
    roles: BTreeMap<(Scope, Account), Role>,
    /// A verdict is repeated, whatever has become of the access meanwhile.
    applied: BTreeSet<MutationId>,
}

impl Invariant for Permission {
    fn name(&self) -> &'static str {
        "permission"
    }

    fn guarantee(&self) -> &'static str {
        "server: each mutation is authorised for the scope of its record"
    }

    fn see(&mut self, seen: &Seen<'_>, _: &Truth) -> Result<(), String> {
        match seen {
            Seen::Granted {
                scope,
                account,
                role,
            } => {
                let place = ((*scope).clone(), (*account).clone());
                match role {
                    Some(role) => self.roles.insert(place, *role),
                    None => self.roles.remove(&place),
                };
                Ok(())
            }
            Seen::Decided { request, answer } => {
                for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
                    let (id, key) = (sent.mutation.id, &sent.mutation.key);
                    let place = (key.scope.clone(), request.account.clone());
                    let role = self.roles.get(&place).copied();
                    if matches!(answer.verdict, Verdict::Applied { .. })
                        && self.applied.insert(id)
                        && !role.is_some_and(Role::writes)
                    {
                        return Err(format!(
                            "{id} of {key} was applied for {}, who has {role:?} there",
                            request.account
                        ));
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
