//! Wire types and dialects of the sync protocol, and the HTTP transport of sync-core.
