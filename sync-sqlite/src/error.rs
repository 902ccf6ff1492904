//! What can fail inside a call, and the store error that it becomes.

use rusqlite::{ErrorCode, ffi};
use sync_core::error::{StoreError, StoreErrorKind};

/// A result inside a transaction.
pub(crate) type Attempt<T> = Result<T, Failure>;

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A rule of the core refused.
    Refused(StoreError),
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// A row holds what this version cannot read: which, and where in it.
    Unreadable(String),
}

impl Failure {
    /// A row whose JSON does not decode. The words of the decoder may quote a payload, so only the place is kept.
    pub(crate) fn undecodable(what: &str, error: &serde_json::Error) -> Self {
        Self::Unreadable(format!(
            "{what}: {:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    }

    /// The store error for a caller who was doing `what`.
    pub(crate) fn during(self, what: &str) -> StoreError {
        match self {
            Self::Refused(error) => error,
            Self::Unreadable(row) => {
                StoreError::new(StoreErrorKind::Corrupt, format!("{what}: {row}"))
            }
            Self::Sqlite(error) => {
                StoreError::new(kind(&error), format!("{what}: {}", words(&error)))
                    .with_source(error)
            }
        }
    }

    /// Whether a commit was refused because rows refer to rows that are not there.
    pub(crate) fn is_foreign_key(&self) -> bool {
        matches!(
            self,
            Self::Sqlite(error)
                if error.sqlite_error().is_some_and(
                    |e| e.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY
                )
        )
    }

    pub(crate) fn is_busy(&self) -> bool {
        matches!(self, Self::Sqlite(error) if kind(error) == StoreErrorKind::Busy)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Whether an error comes from the circumstances (the disk, a lock) and not from what was asked.
pub(crate) fn is_circumstance(error: &rusqlite::Error) -> bool {
    matches!(
        kind(error),
        StoreErrorKind::Full | StoreErrorKind::Busy | StoreErrorKind::Unavailable
    )
}

fn kind(error: &rusqlite::Error) -> StoreErrorKind {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::Busy,
        Some(
            ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::SystemIoFailure
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed
            | ErrorCode::NoLargeFileSupport
            | ErrorCode::OutOfMemory
            | ErrorCode::OperationInterrupted,
        ) => StoreErrorKind::Unavailable,
        Some(ErrorCode::TooBig) => StoreErrorKind::Invalid,
        // Everything else means that the file does not hold what this code wrote.
        _ => StoreErrorKind::Corrupt,
    }
}

fn words(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "the disk is full, or the file has reached its size limit",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another connection holds the write lock"
        }
        Some(ErrorCode::CannotOpen) => {
            "the file cannot be opened; does its directory exist, and may it be written?"
        }
        Some(ErrorCode::ReadOnly) => "the file is read-only",
        Some(ErrorCode::PermissionDenied) => "permission denied",
        Some(ErrorCode::SystemIoFailure) => "reading or writing the file failed",
        Some(ErrorCode::NotADatabase) => "the file is not an SQLite database, or it is encrypted",
        Some(ErrorCode::DatabaseCorrupt) => "the file is damaged",
        Some(ErrorCode::TooBig) => "a value is larger than SQLite allows",
        Some(ErrorCode::OutOfMemory) => {
            "SQLite has asked for more memory than there is; a damaged file can be why"
        }
        Some(_) => "SQLite refused",
        None => "a row does not have the expected shape",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: i32) -> StoreErrorKind {
        kind(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))
    }

    #[test]
    fn sqlite_codes_become_kinds_by_meaning() {
        assert_eq!(of(ffi::SQLITE_FULL), StoreErrorKind::Full);
        assert_eq!(of(ffi::SQLITE_BUSY), StoreErrorKind::Busy);
        assert_eq!(of(ffi::SQLITE_BUSY_SNAPSHOT), StoreErrorKind::Busy);
        assert_eq!(of(ffi::SQLITE_LOCKED), StoreErrorKind::Busy);
        assert_eq!(of(ffi::SQLITE_CORRUPT), StoreErrorKind::Corrupt);
        assert_eq!(of(ffi::SQLITE_NOTADB), StoreErrorKind::Corrupt);
        assert_eq!(of(ffi::SQLITE_CANTOPEN), StoreErrorKind::Unavailable);
        assert_eq!(of(ffi::SQLITE_READONLY), StoreErrorKind::Unavailable);
        assert_eq!(of(ffi::SQLITE_IOERR_FSYNC), StoreErrorKind::Unavailable);
    }

    #[test]
    fn what_does_not_decode_is_named_without_its_content() {
        let error = serde_json::from_str::<u8>("\"a secret\"").unwrap_err();
        let error = Failure::undecodable("an overlay entry", &error).during("take");
        assert_eq!(*error.kind(), StoreErrorKind::Corrupt);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
