//! The handle of one scope: what screens and forms work with.

use std::fmt;

use super::{EngineError, Entity, Live, LiveUntyped, SyncEngine, Untyped, shared::Command};
use crate::{
    error::StoreErrorKind,
    model::{EntityId, EntityType, Op, Payload, RecordKey, Schema, Scope},
    store::{Edit, Enqueued, ListRequest, RecordRow},
};

/// How often an edit by function is made anew when the record changes under it.
const EDIT_ATTEMPTS: u32 = 32;

/// One scope of an engine.
#[derive(Clone, Debug, PartialEq)]
pub struct ScopeHandle {
    engine: SyncEngine,
    scope: Scope,
}

impl ScopeHandle {
    pub(super) fn new(engine: SyncEngine, scope: Scope) -> Self {
        Self { engine, scope }
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Makes the scope active for as long as the returned guard lives: it is pulled now, polled, and pulled on the
    /// events that matter. Guards are counted.
    #[must_use = "the scope is active only while the guard lives"]
    pub fn activate(&self) -> Activation {
        self.engine.command(Command::Activate(self.scope.clone()));
        Activation {
            engine: self.engine.clone(),
            scope: self.scope.clone(),
        }
    }

    /// Creates a record. When this returns it is durable, and every handle sees it. One of the same id is replaced.
    ///
    /// # Errors
    /// [`EngineError::Encode`]; those of the store.
    pub async fn create<T: Entity>(&self, value: &T) -> Result<Enqueued, EngineError> {
        self.edits().create(value)?.enqueue_one().await
    }

    /// Replaces a record as a whole. When this returns it is durable, and every handle sees it.
    ///
    /// One that was deleted shows again, marked as revived, but only until the server answers: to the server, the
    /// update of a deleted record is a conflict with its delete. [`create`](Self::create) brings it back for good.
    ///
    /// # Errors
    /// [`EngineError::Encode`]; those of the store.
    pub async fn update<T: Entity>(&self, value: &T) -> Result<Enqueued, EngineError> {
        self.edits().update(value)?.enqueue_one().await
    }

    /// Deletes a record. When this returns it is durable, and every handle sees it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn delete<T: Entity>(
        &self,
        id: impl Into<EntityId>,
    ) -> Result<Enqueued, EngineError> {
        self.edits().delete::<T>(id).enqueue_one().await
    }

    /// Reads a record, changes it and enqueues it, if the view has not moved meanwhile; reads again otherwise.
    /// Returns the new value; none, and does nothing, if there is no such record.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`]; [`EngineError::Contended`] after many attempts; those of the store.
    pub async fn update_with<T: Entity>(
        &self,
        id: impl Into<EntityId>,
        mut change: impl FnMut(&mut T),
    ) -> Result<Option<T>, EngineError> {
        let key = self.key::<T>(id);
        for _ in 0..EDIT_ATTEMPTS {
            let Some(row) = self.engine.shared.store()?.get(key.clone()).await? else {
                return Ok(None);
            };
            let mut value: T = row.decode()?;
            change(&mut value);
            let edit = Edit {
                expect: Some(row.payload),
                ..self.edit(key.clone(), Op::Update(encode(&value)?), T::SCHEMA)
            };
            let shared = &self.engine.shared;
            match shared.enqueue(vec![edit], self.engine.commands()).await {
                Ok(_) => return Ok(Some(value)),
                Err(error) if *error.kind() == StoreErrorKind::Moved => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(EngineError::Contended {
            key: key.to_string(),
        })
    }

    /// Edits to enqueue together: all of them or none. On the server each stands alone.
    pub fn edits(&self) -> Edits<'_> {
        Edits {
            scope: self,
            edits: Vec::new(),
        }
    }

    /// One record as the app sees it; none when there is none.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`]; those of the store.
    pub async fn get<T: Entity>(&self, id: impl Into<EntityId>) -> Result<Option<T>, EngineError> {
        let row = self.engine.shared.store()?.get(self.key::<T>(id)).await?;
        row.as_ref().map(RecordRow::decode).transpose()
    }

    /// All records of a type, by id.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`] for the first that is; those of the store.
    pub async fn list<T: Entity>(&self) -> Result<Vec<T>, EngineError> {
        self.rows(T::TYPE.into())
            .await?
            .iter()
            .map(RecordRow::decode)
            .collect()
    }

    /// How many records of a type there are.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count<T: Entity>(&self) -> Result<u64, EngineError> {
        let entity_type = Some(T::TYPE.into());
        let store = self.engine.shared.store()?;
        Ok(store.count(self.scope.clone(), entity_type).await?)
    }

    /// A list that keeps itself up to date: see [`Live`].
    #[must_use]
    pub fn live<T: Entity>(&self) -> Live<T> {
        Live::new(self.engine.shared.clone(), self.scope.clone())
    }

