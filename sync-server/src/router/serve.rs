//! Listening, until it is enough.

use std::{future::Future, io, time::Duration};

use axum::Router;
use tokio::{net::TcpListener, sync::oneshot, time::sleep};

/// How long requests that are under way may take to their end: 10 s, as long as most supervisors wait.
const GRACE: Duration = Duration::from_secs(10);

/// Serves until `shutdown` resolves; then takes no more requests, and returns when those under way are answered,
/// or after ten seconds.
///
/// # Errors
/// Those of the listener.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let (tell, told) = oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        shutdown.await;
        // The receiver goes only together with the server.
        let _ = tell.send(());
    });
    let overdue = async {
        match told.await {
            Ok(()) => sleep(GRACE).await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        served = async { server.await } => served,
        () = overdue => Ok(()),
    }
}
