//! What an account may not write is not applied for it, and what it may not read is not shown to it.

use std::collections::{BTreeMap, BTreeSet};

use sync_core::{
    model::{Account, MutationId, Scope},
    time::Time,
    transport::Verdict,
};
use sync_server::access::Role;

use super::Invariant;
use crate::simulator::{seen::Seen, truth::Truth};

#[derive(Default)]
pub(crate) struct Permission {
    roles: BTreeMap<(Scope, Account), Role>,
    /// When an account last lost a role; what was begun before may end after.
    lost: BTreeMap<(Scope, Account), Time>,
    /// A verdict is repeated, whatever has become of the access meanwhile.
    applied: BTreeSet<MutationId>,
}

impl Permission {
    fn reads(&self, place: &(Scope, Account), truth: &Truth) -> bool {
        self.roles.contains_key(place) || self.lost.get(place) == Some(&truth.now)
    }
}

impl Invariant for Permission {
    fn name(&self) -> &'static str {
        "permission"
    }

    fn guarantee(&self) -> &'static str {
        "server: pulls and mutations are authorised for the scope of the record"
    }

    fn see(&mut self, seen: &Seen<'_>, truth: &Truth) -> Result<(), String> {
        match seen {
            Seen::Granted {
                scope,
                account,
                role,
            } => {
                let place = ((*scope).clone(), (*account).clone());
                match role {
                    Some(role) => {
                        self.roles.insert(place, *role);
                    }
                    None => {
                        self.roles.remove(&place);
                        self.lost.insert(place, truth.now);
                    }
                }
                Ok(())
            }
            Seen::Read {
                account,
                scope,
                page: Some(_),
                ..
            } => {
                let place = ((*scope).clone(), (*account).clone());
                if !self.reads(&place, truth) {
                    return Err(format!(
                        "{account} was shown {scope}, and has no role there"
                    ));
                }
                Ok(())
            }
            Seen::Decided { request, answer } => {
                for (sent, answer) in request.mutations.iter().zip(&answer.answers) {
                    let (id, key) = (sent.mutation.id, &sent.mutation.key);
                    let place = (key.scope.clone(), request.account.clone());
                    let role = self.roles.get(&place).copied();
                    let shows = matches!(&answer.verdict, Verdict::Conflict { theirs } if theirs.payload.is_some());
                    if shows && !self.reads(&place, truth) {
                        return Err(format!(
                            "the answer to {id} shows {key} to {}, who has no role there",
                            request.account
                        ));
                    }
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
