//! The object stores, and how a database gets those that it lacks.
//!
//! The database's own version number only counts its changes of shape: what the library needs and what the app declares
//! are written down in the database itself, and a tab that misses something opens it again with the next number.

use idb::{IndexParams, KeyPath, ObjectStore, ObjectStoreParams};
use js_sys::Array;
use sync_core::{
    error::StoreErrorKind,
    model::{EntityType, RecordKey, Scope},
    ordered::{OrderedMap, OrderedSet},
    store::ScopeRow,
};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::IdbDatabase;

use crate::{
    declared::{Declared, IndexShape, StoredAs},
    error::{Attempt, Failure},
    keys,
    transaction::Tx,
    values,
};

/// The format of what this library writes. A database of a higher one is refused.
pub(crate) const FORMAT: u32 = 1;

/// What there is once: the rows named in [`row`].
pub(crate) const META: &str = "sync_meta";
/// Scopes by name, as the JSON text of their row.
pub(crate) const SCOPES: &str = "sync_scopes";
/// Records of the types that are not declared, by scope, type and id.
pub(crate) const RECORDS: &str = "sync_records";
/// Bases by scope, type and id, as JSON text.
pub(crate) const BASES: &str = "sync_bases";
/// Overlay entries by sequence number.
pub(crate) const ENTRIES: &str = "sync_entries";
/// Conflicts in the order in which they came.
pub(crate) const CONFLICTS: &str = "sync_conflicts";
/// Revoked mutations in the order in which they came.
pub(crate) const REVOKED: &str = "sync_revoked";

const OWN: [&str; 7] = [META, SCOPES, RECORDS, BASES, ENTRIES, CONFLICTS, REVOKED];

/// The rows of [`META`].
pub(crate) mod row {
    /// The JSON text of the core's `Meta`.
    pub(crate) const META: &str = "meta";
    /// The format, a number.
    pub(crate) const FORMAT: &str = "format";
    /// The JSON text of what is declared.
    pub(crate) const SHAPE: &str = "shape";
    /// The JSON text of the lease, where there are no Web Locks.
    pub(crate) const LEASE: &str = "lease";

    /// The mark of the last call of a connection, a number: one of sixteen rows, so that tabs seldom share one and the
    /// rows stay few. Where they do, a mark may be overwritten, and with it the knowledge that a call had committed.
    pub(crate) fn a_mark() -> String {
        format!("mark-{:x}", (js_sys::Math::random() * 16.0) as u8)
    }
}

/// Indexes of the library's.
pub(crate) mod index {
    /// Entries by scope, type and id.
    pub(crate) const RECORD: &str = "record";
    /// Entries, conflicts and revoked mutations by the mutation's id.
    pub(crate) const MUTATION: &str = "mutation";
    /// Entries by scope and state.
    pub(crate) const STATE: &str = "state";
    /// Pending entries by sequence number.
    pub(crate) const OUTBOX: &str = "outbox";
    /// Failed entries by sequence number.
    pub(crate) const FAILED: &str = "failed";
    /// Entries in doubt by scope.
    pub(crate) const DOUBTED: &str = "doubted";
    /// Conflicts by scope.
    pub(crate) const SCOPE: &str = "scope";
}

/// Where the records of a type are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    pub(crate) store: &'a str,
    /// The type whose records alone are there; none where those of all other types are.
    pub(crate) declared: Option<&'a EntityType>,
}

impl Place<'_> {
    /// The key of a record that lies there.
    pub(crate) fn key(&self, key: &RecordKey) -> JsValue {
        match self.declared {
            Some(_) => keys::array(&[key.scope.as_str(), key.entity_id.as_str()]),
            None => keys::record(key),
        }
    }
}

/// The entity types that have an object store of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Shape(OrderedMap<EntityType, StoredAs>);

impl Shape {
    /// The shape that an app declares.
    pub(crate) fn declared(types: &[Declared]) -> Attempt<Self> {
        let mut shape = OrderedMap::new();
        let mut stores = OrderedSet::new();
        for declared in types {
            let Declared {
                entity_type,
                stored,
            } = declared;
            let name = &stored.store;
            if name.starts_with("sync_") {
                return Err(Failure::refused(
                    StoreErrorKind::Invalid,
                    format!(
                        "an object store is declared as {name:?}; such names are the library's"
                    ),
                ));
            }
            for (index, IndexShape { path, .. }) in &stored.indexes {
                if let Some(unknown) = path.unknown() {
                    return Err(Failure::refused(
                        StoreErrorKind::Invalid,
                        format!(
                            "index {index:?} of {name:?} is over {unknown:?}, which no record has: what the app stores \
                             is under `payload`, as in \"payload.{unknown}\""
                        ),
                    ));
                }
            }
            let is_first = shape.insert(entity_type.clone(), stored.clone()).is_none();
            if !is_first || !stores.insert(name.clone()) {
                return Err(Failure::refused(
                    StoreErrorKind::Invalid,
                    format!("type {entity_type}, or its object store {name:?}, is declared twice"),
                ));
            }
        }
        Ok(Self(shape))
    }

