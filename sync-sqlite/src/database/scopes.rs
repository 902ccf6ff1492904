//! What a transaction reads first: the meta row, scopes, and the numbers that stand for names.

use std::{cell::RefCell, collections::HashMap};

use rusqlite::{Connection, OptionalExtension};
use sync_core::{
    model::{EntityType, MutationId, RecordKey, Scope},
    store::{Counts, Meta, ScopeRow, Seq, Tick},
};
use uuid::Uuid;

use super::{kept::Kept, lists::Lists};
use crate::{
    error::{Attempt, Failure},
    ids::StoredId,
};

/// The rows of a database during one transaction.
#[derive(Debug)]
pub(crate) struct Rows<'c> {
    pub(super) conn: &'c Connection,
    /// What need not be read a second time.
    pub(super) kept: RefCell<Kept>,
    /// The entries of the records whose stacks were read.
    pub(super) lists: RefCell<Lists>,
}

/// A record key with numbers for names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place<'k> {
    pub(crate) scope: i64,
    pub(crate) entity_type: i64,
    pub(crate) id: StoredId<'k>,
}

impl<'c> Rows<'c> {
    pub(crate) fn new(conn: &'c Connection) -> Self {
        Self {
            conn,
            kept: RefCell::default(),
            lists: RefCell::default(),
        }
    }

    pub(crate) fn meta(&self) -> Attempt<Meta> {
        if let Some(meta) = &self.kept.borrow().meta {
            return Ok(meta.clone());
        }
        let mut meta = self.meta_row()?;
        // What enqueueing counts is counted in the row of the scope.
        let mut query = self
            .conn
            .prepare_cached("SELECT max(last_seq), max(last_mutation) FROM sync_store_state")?;
        let (seq, mutation) = query.query_row([], |row| {
            let mutation = row.get_ref(1)?.as_blob()?;
            Ok((
                row.get(0)?,
                Uuid::from_slice(mutation).ok().map(MutationId::from),
            ))
        })?;
        meta.last_seq = meta.last_seq.max(Seq(unsigned(seq)));
        meta.last_mutation = meta.last_mutation.max(mutation);
        self.kept.borrow_mut().meta = Some(meta.clone());
        Ok(meta)
    }

    /// The tick, without the rest of the meta row.
    pub(crate) fn tick(&self) -> Attempt<Tick> {
        Ok(self.meta_row()?.tick)
    }

    fn meta_row(&self) -> Attempt<Meta> {
        let meta: String = self
            .conn
            .prepare_cached("SELECT state FROM sync_store_state WHERE id = 0")?
            .query_row([], |row| row.get(0))?;
        serde_json::from_str(&meta).map_err(|error| Failure::undecodable("the meta row", &error))
    }

    /// The number of a scope; none when nothing is kept about it.
    pub(crate) fn scope_number(&self, scope: &Scope) -> Attempt<Option<i64>> {
        if let Some(number) = self.kept.borrow().number(scope) {
            return Ok(Some(number));
        }
        let number = self
            .conn
            .prepare_cached("SELECT id FROM sync_store_state WHERE scope = ?1")?
            .query_row([scope.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(number) = number {
            self.kept.borrow_mut().keep_scope(scope, number, None);
        }
        Ok(number)
    }

    /// The number of an entity type; none when no record ever had it.
    pub(crate) fn type_number(&self, entity_type: &EntityType) -> Attempt<Option<i64>> {
        if let Some(number) = self.kept.borrow().type_number(entity_type) {
            return Ok(Some(number));
        }
        let number = self
            .conn
            .prepare_cached("SELECT id FROM sync_store_types WHERE name = ?1")?
            .query_row([entity_type.as_str()], |row| row.get(0))
            .optional()?;
        if let Some(number) = number {
            self.kept.borrow_mut().keep_type(entity_type, number);
        }
        Ok(number)
    }

    /// Where a record is stored, if it is; none when its scope or its type is not known at all.
    pub(crate) fn place<'k>(&self, key: &'k RecordKey) -> Attempt<Option<Place<'k>>> {
        let scope = self.scope_number(&key.scope)?;
        let entity_type = self.type_number(&key.entity_type)?;
        Ok(scope.zip(entity_type).map(|(scope, entity_type)| Place {
            scope,
            entity_type,
            id: StoredId::of(&key.entity_id),
        }))
    }

    /// All entity types, by name.
    pub(crate) fn types(&self) -> Attempt<Vec<(i64, EntityType)>> {
        let mut query = self
            .conn
            .prepare_cached("SELECT id, name FROM sync_store_types ORDER BY name")?;
        let types = query.query_map([], |row| {
            Ok((row.get(0)?, EntityType::from(row.get::<_, String>(1)?)))
        })?;
        Ok(types.collect::<Result<_, _>>()?)
    }

    pub(crate) fn type_names(&self) -> Attempt<HashMap<i64, EntityType>> {
        Ok(self.types()?.into_iter().collect())
    }

    /// The row of a scope, if something is kept about it.
    pub(crate) fn stored_scope(&self, scope: &Scope) -> Attempt<Option<ScopeRow>> {
        if let Some(row) = self.kept.borrow().row(scope) {
            return Ok(Some(row.clone()));
        }
        let found: Option<(i64, String)> = self
            .conn
            .prepare_cached("SELECT id, state FROM sync_store_state WHERE scope = ?1")?
            .query_row([scope.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((number, state)) = found else {
            return Ok(None);
        };
        let row = decode_scope(&state)?;
        self.kept
            .borrow_mut()
            .keep_scope(scope, number, Some(row.clone()));
        Ok(Some(row))
    }

    /// The row of a scope; a fresh one when nothing is kept about it.
    pub(crate) fn scope(&self, scope: &Scope) -> Attempt<ScopeRow> {
        match self.stored_scope(scope)? {
            Some(row) => Ok(row),
            None => Ok(ScopeRow::new(scope.clone(), self.meta()?.first_generation)),
        }
    }

    pub(crate) fn scopes(&self) -> Attempt<Vec<ScopeRow>> {
        let mut query = self
            .conn
            .prepare_cached("SELECT state FROM sync_store_state WHERE id > 0 ORDER BY scope")?;
        let states = query.query_map([], |row| row.get::<_, String>(0))?;
        states.map(|state| decode_scope(&state?)).collect()
    }

    pub(crate) fn counts(&self, scope: Option<&Scope>) -> Attempt<Counts> {
        let mut query = self.conn.prepare_cached(
            "SELECT total(pending), total(failed), total(acknowledged) FROM sync_store_state \
             WHERE ?1 IS NULL OR scope = ?1",
        )?;
        Ok(query.query_row([scope.map(Scope::as_str)], |row| {
            // `total` is a float, and exact far beyond any number of entries.
            let count = |at| row.get::<_, f64>(at).map(|count| count as u64);
            Ok(Counts {
                pending: count(0)?,
                failed: count(1)?,
                acknowledged: count(2)?,
            })
        })?)
    }
}

fn decode_scope(state: &str) -> Attempt<ScopeRow> {
    serde_json::from_str(state).map_err(|error| Failure::undecodable("a scope's row", &error))
}

/// An unsigned number as SQLite stores it: the signed one with the same bits.
pub(crate) const fn signed(number: u64) -> i64 {
    number.cast_signed()
}

/// The unsigned number that [`signed`] stored.
pub(crate) const fn unsigned(number: i64) -> u64 {
    number.cast_unsigned()
}
