//! Where the server listens, and until when.

use std::{future::pending, io, process};

use tokio::{net::TcpListener, signal::ctrl_c};

/// Listens at an address; where that cannot be, says what to do.
pub(crate) async fn bind(address: &str) -> Result<TcpListener, String> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is in use: end what listens there, or choose another address with --listen, as \
             `--listen 127.0.0.1:0` for any free port"
        ),
        _ => format!(
            "{address} cannot be listened at: {error}; choose another address with --listen, as \
             `--listen 127.0.0.1:8080`"
        ),
    })
}

/// Resolves with ctrl-c; another one after that ends the process at once.
pub(crate) async fn interrupted() {
    // An error only says that signals cannot be waited for: the server then goes on until it is killed.
    if ctrl_c().await.is_err() {
        pending::<()>().await;
    }
    tokio::spawn(async {
        if ctrl_c().await.is_ok() {
            process::exit(130);
        }
    });
}