    /// This shape with all that `wanted` adds or changes. What `wanted` does not name stays: an older version of the
    /// app, in another tab, needs no more than there is, and the two do not take turns in changing it.
    pub(crate) fn extended(&self, wanted: &Self) -> Self {
        let mut all = self.0.clone();
        for (entity_type, stored) in &wanted.0 {
            let kept = all.get_or_insert_with(entity_type.clone(), || stored.clone());
            kept.store.clone_from(&stored.store);
            kept.indexes.extend(stored.indexes.clone());
        }
        Self(all)
    }

    pub(crate) fn place(&self, entity_type: &EntityType) -> Place<'_> {
        match self.0.get_key_value(entity_type) {
            Some((declared, stored)) => Place {
                store: &stored.store,
                declared: Some(declared),
            },
            None => Place {
                store: RECORDS,
                declared: None,
            },
        }
    }

    /// All places, in a fixed order; that of the types that are not declared is the first.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place<'_>> {
        let rest = Place {
            store: RECORDS,
            declared: None,
        };
        let declared = self.0.iter().map(|(entity_type, stored)| Place {
            store: &stored.store,
            declared: Some(entity_type),
        });
        std::iter::once(rest).chain(declared)
    }

    /// The names of all object stores.
    pub(crate) fn stores(&self) -> Vec<&str> {
        let declared = self.0.values().map(|stored| stored.store.as_str());
        OWN.into_iter().chain(declared).collect()
    }
}

/// Whether this is a database of the library's; a new one is not, yet.
pub(crate) fn is_ours(database: &IdbDatabase) -> bool {
    database.object_store_names().contains(META)
}

/// Reads what there is, within a transaction that has [`META`].
pub(crate) async fn read(tx: &Tx) -> Attempt<(u32, Shape)> {
    let format = tx.get(META, row::FORMAT.into())?;
    let shape = tx.get(META, row::SHAPE.into())?;
    let format = format.await?.as_f64().unwrap_or_default();
    let shape = values::decoded("the declared types", &shape.await?)?;
    Ok((format as u32, shape.unwrap_or_default()))
}

/// Refuses a database that a newer version of the library has written.
pub(crate) fn check_format(format: u32) -> Attempt<()> {
    if format > FORMAT {
        return Err(Failure::refused(
            StoreErrorKind::NewerFormat,
            format!("it has format {format}, this library knows {FORMAT}"),
        ));
    }
    Ok(())
}

/// Makes the object stores and indexes that are missing, and moves the records whose type has got another place.
pub(crate) async fn upgrade(database: &IdbDatabase, tx: &Tx, wanted: &Shape) -> Attempt<()> {
    let database = idb::Database::from(database.clone());
    let names = database.store_names();
    let before = if names.is_empty() {
        create(&database)?;
        Shape::default()
    } else if names.iter().any(|name| name == META) {
        let (format, shape) = read(tx).await?;
        check_format(format)?;
        shape
    } else {
        return Err(Failure::refused(
            StoreErrorKind::Invalid,
            "a database of this name belongs to something else",
        ));
    };
    let after = before.extended(wanted);
    let mut places_changed = false;
    for (entity_type, stored) in &after.0 {
        let from = before.place(entity_type);
        let is_new = from.store != stored.store;
        let store = if is_new {
            let paths = ["scope", "id"];
            let mut params = ObjectStoreParams::new();
            params.key_path(Some(KeyPath::new_array(paths)));
            database.create_object_store(&stored.store, params)?
        } else {
            tx.store(&stored.store)?
        };
        let old = before.0.get(entity_type).filter(|_| !is_new);
        index_as(&store, old, stored)?;
        if is_new {
            move_records(tx, from, &store, entity_type).await?;
            places_changed = true;
            if from.declared.is_some() {
                database.delete_object_store(from.store)?;
            }
        }
    }
    if places_changed {
        sweep_anew(tx).await?;
    }
    let shape = values::encoded("the declared types", &after)?;
    tx.put(META, &FORMAT.into(), Some(&row::FORMAT.into()))?;
    tx.put(META, &shape.into(), Some(&row::SHAPE.into()))
}

