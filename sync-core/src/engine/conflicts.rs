//! Conflicts, typed: both sides as the app's struct, and a function of the app that makes one record of them.

use std::{fmt, marker::PhantomData};

use super::{EngineError, Entity};
use crate::{
    model::Payload,
    policy::{Choice, Contest, Resolve},
    store::Conflict,
};

/// The sides of a [`Conflict`] as the app's struct; see [`Conflict::sides`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sides<T> {
    /// What the edit was made over; none where that is not known, or was no record.
    pub base: Option<T>,
    /// What the user had written; none if it was a delete.
    pub mine: Option<T>,
    /// What the server held; none if it was deleted.
    pub theirs: Option<T>,
}

impl Conflict {
    /// Both sides, and what they come from, as the app's struct.
    ///
    /// # Errors
    /// [`EngineError::Unreadable`], when a side does not fit the type.
    pub fn sides<T: Entity>(&self) -> Result<Sides<T>, EngineError> {
        let side = |payload: &Option<Payload>| {
            let value = payload.as_ref().map(Payload::decode).transpose();
            value.map_err(|error| EngineError::Unreadable {
                key: self.key.to_string(),
                reason: error.to_string(),
            })
        };
        Ok(Sides {
            base: side(&self.base)?,
            mine: side(&self.mine)?,
            theirs: side(&self.theirs)?,
        })
    }
}

/// Resolves conflicts about records of type `T` by a function of (base, mine, theirs).
pub(super) struct MergeOf<T, F> {
    merge: F,
    of: PhantomData<fn() -> T>,
}

impl<T, F> MergeOf<T, F>
where
    T: Entity,
    F: Fn(Option<T>, T, T) -> T,
{
    pub(super) fn new(merge: F) -> Self {
        Self {
            merge,
            of: PhantomData,
        }
    }

    /// The merged record; none where a side is a delete or cannot be read.
    fn merged(&self, contest: &Contest<'_>) -> Option<Payload> {
        // What a newer version of the app wrote has fields that this one would drop.
        if contest.theirs.schema.0 > T::SCHEMA {
            return None;
        }
        let mine = contest.mine.payload()?.decode().ok()?;
        let theirs = read(contest.theirs.payload.as_ref()?, contest.theirs.schema.0)?;
        let base = contest.base.and_then(|base| base.decode().ok());
        Payload::encode(&(self.merge)(base, mine, theirs)).ok()
    }
}

fn read<T: Entity>(payload: &Payload, schema: u32) -> Option<T> {
    if schema == 0 || schema == T::SCHEMA {
        return payload.decode().ok();
    }
    let json = T::upgrade(schema, payload.decode().ok()?).ok()?;
    serde_json::from_value(json).ok()
}

impl<T, F> Resolve for MergeOf<T, F>
where
    T: Entity,
    F: Fn(Option<T>, T, T) -> T + Send + Sync,
{
    fn resolve(&self, contest: &Contest<'_>) -> Choice {
        self.merged(contest).map_or(Choice::Theirs, Choice::Merged)
    }
}

impl<T: Entity, F> fmt::Debug for MergeOf<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MergeOf").field(&T::TYPE).finish()
    }
}
