//! Putting the stored records into tables that are new, or newly shaped.

use rusqlite::Connection;
use sync_core::{
    error::{StoreError, StoreErrorKind},
    model::EntityType,
};

use super::{
    Database, Flush, Rows,
    project::{Replay, Views, commit_projected},
    transaction::{begin_write, guarded},
};
use crate::{
    error::{Attempt, Failure},
    projection::Projection,
};

/// How many records are put in one transaction, so that no other process waits for long.
const PAGE: u32 = 1_000;

impl Database {
    /// Brings the app's tables to the versions that its projections have now. An interrupted replay goes on where
    /// it was.
    pub(crate) fn replay(&mut self) -> Result<(), StoreError> {
        self.forget_unregistered()?;
        let projections = self.projections.clone();
        for (entity_type, projection) in projections.iter() {
            self.replay_type(entity_type, &**projection)?;
        }
        // A child may have been put before its parent's type was.
        while !projections.is_empty() && self.retry_marked()? {}
        Ok(())
    }

    /// What happens to a type's records while it has no projection is not projected: should it get one again, all
    /// of them are.
    fn forget_unregistered(&mut self) -> Result<(), StoreError> {
        let projections = self.projections.clone();
        let unregistered = self.read("reading the projections", |rows| {
            let mut query = rows
                .conn
                .prepare("SELECT type FROM sync_store_projections")?;
            let types = query.query_map([], |row| row.get::<_, String>(0))?;
            let types: Vec<String> = types.collect::<Result<_, _>>()?;
            let unregistered = |name: &String| projections.get(&name.as_str().into()).is_none();
            Ok(types.into_iter().filter(unregistered).collect::<Vec<_>>())
        })?;
        if unregistered.is_empty() {
            return Ok(());
        }
        self.transact("forgetting projections", |conn| {
            for name in &unregistered {
                conn.execute("DELETE FROM sync_store_projections WHERE type = ?1", [name])?;
                conn.execute("DELETE FROM sync_store_unprojected WHERE type = ?1", [name])?;
            }
            Ok(())
        })
    }

    fn replay_type(
        &mut self,
        entity_type: &EntityType,
        projection: &dyn Projection,
    ) -> Result<(), StoreError> {
        let version = projection.version();
        let stored = self.read("reading a projection", |rows| rows.replay(entity_type))?;
        if stored.is_none_or(|stored| stored.version != version) {
            // A table that others refer to may be made anew: their rows find the new ones by the end of the replay.
            self.enforce_foreign_keys(false)?;
            let prepared = self.transact("preparing the tables of a projection", |conn| {
                prepare(conn, projection)?;
                conn.execute(
                    "DELETE FROM sync_store_unprojected WHERE type = ?1",
                    [entity_type.as_str()],
                )?;
                let start = Replay {
                    version,
                    at: Some(0),
                };
                Rows::new(conn).set_replay(entity_type, &start)
            });
            self.enforce_foreign_keys(true)?;
            prepared?;
        }
        while self.replay_page(entity_type)? {}
        Ok(())
    }

    /// SQLite takes the setting between transactions only.
    fn enforce_foreign_keys(&self, enforce: bool) -> Result<(), StoreError> {
        self.conn
            .pragma_update(None, "foreign_keys", enforce)
            .map_err(|error| Failure::from(error).during("setting up foreign keys"))
    }

    /// Puts the next records of a type; false once none is left.
    fn replay_page(&mut self, entity_type: &EntityType) -> Result<bool, StoreError> {
        self.flush(Flush::Later)
            .and_then(|()| {
                guarded(|| {
                    let transaction = begin_write(&self.conn)?;
                    let rows = Rows::new(&self.conn);
                    let Some(Replay {
                        version,
                        at: Some(at),
                    }) = rows.replay(entity_type)?
                    else {
                        return Ok(false);
                    };
                    let (views, last) = rows.records_after(entity_type, at, PAGE)?;
                    rows.set_replay(entity_type, &Replay { version, at: last })?;
                    commit_projected(transaction, &rows, &self.projections, views, false)?;
                    Ok(last.is_some())
                })
            })
            .map_err(|failure| failure.during("replaying records into a projection"))
    }

    /// Tries marked records again; false when that has helped none of them, or none is left.
    fn retry_marked(&mut self) -> Result<bool, StoreError> {
        let marked = |rows: &Rows<'_>| Ok(rows.unprojected(-1)?.len());
        let before = self.read("counting records left out", marked)?;
        if before == 0 {
            return Ok(false);
        }
        guarded(|| {
            let transaction = begin_write(&self.conn)?;
            let rows = Rows::new(&self.conn);
            commit_projected(transaction, &rows, &self.projections, Views::new(), true)
        })
        .map_err(|failure| failure.during("projecting records again"))?;
        Ok(self.read("counting records left out", marked)? < before)
    }
}

fn prepare(conn: &Connection, projection: &dyn Projection) -> Attempt<()> {
    projection.prepare(conn).map_err(|error| {
        StoreError::new(
            StoreErrorKind::App,
            "a projection could not prepare its tables",
        )
        .with_source(error)
    })?;
    Ok(())
}
