//! Typed records: how an app's struct and a record's JSON meet.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::EngineError;
use crate::{
    model::{EntityId, EntityType, Payload, Schema},
    ordered::OrderedMap,
    policy::Upgrade,
    store::{Marks, RecordRow},
};

/// A struct of the app that is a record.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use sync_core::engine::Entity;
///
/// #[derive(Serialize, Deserialize)]
/// struct FeedLog {
///     id: String,
///     amount_ml: u32,
/// }
///
/// impl Entity for FeedLog {
///     const TYPE: &'static str = "feed_log";
///
///     fn id(&self) -> String {
///         self.id.clone()
///     }
/// }
/// ```
pub trait Entity: Serialize + DeserializeOwned + Send + 'static {
    /// The name of its entity type, on both sides.
    const TYPE: &'static str;

    /// The format version of its JSON, counted from 1. Raise it when the JSON changes, and write an
    /// [`upgrade`](Entity::upgrade).
    const SCHEMA: u32 = 1;

    /// The id of this record within its scope. It must stay the same for the record's life.
    fn id(&self) -> String;

    /// Turns the JSON of an older format version into that of [`SCHEMA`](Entity::SCHEMA).
    ///
    /// It is called for stored records when they are read, and for mutations that were never sent when they are.
    ///
    /// # Errors
    /// In the app's words; the record is then reported as not readable, and the mutation sent as it is.
    ///
    /// Records of a *newer* format version are never handed to an older app's type: they are reported as not readable.
    fn upgrade(from: u32, json: serde_json::Value) -> Result<serde_json::Value, String> {
        Err(format!(
            "no upgrade of {} from format {from} to {}: {json_kind}",
            Self::TYPE,
            Self::SCHEMA,
            json_kind = if json.is_object() {
                "an object"
            } else {
                "no object"
            },
        ))
    }
}

/// A record whose type the app does not know at compile time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untyped {
    /// Its id.
    pub id: EntityId,
    /// Its JSON.
    pub payload: Payload,
    /// The format version of the JSON; 0 where nobody said.
    pub schema: Schema,
    /// What lies over it.
    pub marks: Marks,
}

impl From<RecordRow> for Untyped {
    fn from(row: RecordRow) -> Self {
        Self {
            id: row.key.entity_id,
            payload: row.payload,
            schema: row.schema,
            marks: row.marks,
        }
    }
}

impl RecordRow {
    /// The value of a record: as it is stored, or upgraded, if it is of an older format version.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], also for a record of a newer format version: writing back what this version of the
    /// app understands of it would drop the rest.
    pub fn decode<T: Entity>(&self) -> Result<T, EngineError> {
        let from = self.schema.0;
        let unreadable = |reason: String| EngineError::Unreadable {
            key: self.key.to_string(),
            reason,
        };
        if from > T::SCHEMA {
            return Err(unreadable(format!(
                "it is of format {from}, and this version of the app knows up to {}; update the app",
                T::SCHEMA
            )));
        }
        if from == 0 || from == T::SCHEMA {
            return self.payload.decode().map_err(|e| unreadable(e.to_string()));
        }
        let payload = upgraded::<T>(from, &self.payload).map_err(unreadable)?;
        payload.decode().map_err(|e| unreadable(e.to_string()))
    }
}

/// Turns a payload of an older format version into one of the newest.
type UpgradeFn = fn(u32, &Payload) -> Result<Payload, String>;

fn upgraded<T: Entity>(from: u32, payload: &Payload) -> Result<Payload, String> {
    let json = payload.decode().map_err(|e| e.to_string())?;
    let json = T::upgrade(from, json)?;
    Payload::encode(&json).map_err(|e| e.to_string())
}

/// The upgrades of the entity types that the app has registered.
#[derive(Default)]
pub(super) struct Upgrades {
    by_type: OrderedMap<EntityType, (Schema, UpgradeFn)>,
}

impl Upgrades {
    pub(super) fn register<T: Entity>(&mut self) {
        // A first format has no older ones, and an app without upgrades does without their code.
        if T::SCHEMA > 1 {
            self.by_type
                .insert(T::TYPE.into(), (Schema(T::SCHEMA), upgraded::<T>));
        }
    }
}

impl fmt::Debug for Upgrades {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.by_type.keys()).finish()
    }
}

impl Upgrade for Upgrades {
    fn upgrade(
        &self,
        entity_type: &EntityType,
        schema: Schema,
        payload: &Payload,
    ) -> Result<Option<(Payload, Schema)>, String> {
        let Some((newest, upgrade)) = self.by_type.get(entity_type) else {
            return Ok(None);
        };
        if schema.0 == 0 || schema >= *newest {
            return Ok(None);
        }
        Ok(Some((upgrade(schema.0, payload)?, *newest)))
    }
}