    /// One record of a type that the app does not know at compile time.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn get_untyped(
        &self,
        entity_type: impl Into<EntityType>,
        id: impl Into<EntityId>,
    ) -> Result<Option<Untyped>, EngineError> {
        let key = RecordKey::new(self.scope.clone(), entity_type, id);
        let row = self.engine.shared.store()?.get(key).await?;
        Ok(row.map(Untyped::from))
    }

    /// All records of a type that the app does not know at compile time, by id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn list_untyped(
        &self,
        entity_type: impl Into<EntityType>,
    ) -> Result<Vec<Untyped>, EngineError> {
        let rows = self.rows(entity_type.into()).await?;
        Ok(rows.into_iter().map(Untyped::from).collect())
    }

    /// As [`live`](Self::live), of a type that the app does not know at compile time.
    #[must_use]
    pub fn live_untyped(&self, entity_type: impl Into<EntityType>) -> LiveUntyped {
        LiveUntyped::new(
            self.engine.shared.clone(),
            self.scope.clone(),
            entity_type.into(),
        )
    }

    /// Puts a record's failed edits back into the outbox, as one new mutation. False if nothing of it is failed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn retry<T: Entity>(&self, id: impl Into<EntityId>) -> Result<bool, EngineError> {
        self.engine.retry(self.key::<T>(id)).await
    }

    /// Drops a record's failed edits: it is then as if they had never been. False if nothing of it is failed.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn discard<T: Entity>(&self, id: impl Into<EntityId>) -> Result<bool, EngineError> {
        Ok(!self.engine.discard(self.key::<T>(id)).await?.is_empty())
    }

    async fn rows(&self, entity_type: EntityType) -> Result<Vec<RecordRow>, EngineError> {
        let request = ListRequest {
            scope: self.scope.clone(),
            entity_type,
            after: None,
            limit: None,
        };
        Ok(self.engine.shared.store()?.list(request).await?)
    }

    fn key<T: Entity>(&self, id: impl Into<EntityId>) -> RecordKey {
        RecordKey::new(self.scope.clone(), T::TYPE, id)
    }

    fn edit(&self, key: RecordKey, op: Op, schema: u32) -> Edit {
        Edit {
            key,
            op,
            schema: Schema(schema),
            expect: None,
        }
    }
}

fn encode<T: Entity>(value: &T) -> Result<Payload, EngineError> {
    Payload::encode(value).map_err(|source| EngineError::Encode {
        entity_type: T::TYPE.to_owned(),
        source,
    })
}

/// Edits that are enqueued together.
#[derive(Debug)]
#[must_use = "nothing is enqueued until `enqueue` is called"]
pub struct Edits<'a> {
    scope: &'a ScopeHandle,
    edits: Vec<Edit>,
}

impl Edits<'_> {
    /// Adds a create.
    ///
    /// # Errors
    /// [`EngineError::Encode`].
    pub fn create<T: Entity>(self, value: &T) -> Result<Self, EngineError> {
        let op = Op::Create(encode(value)?);
        Ok(self.with::<T>(value.id().into(), op))
    }

    /// Adds an update.
    ///
    /// # Errors
    /// [`EngineError::Encode`].
    pub fn update<T: Entity>(self, value: &T) -> Result<Self, EngineError> {
        let op = Op::Update(encode(value)?);
        Ok(self.with::<T>(value.id().into(), op))
    }

    /// Adds a delete.
    pub fn delete<T: Entity>(self, id: impl Into<EntityId>) -> Self {
        self.with::<T>(id.into(), Op::Delete)
    }

    /// Adds an edit of a type that the app does not know at compile time.
    pub fn untyped(
        mut self,
        entity_type: impl Into<EntityType>,
        id: impl Into<EntityId>,
        op: Op,
        schema: Schema,
    ) -> Self {
        let key = RecordKey::new(self.scope.scope.clone(), entity_type, id);
        self.edits.push(self.scope.edit(key, op, schema.0));
        self
    }

    /// Enqueues them: all or none. Returns what became of each.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn enqueue(self) -> Result<Vec<Enqueued>, EngineError> {
        let engine = &self.scope.engine;
        Ok(engine.shared.enqueue(self.edits, engine.commands()).await?)
    }

    async fn enqueue_one(self) -> Result<Enqueued, EngineError> {
        let outcomes = self.enqueue().await?;
        // One edit, one outcome.
        Ok(outcomes.into_iter().next().unwrap_or(Enqueued::Cancelled))
    }

    fn with<T: Entity>(mut self, id: EntityId, op: Op) -> Self {
        let key = RecordKey::new(self.scope.scope.clone(), T::TYPE, id);
        self.edits.push(self.scope.edit(key, op, T::SCHEMA));
        self
    }
}

/// Keeps a scope active while it lives.
pub struct Activation {
    engine: SyncEngine,
    scope: Scope,
}

impl Drop for Activation {
    fn drop(&mut self) {
        self.engine.command(Command::Deactivate(self.scope.clone()));
    }
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Activation").field(&self.scope).finish()
    }
}
