//! What a connection keeps from one of its transactions to the next.

use std::collections::HashMap;

use sync_core::{
    model::{EntityType, Scope},
    store::{Meta, ScopeRow},
};

use super::overlaid::Known;

/// What was read, and is still so.
///
/// It holds for as long as nobody else commits: another connection's commit shows in the data version, and what this
/// one's transactions change they change here, too. One that is rolled back leaves nothing.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Tells commits of other connections.
    data_version: Option<i64>,
    pub(super) meta: Option<Meta>,
    scopes: HashMap<Scope, KeptScope>,
    types: HashMap<EntityType, i64>,
    /// Types that got their numbers in this transaction.
    new_types: Vec<EntityType>,
    pub(super) overlaid: Option<Known>,
}

#[derive(Debug)]
struct KeptScope {
    number: i64,
    row: Option<ScopeRow>,
}

/// How many scopes are kept, so that a database of many does not come to lie in memory.
const SCOPES: usize = 256;

impl Kept {
    /// What is still so in a transaction that sees this data version.
    pub(super) fn at(self, data_version: i64) -> Self {
        if self.data_version == Some(data_version) {
            return self;
        }
        Self {
            data_version: Some(data_version),
            ..Self::default()
        }
    }

    /// Forgets all, as everything gets other numbers.
    pub(super) fn clear(&mut self) {
        *self = Self {
            data_version: self.data_version,
            ..Self::default()
        };
    }

    /// The transaction was committed.
    pub(super) fn committed(mut self) -> Self {
        self.new_types.clear();
        self
    }

    /// The transaction has changed nothing and was rolled back.
    pub(super) fn rolled_back(mut self) -> Self {
        for entity_type in self.new_types.drain(..) {
            self.types.remove(&entity_type);
        }
        self
    }

    pub(super) fn type_number(&self, entity_type: &EntityType) -> Option<i64> {
        self.types.get(entity_type).copied()
    }

    pub(super) fn keep_type(&mut self, entity_type: &EntityType, number: i64) {
        self.types.insert(entity_type.detached(), number);
    }

    pub(super) fn keep_new_type(&mut self, entity_type: &EntityType, number: i64) {
        self.keep_type(entity_type, number);
        self.new_types.push(entity_type.detached());
    }

    pub(super) fn number(&self, scope: &Scope) -> Option<i64> {
        self.scopes.get(scope).map(|kept| kept.number)
    }

    pub(super) fn row(&self, scope: &Scope) -> Option<&ScopeRow> {
        self.scopes.get(scope)?.row.as_ref()
    }

    pub(super) fn keep_scope(&mut self, scope: &Scope, number: i64, row: Option<ScopeRow>) {
        if self.scopes.len() >= SCOPES {
            self.scopes.clear();
        }
        self.scopes
            .insert(scope.detached(), KeptScope { number, row });
    }

    /// Forgets the row of a scope that is stored anew. Its number stays.
    pub(super) fn forget_row(&mut self, scope: &Scope) {
        if let Some(kept) = self.scopes.get_mut(scope) {
            kept.row = None;
        }
    }
}
