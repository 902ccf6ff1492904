//! A router on a port of its own.

use axum::Router;
use sync_testing::backend::{Login, Target};
use tokio::net::TcpListener;

/// Serves for as long as the test's runtime lives, and names itself to the suite, with both accounts.
pub(crate) async fn target(routes: Router) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Target::new(
        format!("http://{address}"),
        Login::new("alice", "alice-token"),
    )
    .other(Login::new("bob", "bob-token"))
}
