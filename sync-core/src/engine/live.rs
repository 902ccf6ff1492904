//! Live lists: what a screen shows, kept up to date.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};

use super::{EngineError, Entity, Untyped, shared::Shared};
use crate::{
    error::StoreError,
    model::{EntityId, EntityType, RecordKey, Scope},
    ordered::OrderedSet,
    platform::{EngineStream, boxed_stream},
    store::{ListRequest, Marks, RecordRow},
};

/// An entry of a live list.
#[derive(Debug)]
pub struct Item<T> {
    /// The record's id.
    pub id: EntityId,
    /// Its value, or why the stored JSON does not fit the type.
    pub value: Result<T, EngineError>,
    /// What lies over it.
    pub marks: Marks,
    /// Whether a conflict about it has not been acknowledged yet.
    pub conflict: bool,
}

impl<T> Item<T> {
    /// Whether an edit of it waits for the server.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.marks.contains(Marks::PENDING)
    }

    /// Whether an edit of it was set aside.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        self.marks.contains(Marks::FAILED)
    }
}

/// The records of a scope and type with the ids of those in conflict.
async fn read(
    shared: &Shared,
    scope: &Scope,
    entity_type: &EntityType,
) -> Result<(Vec<RecordRow>, OrderedSet<RecordKey>), StoreError> {
    let rows = shared
        .store()?
        .list(ListRequest {
            scope: scope.clone(),
            entity_type: entity_type.clone(),
            after: None,
            limit: None,
        })
        .await?;
    let conflicts = shared.store()?.conflicts(Some(scope.clone())).await?;
    Ok((rows, conflicts.into_iter().map(|c| c.key).collect()))
}

fn watch<I: Send + 'static>(
    shared: Arc<Shared>,
    scope: Scope,
    entity_type: EntityType,
    item: fn(RecordRow, bool) -> I,
) -> EngineStream<Result<Vec<I>, StoreError>> {
    let seen = shared.hub.watch_view(&scope, &entity_type);
    let state = (shared, scope, entity_type, seen, true);
    boxed_stream(futures::stream::unfold(
        state,
        move |(shared, scope, entity_type, mut seen, first)| async move {
            if !first {
                seen.changed().await.ok()?;
            }
            // Marked as seen before reading, so that a commit in between brings another item.
            seen.borrow_and_update();
            let list = read(&shared, &scope, &entity_type)
                .await
                .map(|(rows, conflicts)| {
                    rows.into_iter()
                        .map(|row| {
                            let conflict = conflicts.contains(&row.key);
                            item(row, conflict)
                        })
                        .collect()
                });
            Some((list, (shared, scope, entity_type, seen, false)))
        },
    ))
}

/// A list of all records of a type in a scope, by id: at once, and again after every commit that touches it.
///
/// Only the newest list is kept for a slow reader; what it reads last is never out of date. An item is an error
/// when the database could not be read; the next comes with the next commit.
pub struct Live<T> {
    inner: EngineStream<Result<Vec<Item<T>>, StoreError>>,
}

impl<T: Entity> Live<T> {
    pub(super) fn new(shared: Arc<Shared>, scope: Scope) -> Self {
        let inner = watch(shared, scope, T::TYPE.into(), |row, conflict| Item {
            value: row.decode(),
            id: row.key.entity_id,
            marks: row.marks,
            conflict,
        });
        Self { inner }
    }
}

impl<T> Stream for Live<T> {
    type Item = Result<Vec<Item<T>>, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(cx)
    }
}

impl<T> fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

/// As [`Live`], of a type that the app does not know at compile time.
pub struct LiveUntyped {
    inner: EngineStream<Result<Vec<Item<Untyped>>, StoreError>>,
}

impl LiveUntyped {
    pub(super) fn new(shared: Arc<Shared>, scope: Scope, entity_type: EntityType) -> Self {
        let inner = watch(shared, scope, entity_type, |row, conflict| Item {
            id: row.key.entity_id.clone(),
            marks: row.marks,
            value: Ok(row.into()),
            conflict,
        });
        Self { inner }
    }
}

impl Stream for LiveUntyped {
    type Item = Result<Vec<Item<Untyped>>, StoreError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.poll_next_unpin(cx)
    }
}

impl fmt::Debug for LiveUntyped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveUntyped").finish_non_exhaustive()
    }
}
