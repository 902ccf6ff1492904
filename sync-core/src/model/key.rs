//! What identifies an account, a scope and a record.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::text::Text;

macro_rules! text_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Text);

        impl $name {
            #[doc = concat!("A `", stringify!($name), "` of this text; any text is allowed, the empty one too.")]
            #[must_use]
            pub fn new(text: impl Into<Text>) -> Self {
                Self(text.into())
            }

            /// The text as a string slice.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The same value in a buffer of its own.
            #[must_use]
            pub fn detached(&self) -> Self {
                Self(self.0.detached())
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(Text::from(text))
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Text::from(text))
            }
        }

        impl From<Text> for $name {
            fn from(text: Text) -> Self {
                Self(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                self.as_str()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use text_newtype;

text_newtype! {
    /// The unit of sharing, access and ordering: a baby, a project, a document. Each has a change log of its own.
    Scope
}

text_newtype! {
    /// The kind of a record, as both sides name it: `feed_log`.
    EntityType
}

text_newtype! {
    /// The id of a record within its scope and entity type. The app makes it, a UUID as a rule.
    EntityId
}

text_newtype! {
    /// Whom a database belongs to: the account id that the token source gives, never a token.
    Account
}

/// What names one record: its scope, its entity type and its id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordKey {
    /// The scope that the record belongs to.
    pub scope: Scope,
    /// The kind of the record.
    pub entity_type: EntityType,
    /// The id of the record.
    pub entity_id: EntityId,
}

impl RecordKey {
    /// The key made of its three parts.
    #[must_use]
    pub fn new(
        scope: impl Into<Scope>,
        entity_type: impl Into<EntityType>,
        entity_id: impl Into<EntityId>,
    ) -> Self {
        Self {
            scope: scope.into(),
            entity_type: entity_type.into(),
            entity_id: entity_id.into(),
        }
    }

    /// The same key in buffers of its own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            scope: self.scope.detached(),
            entity_type: self.entity_type.detached(),
            entity_id: self.entity_id.detached(),
        }
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.scope, self.entity_type, self.entity_id)
    }
}
