//! A router on a port of its own.

use std::sync::Arc;

use axum::Router;
use sync_core::platform::{OsEntropy, TokioClock};
use sync_server::{
    Server,
    access::{MemoryMembers, Role},
    log::sqlite::SqliteLog,
    router::{BearerTokens, RouterSettings, router},
};
use sync_testing::backend::{Login, Target};
use tokio::net::TcpListener;

/// Scopes of Alice, and of both: each in the form of a name as well as of a number.
pub(crate) const EMPTY: &str = "1000001";
pub(crate) const SHARED: &str = "1000002";

/// Our own server, in memory.
pub(crate) fn our_routes(settings: RouterSettings, adapt: impl FnOnce(Server) -> Server) -> Router {
    let log = Arc::new(SqliteLog::in_memory().unwrap());
    let members = MemoryMembers::new();
    members.grant(EMPTY, "alice", Role::Editor);
    let tokens = BearerTokens::new();
    for account in ["alice", "bob"] {
        members.grant(SHARED, account, Role::Editor);
        tokens.insert(format!("{account}-token"), account);
    }
    let clock = Arc::new(TokioClock::new());
    let server = Server::new(log, Arc::new(members), clock, Arc::new(OsEntropy));
    router(adapt(server), Arc::new(tokens), settings)
}

/// Serves for as long as the test's runtime lives, and names itself to the suite, with both accounts.
pub(crate) async fn target(routes: Router) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let alice = Login::new("alice", "alice-token");
    Target::new(format!("http://{address}"), alice)
        .other(Login::new("bob", "bob-token"))
        .empty_scope(EMPTY)
        .shared_scope(SHARED)
}