fn create(database: &idb::Database) -> Attempt<()> {
    let plain = |name| database.create_object_store(name, ObjectStoreParams::new());
    let counted = |name| {
        let mut params = ObjectStoreParams::new();
        params.auto_increment(true);
        database.create_object_store(name, params)
    };
    let one = KeyPath::new_single;
    let unique = || {
        let mut params = IndexParams::new();
        params.unique(true);
        Some(params)
    };
    for name in [META, SCOPES, BASES] {
        plain(name)?;
    }
    let mut params = ObjectStoreParams::new();
    params.key_path(Some(KeyPath::new_array(["scope", "type", "id"])));
    database.create_object_store(RECORDS, params)?;
    let entries = plain(ENTRIES)?;
    let record = KeyPath::new_array(["scope", "type", "id"]);
    entries.create_index(index::RECORD, record, None)?;
    entries.create_index(index::MUTATION, one("mutation"), unique())?;
    let state = KeyPath::new_array(["scope", "state"]);
    entries.create_index(index::STATE, state, None)?;
    // An index leaves out what has no such property: each of these holds only what is in that state.
    for name in [index::OUTBOX, index::FAILED, index::DOUBTED] {
        entries.create_index(name, one(name), None)?;
    }
    let conflicts = counted(CONFLICTS)?;
    conflicts.create_index(index::MUTATION, one("mutation"), unique())?;
    conflicts.create_index(index::SCOPE, one("scope"), None)?;
    let revoked = counted(REVOKED)?;
    revoked.create_index(index::MUTATION, one("mutation"), unique())?;
    Ok(())
}

/// Makes the indexes that are missing, and those anew that are about something else now.
fn index_as(store: &ObjectStore, old: Option<&StoredAs>, new: &StoredAs) -> Attempt<()> {
    for (name, shape) in &new.indexes {
        let there = old.and_then(|old| old.indexes.get(name));
        if there == Some(shape) {
            continue;
        }
        if there.is_some() {
            store.delete_index(name)?;
        }
        let mut params = IndexParams::new();
        params.multi_entry(shape.each);
        store.create_index(name, (&shape.path).into(), Some(params))?;
    }
    Ok(())
}

/// How many records are moved at a time.
const PIECE: u32 = 500;

/// Moves the records of a type to an object store of their own.
async fn move_records(
    tx: &Tx,
    from: Place<'_>,
    to: &ObjectStore,
    entity_type: &EntityType,
) -> Attempt<()> {
    if from.declared.is_some() {
        let mut after = None;
        loop {
            let range = after.as_ref().map(keys::after).transpose()?;
            let piece: Array = tx
                .all(from.store, range, Some(PIECE))?
                .await?
                .unchecked_into();
            let Some(last) = put_all(to, &piece)? else {
                return Ok(());
            };
            after = Some(keys::array_of(&[
                &values::property(&last, "scope"),
                &values::property(&last, "id"),
            ]));
        }
    }
    let mut scope = None;
    while let Some(next) = next_scope(tx, scope.as_deref()).await? {
        let of_type = keys::within(&[&next, entity_type.as_str()])?;
        loop {
            let piece = tx.all(RECORDS, Some(of_type.clone()), Some(PIECE))?;
            let piece: Array = piece.await?.unchecked_into();
            let Some(last) = put_all(to, &piece)? else {
                break;
            };
            let last = values::property(&last, "id");
            let first = keys::array(&[&next, entity_type.as_str(), ""]);
            let last =
                keys::array_of(&[&next.as_str().into(), &entity_type.as_str().into(), &last]);
            tx.delete(RECORDS, keys::between(&first, &last)?)?;
        }
        scope = Some(next);
    }
    Ok(())
}

fn put_all(to: &ObjectStore, values: &Array) -> Attempt<Option<JsValue>> {
    let mut last = None;
    for value in values.iter() {
        to.put(&value, None)?;
        last = Some(value);
    }
    Ok(last)
}

/// The first scope after this one that has records of types without a place of their own.
async fn next_scope(tx: &Tx, after: Option<&str>) -> Attempt<Option<String>> {
    let range = match after {
        Some(scope) => Some(keys::after_all_of(&[scope])?),
        None => None,
    };
    let found: Array = tx
        .all_keys(RECORDS, range, Some(1))?
        .await?
        .unchecked_into();
    let key = found.get(0);
    Ok(key
        .dyn_ref::<Array>()
        .and_then(|key| key.get(0).as_string()))
}

/// Lets every sweep under way look at all records again: the order in which it goes from place to place has changed.
async fn sweep_anew(tx: &Tx) -> Attempt<()> {
    for text in values::items(tx.all(SCOPES, None, None)?.await?) {
        let Some(mut row) = values::decoded::<ScopeRow>("a scope", &text)? else {
            continue;
        };
        if let Some(resync) = &mut row.resync
            && resync.swept.take().is_some()
        {
            let key = JsValue::from(Scope::as_str(&row.scope));
            tx.put(
                SCOPES,
                &values::encoded("a scope", &row)?.into(),
                Some(&key),
            )?;
        }
    }
    Ok(())
}
