//! The server, on a port of its own.

use std::{path::Path, sync::Arc};

use sync_core::platform::{OsEntropy, TokioClock};
use sync_server::{
    Server,
    access::Role,
    log::sqlite::{SqliteLog, SqliteMembers},
    router::{BearerTokens, RouterSettings, router, serve},
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::Outcome;

pub(crate) struct Served {
    address: String,
    members: SqliteMembers,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Served {
    pub(crate) async fn start(file: &Path) -> Outcome<Self> {
        let log = SqliteLog::open(file)?;
        let members = log.members();
        let server = Server::new(
            Arc::new(log),
            Arc::new(members.clone()),
            Arc::new(TokioClock::new()),
            Arc::new(OsEntropy),
        );
        let tokens = BearerTokens::new();
        tokens.insert("alice-token", "alice");
        tokens.insert("bob-token", "bob");
        let routes = router(server, Arc::new(tokens), RouterSettings::default());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(serve(listener, routes, async {
            // Dropping the sender stops it, too.
            let _ = stopped.await;
        }));
        println!("server: listens at {address}");
        Ok(Self {
            address,
            members,
            stop,
            task,
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) async fn grant(&self, scope: &str, account: &str) -> Outcome<()> {
        Ok(self.members.grant(scope, account, Role::Editor).await?)
    }

    pub(crate) async fn revoke(&self, scope: &str, account: &str) -> Outcome<()> {
        Ok(self.members.revoke(scope, account).await?)
    }

    pub(crate) async fn stop(self) -> Outcome<()> {
        // An error only says that it has stopped by itself; the task then says why.
        let _ = self.stop.send(());
        Ok(self.task.await??)
    }
}
