//! The server half of the sync protocol: logic without sockets, an axum router, a change log on SQLite.
