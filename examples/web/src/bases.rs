//! The bases, read past the engine: they have no role of their own, as no app needs them.

use idb::{Factory, TransactionMode};
use js_sys::Array;
use sync_core::{model::RecordKey, store::BaseRow};

/// The object store of them.
const BASES: &str = "sync_bases";

/// The bases in a database: read by a second connection, closed again at once so that it never stands in the way of a
/// newer version of the app.
pub(crate) async fn read(database: &str) -> Result<Vec<(RecordKey, BaseRow)>, idb::Error> {
    let database = Factory::new()?.open(database, None)?.await?;
    let transaction = database.transaction(&[BASES], TransactionMode::ReadOnly)?;
    let bases = transaction.object_store(BASES)?;
    let (keys, rows) = (bases.get_all_keys(None, None)?, bases.get_all(None, None)?);
    let (keys, rows) = (keys.await?, rows.await?);
    database.close();
    let pairs = keys.into_iter().zip(rows);
    Ok(pairs
        .filter_map(|(key, row)| {
            let parts: Vec<_> = Array::from(&key)
                .iter()
                .map(|part| part.as_string())
                .collect();
            let [Some(scope), Some(entity_type), Some(id)] = parts.as_slice() else {
                return None;
            };
            let key = RecordKey::new(scope.as_str(), entity_type.as_str(), id.as_str());
            Some((key, serde_json::from_str(&row.as_string()?).ok()?))
        })
        .collect())
}
