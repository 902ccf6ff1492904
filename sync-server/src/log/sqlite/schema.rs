//! The tables, and how a file comes to have them.

use rusqlite::{Connection, TransactionBehavior};
use sync_core::error::{StoreError, StoreErrorKind};

use super::failed;

/// Tells a change log from other SQLite files: "SYNL".
const APPLICATION_ID: i32 = 0x5359_4e4c;

/// What brings a file from one version to the next; the version is how many of them it has had.
const MIGRATIONS: [&str; 2] = [
    "
    create table scopes (
        id integer primary key,
        scope text not null unique,
        head integer not null,
        made integer not null,
        removed integer not null,
        epoch text not null,
        past text not null
    ) strict;

    -- The newest change of each record. Type and id come first in its key, so that a record is found without its scope.
    create table records (
        scope integer not null references scopes (id),
        entity_type text not null,
        entity_id text not null,
        seq integer not null,
        created integer not null,
        payload text,
        schema integer not null,
        mutation_id blob not null,
        account text not null,
        merged integer not null,
        edited integer not null,
        made integer not null,
        overwritten text,
        oldest_mark integer
    ) strict;
    create unique index records_by_key on records (entity_type, entity_id, scope);
    create unique index records_by_seq on records (scope, seq);
    create index records_removed on records (made) where payload is null;
    create index records_overwritten on records (oldest_mark) where oldest_mark is not null;

    -- When each change was made, the superseded ones too.
    create table moments (
        scope integer not null references scopes (id),
        seq integer not null,
        made integer not null,
        primary key (scope, seq)
    ) strict, without rowid;
    create index moments_by_time on moments (made);

    create table verdicts (
        mutation_id blob not null primary key,
        account text not null,
        scope text not null,
        entity_type text not null,
        entity_id text not null,
        fingerprint integer not null,
        outcome text not null,
        seq integer,
        merged integer,
        reason text,
        made integer not null
    ) strict;
    create index verdicts_by_time on verdicts (made);

    -- A member without a role has been revoked.
    create table members (
        scope text not null,
        account text not null,
        role text,
        primary key (scope, account)
    ) strict, without rowid;
",
    // The edits of others that a merge has left in a record.
    "alter table records add column included text;",
];

/// Brings the file to this version of the library.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed("opening the change log"))?;
    let pragma = |name| {
        transaction
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(failed("reading the version of the change log"))
    };
    let (id, version) = (pragma("application_id")?, pragma("user_version")?);
    let done = match usize::try_from(version) {
        Ok(0) if id == 0 => 0,
        Ok(done) if id == i64::from(APPLICATION_ID) => done,
        _ => {
            return Err(StoreError::new(
                StoreErrorKind::Invalid,
                "the file is a database of something else than a change log",
            ));
        }
    };
    let Some(steps) = MIGRATIONS.get(done..) else {
        let known = MIGRATIONS.len();
        return Err(StoreError::new(
            StoreErrorKind::NewerFormat,
            format!("the change log is of version {done}, and only {known} is known here"),
        ));
    };
    for step in steps {
        transaction
            .execute_batch(step)
            .map_err(failed("creating the tables of the change log"))?;
    }
    transaction
        .pragma_update(None, "application_id", APPLICATION_ID)
        .and_then(|()| transaction.pragma_update(None, "user_version", MIGRATIONS.len() as i64))
        .and_then(|()| transaction.commit())
        .map_err(failed("storing the version of the change log"))
}
