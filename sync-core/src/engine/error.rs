//! The errors of the handle.

use crate::{error::StoreError, model::InvalidPayload};

/// Why a call of the engine's handle failed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The database could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The value cannot be written as JSON.
    #[error("the {entity_type} cannot be written as JSON")]
    Encode {
        /// Its entity type.
        entity_type: String,
        /// What serde said.
        source: InvalidPayload,
    },
    /// The stored JSON does not fit the app's type.
    #[error("{key} cannot be read: {reason}")]
    Unreadable {
        /// The record.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// The record kept changing while an edit of it was made. Try again.
    #[error("{key} kept changing while it was edited; try again")]
    Contended {
        /// The record.
        key: String,
    },
    /// The builder lacks something; the message says what.
    #[error("the engine cannot be opened: {0}")]
    Incomplete(&'static str),
}
