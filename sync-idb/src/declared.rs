//! What an app declares of its entity types: which have an object store of their own, and with which indexes.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{SeqAccess, Visitor},
};
use sync_core::{model::EntityType, ordered::OrderedMap};

/// An entity type whose records have an object store of their own, for the app's indexes.
///
/// An index names paths into the stored value, which has these properties: `scope`, `id`, `payload` (the record's
/// JSON, as an object), `schema`, and `marks` while something lies over the record.
///
/// ```no_run
/// # #[cfg(target_arch = "wasm32")] {
/// use sync_idb::Declared;
///
/// let feeds = Declared::new("feed_log", "feeds")
///     .index("by_time", ["scope", "payload.startedAt"])
///     .index("by_kind", "payload.kind")
///     .index_each("by_tag", "payload.tags");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Declared {
    pub(crate) entity_type: EntityType,
    pub(crate) stored: StoredAs,
}

/// How the records of a declared type are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredAs {
    pub(crate) store: String,
    pub(crate) indexes: OrderedMap<String, IndexShape>,
}

/// An index of the app's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexShape {
    pub(crate) path: IndexPath,
    /// Whether each element of an array has an entry of its own.
    #[serde(default)]
    pub(crate) each: bool,
}

/// What an index is about: one path into the stored value, or several that are compared one after another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct IndexPath(Paths);

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Paths {
    One(String),
    Several(Vec<String>),
}

impl<'de> Deserialize<'de> for IndexPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyPath)
    }
}

/// The properties of a stored value.
const PROPERTIES: [&str; 8] = [
    "scope",
    "id",
    "payload",
    "schema",
    "generation",
    "seq",
    "marks",
    "text",
];

/// Reads one path or several. What serde derives for this takes far more code.
struct AnyPath;

impl<'de> Visitor<'de> for AnyPath {
    type Value = IndexPath;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path or several")
    }

    fn visit_str<E>(self, path: &str) -> Result<IndexPath, E> {
        Ok(path.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut paths: A) -> Result<IndexPath, A::Error> {
        let mut several = Vec::new();
        while let Some(path) = paths.next_element()? {
            several.push(path);
        }
        Ok(IndexPath(Paths::Several(several)))
    }
}

impl IndexPath {
    /// The first path that begins with no property of a stored value: such an index would never hold anything.
    pub(crate) fn unknown(&self) -> Option<&str> {
        let paths = match &self.0 {
            Paths::One(path) => std::slice::from_ref(path),
            Paths::Several(paths) => paths,
        };
        let mut paths = paths.iter().map(String::as_str);
        paths.find(|path| {
            let property = path.split('.').next().unwrap_or_default();
            !PROPERTIES.contains(&property)
        })
    }
}

impl From<&str> for IndexPath {
    fn from(path: &str) -> Self {
        Self(Paths::One(path.to_owned()))
    }
}

impl<const N: usize> From<[&str; N]> for IndexPath {
    fn from(paths: [&str; N]) -> Self {
        Self(Paths::Several(
            paths.into_iter().map(str::to_owned).collect(),
        ))
    }
}

impl From<&IndexPath> for idb::KeyPath {
    fn from(path: &IndexPath) -> Self {
        match &path.0 {
            Paths::One(path) => Self::new_single(path),
            Paths::Several(paths) => Self::new_array(paths.iter().map(String::as_str)),
        }
    }
}

impl Declared {
    /// Records of this type lie in an object store of this name. Names that begin with `sync_` are the library's.
    #[must_use]
    pub fn new(entity_type: impl Into<EntityType>, store: impl Into<String>) -> Self {
        Self {
            entity_type: entity_type.into(),
            stored: StoredAs {
                store: store.into(),
                indexes: OrderedMap::new(),
            },
        }
    }

    /// Adds an index. It holds the records that have all of its paths, with values that IndexedDB takes as keys.
    #[must_use]
    pub fn index(self, name: impl Into<String>, path: impl Into<IndexPath>) -> Self {
        self.with(name.into(), path.into(), false)
    }

    /// Adds an index that has an entry for each element of the array at the path (`multiEntry`).
    #[must_use]
    pub fn index_each(self, name: impl Into<String>, path: &str) -> Self {
        self.with(name.into(), path.into(), true)
    }

    fn with(mut self, name: String, path: IndexPath, each: bool) -> Self {
        self.stored.indexes.insert(name, IndexShape { path, each });
        self
    }
}
