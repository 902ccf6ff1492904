//! Reading records: what the app sees.

use std::cmp::Ordering;

use rusqlite::{OptionalExtension, Row, params};
use sync_core::{
    model::{EntityId, EntityType, Generation, RecordKey, Schema, Scope},
    store::{ListRequest, Marks, RecordRow},
};

use super::{
    entries::stored_payload,
    scopes::{Place, Rows, unsigned},
};
use crate::{
    error::Attempt,
    ids::{ReadId, StoredId, first_uuid_after},
};

/// The columns of a record, in the order in which [`record`] reads them.
const COLUMNS: &str = "payload, schema, seq, generation, marks";

fn record(key: RecordKey, row: &Row<'_>) -> Attempt<RecordRow> {
    Ok(RecordRow {
        key,
        payload: stored_payload(row.get(0)?)?,
        schema: Schema(row.get(1)?),
        seq: row.get::<_, Option<i64>>(2)?.map(unsigned),
        generation: Generation(unsigned(row.get(3)?)),
        marks: Marks::from_bits(row.get(4)?),
    })
}

/// A range of a scope's records of one type, in the order of the ids' text.
struct Range {
    /// From here on among the ids that are plain text.
    text: String,
    /// From here on among the UUIDs, if there are any behind.
    uuid: Option<[u8; 16]>,
}

impl Range {
    fn after(id: Option<&EntityId>) -> Self {
        match id {
            None => Self {
                text: String::new(),
                uuid: Some([0; 16]),
            },
            Some(id) => Self {
                // The least text after another is that text with a NUL behind it.
                text: format!("{id}\0"),
                uuid: first_uuid_after(id.as_str()),
            },
        }
    }
}

impl Rows<'_> {
    pub(crate) fn get(&self, key: RecordKey) -> Attempt<Option<RecordRow>> {
        match self.place(&key)? {
            Some(place) => self.record_at(&key, &place),
            None => Ok(None),
        }
    }

    pub(super) fn record_at(
        &self,
        key: &RecordKey,
        place: &Place<'_>,
    ) -> Attempt<Option<RecordRow>> {
        let mut query = self.conn.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM sync_store_records \
             WHERE scope = ?1 AND type = ?2 AND entity_id = ?3"
        ))?;
        query
            .query_row(params![place.scope, place.entity_type, place.id], |row| {
                Ok(record(key.clone(), row))
            })
            .optional()?
            .transpose()
    }

    pub(crate) fn list(&self, request: &ListRequest) -> Attempt<Vec<RecordRow>> {
        let ListRequest {
            scope,
            entity_type,
            after,
            limit,
        } = request;
        let numbers = self
            .scope_number(scope)?
            .zip(self.type_number(entity_type)?);
        let Some((scope_number, type_number)) = numbers else {
            return Ok(Vec::new());
        };
        let read = |id: EntityId, row: &Row<'_>| {
            let key = RecordKey {
                scope: scope.clone(),
                entity_type: entity_type.clone(),
                entity_id: id,
            };
            record(key, row)
        };
        let id = |row: &RecordRow| row.key.entity_id.clone();
        self.range(
            scope_number,
            type_number,
            after.as_ref(),
            *limit,
            COLUMNS,
            read,
            id,
        )
    }

    /// The ids of a range with the generation of each.
    pub(super) fn generations(
        &self,
        scope: i64,
        entity_type: i64,
        after: Option<&EntityId>,
        limit: u32,
    ) -> Attempt<Vec<(EntityId, Generation)>> {
        let read = |id, row: &Row<'_>| Ok((id, Generation(unsigned(row.get(0)?))));
        let id = |row: &(EntityId, Generation)| row.0.clone();
        self.range(
            scope,
            entity_type,
            after,
            Some(limit),
            "generation",
            read,
            id,
        )
    }

    /// Reads a range from both kinds of id and brings the two together in the order of the ids' text.
    #[expect(clippy::too_many_arguments, reason = "one query, used twice")]
    fn range<T>(
        &self,
        scope: i64,
        entity_type: i64,
        after: Option<&EntityId>,
        limit: Option<u32>,
        columns: &str,
        read: impl Fn(EntityId, &Row<'_>) -> Attempt<T>,
        id: impl Fn(&T) -> EntityId,
    ) -> Attempt<Vec<T>> {
        let range = Range::after(after);
        let limit = limit.map_or(usize::MAX, |limit| limit as usize);
        // Every text is less than every blob.
        let texts = format!(
            "SELECT {columns}, entity_id FROM sync_store_records \
             WHERE scope = +?1 AND type = +?2 AND entity_id >= ?3 AND entity_id < x'' \
             ORDER BY entity_id"
        );
        let uuids = format!(
            "SELECT {columns}, entity_id FROM sync_store_records \
             WHERE scope = +?1 AND type = +?2 AND entity_id >= ?3 \
             ORDER BY entity_id"
        );
        let part = |sql: &str, from: StoredId<'_>| -> Attempt<Vec<T>> {
            let mut query = self.conn.prepare_cached(sql)?;
            let mut rows = query.query(params![scope, entity_type, from])?;
            let mut part = Vec::new();
            while part.len() < limit
                && let Some(row) = rows.next()?
            {
                let ReadId(id) = row.get("entity_id")?;
                part.push(read(id, row)?);
            }
            Ok(part)
        };
        let texts = part(&texts, StoredId::Text(&range.text))?;
        let uuids = match range.uuid {
            Some(from) => part(&uuids, StoredId::Uuid(from))?,
            None => Vec::new(),
        };
        let mut merged = merge(texts, uuids, |a, b| id(a).cmp(&id(b)));
        merged.truncate(limit);
        Ok(merged)
    }

    pub(crate) fn count(&self, scope: &Scope, entity_type: Option<&EntityType>) -> Attempt<u64> {
        let Some(scope) = self.scope_number(scope)? else {
            return Ok(0);
        };
        let count: i64 = match entity_type {
            None => self
                .conn
                .prepare_cached("SELECT count(*) FROM sync_store_records WHERE scope = ?1")?
                .query_row([scope], |row| row.get(0))?,
            Some(entity_type) => {
                let Some(entity_type) = self.type_number(entity_type)? else {
                    return Ok(0);
                };
                self.conn
                    .prepare_cached(
                        "SELECT count(*) FROM sync_store_records WHERE scope = ?1 AND type = ?2",
                    )?
                    .query_row([scope, entity_type], |row| row.get(0))?
            }
        };
        Ok(unsigned(count))
    }
}

/// Two ascending lists as one.
fn merge<T>(a: Vec<T>, b: Vec<T>, order: impl Fn(&T, &T) -> Ordering) -> Vec<T> {
    if a.is_empty() {
        return b;
    }
    if b.is_empty() {
        return a;
    }
    let mut merged = Vec::with_capacity(a.len() + b.len());
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        let next = if order(x, y) == Ordering::Greater {
            b.next()
        } else {
            a.next()
        };
        merged.extend(next);
    }
    merged.extend(a);
    merged.extend(b);
    merged
}
