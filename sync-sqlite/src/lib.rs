//! A sync-core store on SQLite.
